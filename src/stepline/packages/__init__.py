"""Python packages: what a task script asks for, and uv, which installs them."""
