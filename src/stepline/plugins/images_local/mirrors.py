"""Where this machine has its Debian packages from, as its own apt is configured."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from stepline.errors import PlatformError
from stepline.frozen import frozen
from stepline.plugins.images_local.build_settings import named_bundle

SEEN_AT = "/run/stepline/apt"
"""Where the `hook` base looks for its sources of packages: a folder to be mounted there."""

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_HELPER = "/usr/lib/apt/apt-helper"
_APT_FOLDER = Path("/etc/apt")
_OURS = ("Acquire::http::", "Acquire::https::", "Acquire::Check-", "Acquire::Force")
_SECONDS = 120
_OWN_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"


@frozen
class Mirror:
    """A place with Debian packages.

    Attributes:
        site: Its address, without what stands for a suite.
        keyring: File of the keys that it is signed with; empty where it is trusted unsigned.
    """

    site: str
    keyring: str


@frozen
class Source:
    """A suite at a mirror, such as ``bookworm-security``.

    Attributes:
        mirror: Where it is.
        suite: Its name.
    """

    mirror: Mirror
    suite: str

    def line(self, folder: str = "") -> str:
        """Return the line of a ``sources.list``.

        Args:
            folder: Where the keyring is; empty for where this machine has it.
        """
        keyring = self.mirror.keyring
        if keyring and folder:
            keyring = f"{folder}/{Path(keyring).name}"
        option = f"signed-by={keyring}" if keyring else "trusted=yes"
        return f"deb [{option}] {self.mirror.site} {self.suite} main"


def find_sources(suite: str, *, folder: Path, environ: Mapping[str, str]) -> Sequence[Source]:
    """Return where a suite, its updates and its security updates can be had.

    Args:
        suite: Such as ``bookworm``.
        folder: For temporary files.
        environ: Environment variables of the platform.

    Raises:
        PlatformError: This machine has no apt, its apt knows no Debian mirror, or the mirror
            cannot be reached or does not have the suite.
    """
    mirrors = _mirrors(environ)
    archive = mirrors.get("")
    if archive is None:
        raise PlatformError(
            "the apt of this machine has no Debian mirror",
            hint="name one in /etc/apt/sources.list, such as deb http://MIRROR/debian bookworm "
            "main, and run apt-get update; on a machine without Debian, build the base on one "
            "that has it and bring it over: `stepline base build` says how",
        )
    main = Source(archive, suite)
    if problem := _unreachable(main, folder=folder, environ=environ):
        raise PlatformError(
            f"the suite {suite} cannot be had from the mirror of this machine's apt, "
            f"{archive.site}: {problem}",
            hint="check that apt-get update works here, and that the mirror has the suite",
            retryable=True,
        )
    further = [Source(archive, f"{suite}-updates")]
    if security := mirrors.get("-security"):
        further.append(Source(security, f"{suite}-security"))
    return [main] + [
        source for source in further if not _unreachable(source, folder=folder, environ=environ)
    ]


def write_apt_folder(
    folder: Path, sources: Sequence[Source], *, environ: Mapping[str, str], seen_at: str = SEEN_AT
) -> None:
    """Write what apt needs to reach the mirrors of this machine from inside a container.

    Args:
        folder: An empty folder. It may hold credentials: nobody else may read it.
        sources: What apt shall have.
        environ: Environment variables of the platform.
        seen_at: Where the folder will be seen.
    """
    folder.joinpath("sources.list").write_text(
        "".join(f"{source.line(seen_at)}\n" for source in sources)
    )
    for source in sources:
        if source.mirror.keyring:
            shutil.copy(source.mirror.keyring, folder)
    lines = list(_acquire_options(environ))
    if bundle := _bundle(environ):
        shutil.copy(bundle, folder / "ca.crt")
        lines.append(f'Acquire::https::CAInfo "{seen_at}/ca.crt";')
    if credentials := _credentials():
        path = folder / "auth.conf"
        path.touch(mode=0o600)
        path.write_text(credentials)
        lines.append(f'Dir::Etc::netrc "{seen_at}/auth.conf";')
    folder.joinpath("apt.conf").write_text("".join(f"{line}\n" for line in lines))


def own_options(environ: Mapping[str, str]) -> list[str]:
    """Return the options with which apt reaches the mirrors of this machine from itself."""
    options = list(_acquire_options(environ))
    if bundle := _bundle(environ):
        options.append(f'Acquire::https::CAInfo "{bundle}";')
    options.append(f'Dir::Etc::netrc "{_APT_FOLDER}/auth.conf";')
    options.append(f'Dir::Etc::netrcparts "{_APT_FOLDER}/auth.conf.d";')
    return options


def _bundle(environ: Mapping[str, str]) -> str:
    """Return the file of the certificates that this machine trusts; empty for none."""
    own = _OWN_BUNDLE if os.path.isfile(_OWN_BUNDLE) else ""
    return named_bundle(environ) or own


def _mirrors(environ: Mapping[str, str]) -> dict[str, Mirror]:
    """Return the mirrors of apt, by the ending of the suites that they have: none, -security."""
    form = "$(SITE)\t$(RELEASE)\t$(SOURCESENTRY)\t$(TRUSTED)\t$(ORIGIN)"
    text = _output(
        ["apt-get", "indextargets", "--format", form, "Created-By: Packages"], environ=environ
    )
    mirrors: dict[str, Mirror] = {}
    for line in text.splitlines():
        site, release, entry, trusted, origin = (*line.split("\t"), "", "", "", "")[:5]
        if origin not in ("Debian", "", "$(ORIGIN)") or "debian" not in f"{site}{origin}".lower():
            continue
        ending = "-security" if release.endswith("-security") else ""
        mirrors.setdefault(ending, Mirror(site, _keyring(entry, release, site, trusted)))
    return mirrors


def _keyring(entry: str, release: str, site: str, trusted: str) -> str:
    """Return the keys that the entry of a sources file names, or Debian's."""
    path, _, line = entry.rpartition(":")
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError:
        return str(KEYRING)
    if path.endswith(".list") and line.isdecimal():
        text = (text.splitlines() + [""] * int(line))[int(line) - 1]
    else:
        parts = [p for p in re.split(r"\n\s*\n", text) if site in p and release in p]
        text = parts[0] if parts else ""
    found = re.search(r"signed-by\s*[:=]\s*(/[^\s,\]]+)", text, re.IGNORECASE)
    if found and os.path.isfile(found[1]):
        return found[1]
    unsigned = re.search(r"\btrusted\s*[:=]\s*yes", text, re.IGNORECASE)
    return "" if unsigned and trusted else str(KEYRING)


