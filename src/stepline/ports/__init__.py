"""What the platform needs from outside: a protocol per capability, and the plugin hooks."""
