"""What authors of task scripts test with: in-memory ports and fixtures."""
