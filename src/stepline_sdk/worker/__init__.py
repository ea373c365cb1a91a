"""The worker: loads a task script once and runs tasks in children of its own.

`start` is the program, `loop` talks to the platform, `attempt` watches one task
from outside, and `child` is what happens inside the task's process.
"""
