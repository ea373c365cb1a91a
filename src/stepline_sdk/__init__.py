"""What a task script imports, and what runs a task where the platform is absent.

Standard library only, in the syntax of Python 3.7.
"""
