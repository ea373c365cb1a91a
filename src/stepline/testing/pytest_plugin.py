"""The pytest plugin that comes with Stepline; registered by an entry point."""
