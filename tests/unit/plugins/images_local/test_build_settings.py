import configparser
import subprocess

import pytest

from stepline.plugins.images_local.build_settings import SEEN_AT, write_settings

SECRET = "s3cret%2Fword"
PLAIN = "s3cret/word"


def seen(folder, name):
    """Return a variable as a shell has it that reads the settings."""
    command = ['.  $0/environment; printf %s "$1"'.replace("$1", f"${name}"), str(folder)]
    ran = subprocess.run(["sh", "-c", *command], env={}, capture_output=True, text=True, check=True)
    return ran.stdout


def pip_config(folder):
    config = configparser.RawConfigParser()
    config.read(folder / "pip.conf")
    return dict(config["global"])


def test_settings_proxy_reaches_the_shell_in_both_spellings(tmp_path):
    proxy = "http://user:it's $HOME@proxy:3128"
    write_settings(tmp_path / "s", {"HTTPS_PROXY": proxy})
    assert seen(tmp_path / "s", "https_proxy") == seen(tmp_path / "s", "HTTPS_PROXY") == proxy


def test_settings_index_of_pip_reaches_its_config(tmp_path):
    index = f"https://me:{SECRET}@index/simple"
    write_settings(tmp_path / "s", {"PIP_INDEX_URL": index, "PIP_EXTRA_INDEX_URL": "https://b c"})
    config = pip_config(tmp_path / "s")
    assert (config["index-url"], config["extra-index-url"]) == (index, "https://b c")


def test_settings_index_of_uv_reaches_pip_where_pip_has_none(tmp_path):
    write_settings(tmp_path / "s", {"UV_DEFAULT_INDEX": "mine=https://index/simple"})
    assert pip_config(tmp_path / "s")["index-url"] == "https://index/simple"


def test_settings_own_pip_config_is_kept_below_variables(tmp_path):
    own = tmp_path / "own.conf"
    own.write_text("[global]\nindex-url = https://old\nprefer-binary = true\ncert = /nowhere\n")
    write_settings(tmp_path / "s", {"PIP_CONFIG_FILE": str(own), "PIP_INDEX_URL": "https://new"})
    config = pip_config(tmp_path / "s")
    assert (config["index-url"], config["prefer-binary"]) == ("https://new", "true")
    assert "cert" not in config


def test_settings_certificates_are_copied_and_named(tmp_path):
    bundle = tmp_path / "bundle.pem"
    bundle.write_text("certificates")
    write_settings(tmp_path / "s", {"PIP_CERT": str(bundle)})
    assert tmp_path.joinpath("s/ca.crt").read_text() == "certificates"
    assert seen(tmp_path / "s", "SSL_CERT_FILE") == f"{SEEN_AT}/ca.crt"


def test_settings_folder_of_wheels_is_mounted(tmp_path):
    links = tmp_path / "wheels"
    links.mkdir()
    environ = {"PIP_FIND_LINKS": f"{links} https://wheels /nowhere"}
    settings = write_settings(tmp_path / "s", environ)
    mount = settings.mounts[1]
    assert (mount.source, mount.read_only) == (str(links), True)
    assert pip_config(tmp_path / "s")["find-links"] == f"{mount.target} https://wheels"


@pytest.mark.parametrize("name", ["AWS_SECRET_ACCESS_KEY", "STEPLINE_TOKEN", "PIP_TARGET"])
def test_settings_other_variables_do_not_reach_the_hook(tmp_path, name):
    write_settings(tmp_path / "s", {name: "value-of-it"})
    texts = [path.read_text() for path in tmp_path.joinpath("s").iterdir()]
    assert not any("value-of-it" in text for text in texts)


@pytest.mark.parametrize("form", [SECRET, PLAIN, f"https://me:{SECRET}@index/simple"])
def test_masked_text_has_no_password(tmp_path, form):
    environ = {"PIP_INDEX_URL": f"https://me:{SECRET}@index/simple"}
    masked = write_settings(tmp_path / "s", environ).masked(f"looking in {form} now")
    assert SECRET not in masked
    assert PLAIN not in masked
    assert masked.startswith("looking in ")


def test_knowing_finds_passwords_of_apt(tmp_path):
    settings = write_settings(tmp_path / "s", {})
    texts = ["machine mirror login me password hush-hush\n", "deb https://a:other-one@b c main"]
    assert set(settings.knowing(texts).secrets) == {"hush-hush", "other-one"}
