"""Root file systems with a Python, made of Debian packages by mmdebstrap."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from stepline.errors import PlatformError, UserError
from stepline.model.image import BaseVariant
from stepline.plugins.images_local.mirrors import Source, find_sources, own_options
from stepline.plugins.images_local.root_tars import rewrite_root
from stepline.plugins.images_local.tars import MTIME
from stepline.ports.images import Tell

SUITES = {"bullseye": "3.9", "bookworm": "3.11", "trixie": "3.13"}
"""Python of each Debian release that bases are made of."""

PYTHON = "/usr/bin/python3"
_HERE = Path(__file__).parent
_MERGE = "/usr/share/mmdebstrap/hooks/merged-usr/setup00.sh"
_MERGED = "/usr/share/mmdebstrap/hooks/merged-usr/essential00.sh"
_WITHOUT_MERGED = ("bullseye",)  # has no package that says so
_KEEPER = (
    *("setpriv", "--pdeathsig", "KILL"),
    *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"),
)
_TAIL = 30
_BOTH = (
    "base-files",
    "base-passwd",
    "ca-certificates",
    "coreutils",
    "dash",
    "libc-bin",
    "libgcc-s1",
    "libstdc++6",
    "netbase",
    "openssl",
    "python3-minimal",
    "tzdata",
    "zlib1g",
)
_HOOK_ONLY = ("python3-pip", "python3-setuptools", "python3-wheel")


def site_of(runtime: str) -> str:
    """Return the folder of packages that are not Debian's own."""
    return f"/usr/local/lib/python{runtime}/dist-packages"


def runtime_of(suite: str) -> str:
    """Return the Python of a suite, ``3.N``.

    Raises:
        UserError: There is no such suite.
    """
    if suite not in SUITES:
        known = ", ".join(f"{name} (python{python})" for name, python in SUITES.items())
        raise UserError(f"no base can be made of the suite '{suite}'", hint=f"use one of: {known}")
    return SUITES[suite]


def make_root(
    suite: str,
    variant: BaseVariant,
    *,
    folder: Path,
    environ: Mapping[str, str],
    tell: Tell,
) -> Path:
    """Make a root file system of a suite's packages.

    Args:
        suite: One of `SUITES`.
        variant: What it is for.
        folder: For temporary files, on a disk with 1 GB of space.
        environ: Environment variables of the platform.
        tell: Takes lines about what is going on.

    Returns:
        Its tar, in the folder: the same packages, the same tar.

    Raises:
        UserError: There is no such suite.
        PlatformError: A tool is missing, or the packages cannot be had.
    """
    runtime = runtime_of(suite)
    check_tools(environ)
    sources = find_sources(suite, folder=folder, environ=environ)
    tell(f"{suite} ({variant.value}) from {', '.join(source.suite for source in sources)}")
    raw, target = folder / "raw.tar", folder / "root.tar"
    options = [f"--aptopt={option}" for option in own_options(environ)]
    command = _command(suite, variant, options=options, target=raw, sources=sources)
    # Other users of this machine, which it works as in a user namespace, cannot enter ours.
    temporary = environ if os.geteuid() else {**environ, "TMPDIR": str(folder)}
    _run([*_keeper(environ), *command], environ=temporary)
    rewrite_root(raw, target)
    raw.unlink()
    tell(f"python{runtime} from Debian packages: {target.stat().st_size >> 20} MiB")
    return target


def check_tools(environ: Mapping[str, str]) -> None:
    """Make sure that this machine can make root file systems.

    Raises:
        PlatformError: It cannot; the error says what to install.
    """
    path = environ.get("PATH", os.defpath)
    if shutil.which("mmdebstrap", path=path) is None:
        raise PlatformError(
            "bases are made of Debian packages by mmdebstrap, which is not on this machine",
            hint="apt-get install mmdebstrap",
        )
    if os.geteuid() and shutil.which("newuidmap", path=path) is None:
        raise PlatformError(
            "a base can be made only by root or in a user namespace, which takes newuidmap",
            hint="apt-get install uidmap, or run the command as root",
        )


def _command(
    suite: str,
    variant: BaseVariant,
    *,
    options: Sequence[str],
    target: Path,
    sources: Sequence[Source],
) -> list[str]:
    runtime = SUITES[suite]
    packages = [*_BOTH, f"python{runtime}-minimal", f"libpython{runtime}-stdlib"]
    if variant is BaseVariant.HOOK:
        packages += _HOOK_ONLY
    # No setup of a package runs where packages are only unpacked, and no other hook either.
    slim = variant is BaseVariant.SLIM
    when = "--extract-hook" if slim else "--customize-hook"
    scripts = (f"debian_{variant.value}.sh", "debian_common.sh")
    arguments = f'set -- "$1" {site_of(runtime)} python{runtime}\n'
    return [
        "mmdebstrap",
        "--quiet",
        f"--mode={'unshare' if os.geteuid() else 'root'}",
        "--format=tar",
        f"--variant={'extract' if slim else 'apt'}",
        "--architectures=amd64",
        f"--include={','.join(packages)}",
        '--aptopt=APT::Install-Recommends "false"',
        *options,
        *(f"--dpkgopt=path-exclude=/usr/share/{each}/*" for each in ("man", "locale", "info")),
        # It would run apt, by then with this machine's own configuration.
        "--skip=cleanup/apt,cleanup/mmdebstrap",
        f"--setup-hook={_MERGE}",
        *([] if slim or suite in _WITHOUT_MERGED else [f"--essential-hook={_MERGED}"]),
        *(f"{when}={arguments}{(_HERE / name).read_text()}" for name in scripts),
        suite,
        str(target),
        *(source.line() for source in sources),
    ]


def _keeper(environ: Mapping[str, str]) -> Sequence[str]:
    """Return the command that keeps mmdebstrap's mounts to itself, and ends it with us.

    Root's mmdebstrap mounts /proc and the like in the system that it makes. Outside of a
    namespace they would stay when it is killed.
    """
    import subprocess

    if os.geteuid():
        return ()  # it makes namespaces itself
    tried = subprocess.run([*_KEEPER, "true"], env=environ, capture_output=True, check=False)
    return () if tried.returncode else _KEEPER


def _run(command: list[str], *, environ: Mapping[str, str]) -> None:
    import subprocess

    ended = subprocess.run(
        command,
        env={**environ, "SOURCE_DATE_EPOCH": str(MTIME), "LC_ALL": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if ended.returncode:
        said = ended.stdout.decode("utf-8", "replace").splitlines()[-_TAIL:]
        raise PlatformError(
            "mmdebstrap failed:\n" + "\n".join(said),
            hint="check that apt-get update works here and that the disk has room",
            retryable=True,
        )
