"""The platform's side of workers: what all executors that use them share."""
