"""Codes of log records."""
