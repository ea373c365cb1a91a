"""Images of task scripts on this machine: made by assembling layers."""
