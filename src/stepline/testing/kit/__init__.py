"""The test kit for authors of task scripts; `stepline.testing.pytest_plugin` offers it."""
