"""What a hook needs of this machine's surroundings, in files that it alone gets to see.

Variables of a container are shown by ``inspect``, so there are none: a shell file that the
hook's shell reads first has them. All is in one folder, which is mounted read-only.
"""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import unquote

from stepline.frozen import frozen
from stepline.plugins.images_local.tars import MTIME
from stepline.ports.engine import Mount

SEEN_AT = "/run/stepline"
_BUNDLES = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_BUNDLE_NAMES = (
    *("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    *("GIT_SSL_CAINFO", "NODE_EXTRA_CA_CERTS", "PIP_CERT"),
)
_PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy")
_INDEXES = ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL")
_PIP_OPTIONS = (
    *("index-url", "extra-index-url", "trusted-host", "find-links", "no-index", "proxy"),
    *("default-timeout", "timeout", "retries", "prefer-binary", "only-binary", "no-binary"),
)
_PIP_ALWAYS = {
    "disable-pip-version-check": "true",
    "no-cache-dir": "true",
    "root-user-action": "ignore",
    "break-system-packages": "true",
    "no-input": "true",
}
# Bytecode then holds whatever the time of its source is, and tells of no time itself.
_ALWAYS = {
    "SOURCE_DATE_EPOCH": str(MTIME),
    "PYTHONDONTWRITEBYTECODE": "1",
    "DEBIAN_FRONTEND": "noninteractive",
    "PIP_CONFIG_FILE": f"{SEEN_AT}/pip.conf",
    "HOME": "/root",
    "LANG": "C.UTF-8",
}
_USER_PART = re.compile(r"(?<=://)([^/@\s'\"]+)@")
_PASSWORD = re.compile(r"^machine\s.*\bpassword\s+(\S+)", re.MULTILINE)
_SHORTEST = 6


@frozen
class BuildSettings:
    """Settings of a build, written down for what runs in a container.

    Attributes:
        mounts: Folders to mount.
        secrets: Passwords in them, as they are written and as they are meant.
    """

    mounts: tuple[Mount, ...]
    secrets: tuple[str, ...]

    def knowing(self, texts: Iterable[str]) -> BuildSettings:
        """Return the same settings, with the passwords in further texts."""
        return BuildSettings(self.mounts, _secrets(texts, self.secrets))

    def masked(self, text: str) -> str:
        """Return a text without the passwords."""
        text = _USER_PART.sub("***@", text) if self.secrets else text
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return text


def write_settings(folder: Path, environ: Mapping[str, str]) -> BuildSettings:
    """Write the settings of a build.

    Args:
        folder: Takes them; a folder that nobody else on this machine gets at.
        environ: Environment variables of the platform.
    """
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)
    passed = dict(_passed(environ))
    variables = {**passed, **_ALWAYS}
    if bundle := named_bundle(environ):
        shutil.copyfile(bundle, folder / "ca.crt")
        variables.update(dict.fromkeys(_BUNDLE_NAMES, f"{SEEN_AT}/ca.crt"))
    options, mounts = _pip_options(environ)
    own = environ.get("PIP_CONFIG_FILE", "")
    text = Path(own).read_text() if own and Path(own).is_file() else ""
    folder.joinpath("pip.conf").write_text(_pip_config(text, options))
    lines = (f"export {name}={shlex.quote(value)}\n" for name, value in sorted(variables.items()))
    folder.joinpath("environment").write_text("".join(lines))
    secrets = _secrets([*passed.values(), *options.values(), text])
    return BuildSettings((Mount(source=str(folder), target=SEEN_AT), *mounts), secrets)


def _passed(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name in _PROXIES:
        if value := environ.get(name) or environ.get(name.upper()):
            yield name, value
            yield name.upper(), value
    for name in (*_INDEXES, "NPM_CONFIG_REGISTRY"):
        if value := environ.get(name):
            yield name, value


def named_bundle(environ: Mapping[str, str]) -> str:
    """Return the file of the certificates that this machine trusts, where it names one."""
    named = (environ.get(name, "") for name in _BUNDLES)
    return next((path for path in named if path and Path(path).is_file()), "")


def _pip_options(environ: Mapping[str, str]) -> tuple[dict[str, str], list[Mount]]:
    options = {}
    for option in _PIP_OPTIONS:
        if value := environ.get(f"PIP_{option.upper().replace('-', '_')}"):
            options[option] = value
    index = environ.get("UV_DEFAULT_INDEX") or environ.get("UV_INDEX_URL")
    if index and "index-url" not in options:
        options["index-url"] = index.rpartition("=")[2] if "://" not in index[:8] else index
    mounts: list[Mount] = []
    if links := options.get("find-links"):
        options["find-links"], mounts = _seen_links(links.split())
    return options, mounts


def _seen_links(links: list[str]) -> tuple[str, list[Mount]]:
    """Return links with the folders among them where they will be seen, and their mounts."""
    mounts: list[Mount] = []
    seen = []
    for link in links:
        path = Path(link.removeprefix("file://"))
        if "://" in link.removeprefix("file://"):
            seen.append(link)
        elif path.is_dir():
            mounts.append(
                Mount(source=str(path.absolute()), target=f"/run/stepline-links/{len(mounts)}")
            )
            seen.append(mounts[-1].target)
    return " ".join(seen), mounts


def _pip_config(own: str, options: Mapping[str, str]) -> str:
    """Return a pip.conf of the platform's own one and of what variables set, which go before."""
    import configparser
    import io

    config = configparser.RawConfigParser()
    config.read_string(own)
    if not config.has_section("global"):
        config.add_section("global")
    for name, value in {**_PIP_ALWAYS, **options}.items():
        if value:
            config.set("global", name, value)
    config.remove_option("global", "cert")
    text = io.StringIO()
    config.write(text)
    return text.getvalue()


def _secrets(texts: Iterable[str], known: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the passwords in texts, as they are written and as they are meant."""
    texts = list(texts)
    found = {*known, *(match[1] for text in texts for match in _PASSWORD.finditer(text))}
    for user in (match[1] for text in texts for match in _USER_PART.finditer(text)):
        password = user.partition(":")[2] or user
        found |= {password, unquote(password)}
    return tuple(sorted((each for each in found if len(each) >= _SHORTEST), key=len, reverse=True))
