"""Adapters that come with Stepline; each registers by an entry point, like anybody's."""
