"""The worker: runs the functions of one task script, each task in a process of its own.

`start` is the program and `loop` talks to the platform. `templates` are processes that
have loaded the script, of which each task gets a copy; `child` is what happens inside a
task's process, and `attempt` watches it from outside. What the worker guarantees is told
in docs/explanation/worker.md.
"""
