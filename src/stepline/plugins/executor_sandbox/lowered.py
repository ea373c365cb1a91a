"""Program of a platform that is root: ``python -I -S lowered.py UID GID [SOURCE...] -- COMMAND``.

It becomes a user without any privilege before it becomes the command, so that nothing of an
image ever runs as root. The sources may be in folders that are closed to that user: it finds
them, in their order, as ``0``, ``1`` … in `STAGE`.

It imports nothing of the platform's, which would take longer than all else.
"""

from __future__ import annotations

import ctypes
import os
import sys

# Any folder that all machines have and that a sandbox is not made from.
STAGE = "/sys"

_NEW_MOUNTS = 0x20000
_BIND = 0x1000
_RECURSIVE = 0x4000
_FOLLOWING = 0x80000
_FAILED = 125


def main(argv: list[str]) -> None:
    """Do what the arguments say; return only where that fails."""
    split = argv.index("--")
    uid, gid, *sources = argv[:split]
    try:
        _stage(sources)
        _become(int(uid), int(gid))
        os.execv(argv[split + 1], argv[split + 1 :])
    except OSError as error:
        sys.stderr.write(f"a sandbox cannot be made for the user {uid}: {error}\n")
    os._exit(_FAILED)


def _stage(sources: list[str]) -> None:
    """Show the sources in `STAGE`, to this process and what it starts alone."""
    libc = ctypes.CDLL(None, use_errno=True)
    _check(libc.unshare(_NEW_MOUNTS), "a namespace of mounts")
    _mount(libc, "none", "/", flags=_RECURSIVE | _FOLLOWING)
    held = [os.open(source, os.O_PATH | os.O_CLOEXEC) for source in sources]
    _mount(libc, "tmpfs", STAGE, kind="tmpfs", options="mode=0755,size=64k")
    for number, source in enumerate(held):
        place = f"{STAGE}/{number}"
        os.mkdir(place)
        _mount(libc, f"/proc/self/fd/{source}", place, flags=_BIND)


def _become(uid: int, gid: int) -> None:
    """Become a user for good; with the user, all privileges go."""
    os.chdir("/")
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)


def _mount(
    libc: ctypes.CDLL,
    source: str,
    target: str,
    *,
    kind: str = "",
    flags: int = 0,
    options: str = "",
) -> None:
    names = [os.fsencode(name) for name in (source, target, kind)]
    done = libc.mount(*names, ctypes.c_ulong(flags), os.fsencode(options))
    _check(done, f"a mount of {source} at {target}")


def _check(result: int, what: str) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


if __name__ == "__main__":
    main(sys.argv[1:])
