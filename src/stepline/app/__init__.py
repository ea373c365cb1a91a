"""Use cases: what a user can have done, over ports; no adapter is imported here."""
