"""Where things of the platform are in what has a root file system of its own."""

from __future__ import annotations

SDK = "/opt/stepline/sdk/stepline_sdk"
SCRATCH = "/run/stepline-scratch"
ROOT = "/tmp/stepline"
"""Folder of the worker's folders."""

USER, GROUP = 10001, 10001
"""The user and group of tasks, as images have them under the name ``task``."""

FOLDERS = ("dev", "proc", "sys", "tmp", SDK.lstrip("/"), SCRATCH.lstrip("/"))
FILES = {"etc/hosts": "127.0.0.1\tlocalhost\n::1\tlocalhost\n", "etc/resolv.conf": ""}
"""What something may be mounted on, so that it has to be in a root that cannot be written to.

Files come with what they hold where nothing is: a machine without a network knows itself.
"""
