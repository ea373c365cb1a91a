"""Giving up of what a worker in a sandbox was started with."""

from __future__ import annotations

import ctypes
import os

_PR_SET_DUMPABLE = 4
_PR_CAPBSET_READ = 23
_PR_CAPBSET_DROP = 24
_VERSION_3 = 0x20080522


class _Header(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _Capabilities(ctypes.Structure):
    _fields_ = [("sets", ctypes.c_uint32 * 6)]


def become(user: str) -> None:
    """Become a user without any privilege, for good.

    Args:
        user: ``uid:gid``.

    Raises:
        OSError: It could not; the process must not go on.
    """
    uid, gid = map(int, user.split(":"))
    libc = ctypes.CDLL(None, use_errno=True)
    _bound_nothing(libc)
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    header = _Header(_VERSION_3, 0)
    _check(libc.capset(ctypes.byref(header), ctypes.byref(_Capabilities())))
    # A process that changed its user may otherwise not see its own files of /proc.
    _check(libc.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0))


def _bound_nothing(libc: ctypes.CDLL) -> None:
    """Have no program that is started ever get a privilege."""
    number = 0
    while True:
        there = libc.prctl(_PR_CAPBSET_READ, number, 0, 0, 0)
        if there < 0:
            return  # the kernel knows no more
        if there:
            _check(libc.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0))
        number += 1


def _check(result: int) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