def _unreachable(source: Source, *, folder: Path, environ: Mapping[str, str]) -> str:
    """Return why a source cannot be used; empty where it can."""
    target = folder / "Release"
    url = f"{source.mirror.site}/dists/{source.suite}/Release"
    try:
        _output([_HELPER, "download-file", url, str(target)], environ=environ)
    except PlatformError as error:
        return str(error.what).splitlines()[-1]
    finally:
        target.unlink(missing_ok=True)
    return ""


def _acquire_options(environ: Mapping[str, str]) -> Iterator[str]:
    """Give the options of this machine's apt for proxies and the like, and what variables say."""
    for line in _output(["apt-config", "dump", "Acquire"], environ=environ).splitlines():
        if line.startswith(_OURS) and not line.endswith('"";'):
            yield line
    for scheme in ("http", "https"):
        proxy = environ.get(f"{scheme}_proxy") or environ.get(f"{scheme.upper()}_PROXY")
        if proxy:
            yield f'Acquire::{scheme}::Proxy "{proxy}";'


def _credentials() -> str:
    """Return what apt has of users and passwords of mirrors."""
    paths = [_APT_FOLDER / "auth.conf", *sorted((_APT_FOLDER / "auth.conf.d").glob("*.conf"))]
    return "".join(f"{path.read_text()}\n" for path in paths if path.is_file())


def _output(command: list[str], *, environ: Mapping[str, str]) -> str:
    import subprocess

    try:
        ended = subprocess.run(
            command,
            env={**environ, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except FileNotFoundError as error:
        raise PlatformError(
            f"{command[0]} is not on this machine",
            hint="bases are built of Debian packages, which takes a Debian machine",
        ) from error
    except subprocess.TimeoutExpired as error:
        raise PlatformError(f"{command[0]}: no answer in {_SECONDS} s", retryable=True) from error
    if ended.returncode:
        said = (ended.stderr or ended.stdout).strip() or f"exit code {ended.returncode}"
        raise PlatformError(said, retryable=True)
    return ended.stdout
