"""Benchmarks: what Stepline promises about speed and memory, measured."""
