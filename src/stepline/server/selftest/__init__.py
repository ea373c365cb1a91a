"""The service's self-test: a service that is killed again and again, and what it then has lost."""
