"""The backend alone; that Stepline finds it in its wheel is tested where Stepline is."""

import pytest
from stepline_secrets_dotenv import stepline_secret_backend

from stepline.errors import SettingsError


@pytest.fixture
def backend(tmp_path):
    path = tmp_path / ".env"
    path.write_text("# keys\nexport A=first-value\nB='quoted value'\nA=second-value\n")
    return stepline_secret_backend("dotenv", {"STEPLINE_DOTENV": str(path)})


@pytest.mark.parametrize(
    ("name", "value"), [("A", "second-value"), ("B", "quoted value")], ids=["last line", "quoted"]
)
def test_read_known_name_gives_value(backend, name, value):
    assert backend.read(name).value == value


def test_read_unknown_name_says_what_to_add(backend):
    with pytest.raises(SettingsError) as caught:
        backend.read("C")
    assert caught.value.what == "no line sets C"
    assert caught.value.hint == "add the line C=value"
    assert caught.value.where.path.endswith(".env")


def test_read_missing_file_names_it(tmp_path):
    backend = stepline_secret_backend("dotenv", {"STEPLINE_DOTENV": str(tmp_path / "none")})
    with pytest.raises(SettingsError) as caught:
        backend.read("A")
    assert caught.value.where.path == str(tmp_path / "none")


def test_hook_other_name_gives_nothing():
    assert stepline_secret_backend("env", {}) is None
