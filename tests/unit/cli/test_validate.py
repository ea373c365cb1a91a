"""``stepline validate`` and ``stepline schema``."""

import json

import pytest
from click.testing import CliRunner

from stepline.cli.schema import KINDS
from stepline.cli.schema import command as schema_command
from stepline.cli.validate import command

GOOD = "protocolSchema: v3\nsteps: []\n"
WARNED = GOOD + "successWhen: true\n"
BAD = "protocolSchema: v3\nnmae: x\nsteps: []\n"


@pytest.fixture
def validate(tmp_path, monkeypatch):
    """Runs the command in a folder of its own on a protocol with this text."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.chdir(home)

    def run(text, *words):
        (home / "protocol.yml").write_text(text)
        return CliRunner(env={"STEPLINE_CACHE_DIR": str(tmp_path / "cache")}).invoke(command, words)

    return run


@pytest.mark.parametrize(
    ("text", "words", "code"),
    [
        (GOOD, [], 0),
        (GOOD, ["--strict"], 0),
        (WARNED, [], 0),
        (WARNED, ["--strict"], 2),
        (BAD, [], 2),
        (GOOD, ["protocol.yml"], 0),
        (GOOD, ["nowhere.yml"], 2),
        (GOOD, ["protocol.yml", "nowhere"], 2),
    ],
)
def test_validate_exit_code_tells_whether_all_is_valid(validate, text, words, code):
    assert validate(text, *words).exit_code == code


def test_validate_problem_is_shown_with_line_caret_and_hint(validate):
    assert validate(BAD).stdout.split("\n") == [
        "protocol.yml:2:1: error: unknown key `nmae` [unknown-key]",
        "  nmae: x",
        "  ^",
        "  hint: did you mean 'name'?",
        "",
        "1 file checked: 1 error",
        "",
    ]


def test_validate_valid_file_is_counted(validate):
    assert validate(GOOD).stdout == "1 file checked: no problems\n"


def test_validate_json_has_one_object_with_every_field(validate):
    content = json.loads(validate(BAD + "successWhen: true\n", "--json").stdout)
    error, warning = content["problems"]
    assert content["valid"] is False
    assert error == {
        "file": "protocol.yml",
        "line": 2,
        "column": 1,
        "severity": "error",
        "code": "unknown-key",
        "message": "unknown key `nmae`",
        "hint": "did you mean 'name'?",
    }
    assert (warning["severity"], warning["line"]) == ("warning", 4)


def test_validate_json_of_valid_file_has_no_problems(validate):
    assert json.loads(validate(GOOD, "--json").stdout) == {"valid": True, "problems": []}


def test_validate_second_time_prints_the_same(validate):
    assert validate(BAD).stdout == validate(BAD).stdout


@pytest.mark.parametrize("kind", KINDS)
def test_schema_of_each_kind_is_printed_as_json(kind):
    result = CliRunner().invoke(schema_command, [kind])
    assert result.exit_code == 0
    assert json.loads(result.stdout)["$schema"].startswith("http://json-schema.org/draft-07")


def test_schema_of_unknown_kind_is_refused():
    assert CliRunner().invoke(schema_command, ["pipeline"]).exit_code == 2
