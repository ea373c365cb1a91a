"""Stepline runs versioned task scripts, wired together by protocols, on files.

This module stays empty on purpose: every command pays for what it imports.
"""

__version__ = "0.1.0"
