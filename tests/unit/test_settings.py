"""Settings from a file and from the environment, or every problem with its place."""

from dataclasses import fields
from pathlib import Path

import pytest

from stepline.errors import SettingsError
from stepline.model.task import Isolation
from stepline.settings import RegistryLogin, Settings, cache_dir, read_settings

DEFAULTS = Settings()
NAMES = [setting.name for setting in fields(Settings)]

# By setting: TOML, the same as a variable, and the value.
EXAMPLES = {
    "executor": ('"sandbox"', "sandbox", "sandbox"),
    "isolation": ('"reuse"', "reuse", "reuse"),
    "default_runtime": ('"python3.9"', "python3.9", "python3.9"),
    "task_env": ('{TZ = "UTC", U = "a:b=c"}', '{"TZ": "UTC", "U": "a:b=c"}', None),
    "plugins": ('["observer.a", "observer.b"]', "observer.a, observer.b,", None),
    "allow_before_install": ("true", "yes", True),
    "images_dir": ('"/srv/images"', "/srv/images", "/srv/images"),
    "bases": ('{"3.9" = "reg/py:3.9"}', '{"3.9": "reg/py:3.9"}', None),
    "registries": (
        '{"reg.example" = {user = "robot", secret = "env:KEY"}}',
        '{"reg.example": {"user": "robot", "secret": "env:KEY"}}',
        None,
    ),
    "workers": ("4", "4", 4),
}
VALUES = {
    **{name: value for name, (_, _, value) in EXAMPLES.items()},
    "task_env": {"TZ": "UTC", "U": "a:b=c"},
    "plugins": ("observer.a", "observer.b"),
    "bases": {"3.9": "reg/py:3.9"},
    "registries": {"reg.example": RegistryLogin(user="robot", secret="env:KEY")},
}


def read(text="", **environ):
    return read_settings(text, path="stepline.toml", environ=environ)


def problems(text="", **environ):
    """Return each problem's place, message and hint."""
    with pytest.raises(SettingsError) as caught:
        read(text, **environ)
    first, *_ = found = caught.value.problems
    assert (caught.value.what, caught.value.where) == (first.message, first.where)
    return [(str(problem.where), problem.message, problem.hint) for problem in found]


def test_examples_cover_every_setting():
    assert list(EXAMPLES) == NAMES


@pytest.mark.parametrize("text", ["", "\n \n", "# a comment\n", "\ufeff# marked\n"])
def test_read_settings_nothing_set_gives_defaults(text):
    assert read(text) == DEFAULTS


@pytest.mark.parametrize("name", NAMES)
def test_read_settings_file_sets_it(name):
    found = read(f"{name} = {EXAMPLES[name][0]}\n")
    assert getattr(found, name) == VALUES[name] != getattr(DEFAULTS, name)


@pytest.mark.parametrize("name", NAMES)
def test_read_settings_variable_sets_it_and_wins_over_the_file(name):
    variable = {f"STEPLINE_{name.upper()}": EXAMPLES[name][1]}
    other = {
        "isolation": '"process"',
        "task_env": '{A = "b"}',
        "plugins": '["observer.c"]',
        "allow_before_install": "false",
        "bases": '{"3.11" = "b"}',
        "registries": '{"b" = {kind = "ecr"}}',
        "workers": "3",
    }
    line = other.get(name, '"python3.12"')
    assert getattr(read(**variable), name) == VALUES[name]
    assert getattr(read(f"{name} = {line}\n", **variable), name) == VALUES[name]


@pytest.mark.parametrize("name", NAMES)
def test_read_settings_empty_variable_is_not_set(name):
    variable = {f"STEPLINE_{name.upper()}": ""}
    assert getattr(read(f"{name} = {EXAMPLES[name][0]}\n", **variable), name) == VALUES[name]


@pytest.mark.parametrize("text", ["-1", "1001", "2.5", '"4"', "true"])
def test_read_settings_number_of_workers_that_cannot_be_is_refused(text):
    ((_, message, _),) = problems(f"workers = {text}\n")
    assert "the setting workers must be a number from 0 to 1000" in message


def test_read_settings_variable_of_workers_that_is_no_number_is_refused():
    ((_, message, _),) = problems(STEPLINE_WORKERS="many")
    assert "must be a number from 0 to 1000, not text" in message


@pytest.mark.parametrize(
    ("text", "value"),
    [("1", True), ("TRUE", True), ("On", True), ("0", False), ("no", False), ("off", False)],
)
def test_read_settings_flag_of_a_variable_takes_common_words(text, value):
    assert read("allow_before_install = true", STEPLINE_ALLOW_BEFORE_INSTALL=text) == Settings(
        allow_before_install=value
    )


def test_read_settings_table_may_be_written_in_any_way_of_toml():
    for text in ('[task_env]\nTZ = "UTC"\n', 'task_env.TZ = "UTC"\n', 'task_env = {TZ = "UTC"}'):
        assert read(text).task_env == {"TZ": "UTC"}


@pytest.mark.parametrize(
    ("text", "place", "message", "hint"),
    [
        ("executor = 5", "1:1", "the setting executor must be text, not a number", "quotes"),
        ("\n  isolation = 'forks'", "2:3", "one of fork, process, reuse, not 'forks'", "fork"),
        ("isolation = true", "1:1", "one of fork, process, reuse, not True", "fork"),
        ("default_runtime = '3.11'", "1:1", "a Python, python3.N, not '3.11'", "python3.11"),
        ("default_runtime = 3.11", "1:1", "must be text, not a number", "quotes"),
        ("task_env = ['TZ=UTC']", "1:1", "a table of texts, not a list", 'TZ = "UTC"'),
        ("x = 1\n[task_env]\nN = 4", "2:2", "not a number in N", 'N = "…"'),
        ("task_env.'A=B' = 'c'", "1:1", "a table of variables, not with 'A=B'", "rename"),
        ("plugins = 'observer.a'", "1:1", "a list of names, not text", '["observer.slack"]'),
        ("plugins = [1]", "1:1", "a list of names, not a list of other things", "observer"),
        ("allow_before_install = 1", "1:1", "must be true or false, not a number", "quotes"),
        ('"allow_before_install" = "yes"', "1:2", "true or false, not text", "quotes"),
        ("executor = 2030-01-02", "1:1", "must be text, not a time", "quotes"),
    ],
)
def test_read_settings_wrong_value_names_place_and_remedy(text, place, message, hint):
    [*_, (where, what, remedy)] = problems(text)
    assert where == f"stepline.toml:{place}"
    assert message in what
    assert hint in remedy


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("ISOLATION", "forks", "one of fork, process, reuse, not 'forks'"),
        ("ALLOW_BEFORE_INSTALL", "maybe", "must be true or false, not 'maybe'"),
        ("TASK_ENV", "TZ=UTC", "must be a JSON object of texts, not 'TZ=UTC'"),
        ("TASK_ENV", '{"TZ": 1}', "must be a table of texts, not a number in TZ"),
        ("TASK_ENV", "[" * 100_000, "must be a JSON object of texts"),
        ("DEFAULT_RUNTIME", "python2.7", "must be a Python, python3.N, not 'python2.7'"),
    ],
    ids=["isolation", "flag", "not JSON", "not text", "deep", "runtime"],
)
def test_read_settings_wrong_variable_is_named(name, text, message):
    [(where, what, _)] = problems(**{f"STEPLINE_{name}": text})
    assert where == f"STEPLINE_{name}"
    assert message in what
    assert len(what) < 300


def test_read_settings_unknown_name_gives_the_nearest_and_all():
    [(where, what, hint)] = problems("# x\nexecuter = 'process'\n")
    assert (where, what) == ("stepline.toml:2:1", "there is no setting 'executer'")
    assert hint == f"did you mean 'executor'? settings are {', '.join(NAMES)}"


def test_read_settings_reports_all_problems_at_once():
    text = "isolation = 1\nnothing_like_it = 2\nexecutor = 3\n"
    found = problems(text, STEPLINE_TASK_ENV="x")
    assert [where for where, _, _ in found] == [
        "stepline.toml:1:1",
        "stepline.toml:2:1",
        "stepline.toml:3:1",
        "STEPLINE_TASK_ENV",
    ]


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("executor = process\n", "stepline.toml:1:12"),
        ("executor = 'a'\nexecutor = 'b'\n", "stepline.toml:2:15"),
        ("\n\nexecutor\n", "stepline.toml:3:9"),
        ("\n[task_env\n", "stepline.toml:2:10"),
        ("\nexecutor = 'a", "stepline.toml:2"),
        ("plugins = " + "[" * 100_000, "stepline.toml"),
    ],
    ids=["no quotes", "twice", "no value", "no bracket", "no end", "deep"],
)
def test_read_settings_broken_toml_has_its_position(text, where):
    with pytest.raises(SettingsError) as caught:
        read(text)
    assert str(caught.value.where) == where
    assert "not valid TOML: " in caught.value.what or "deeply" in caught.value.what


@pytest.mark.parametrize(
    ("login", "message"),
    [
        ('"robot:secret"', "a table of logins, not text for reg"),
        ('{password = "secret-value"}', "with 'password' for reg"),
        ("{user = 1}", "a table of texts, not a number in reg.user"),
        ('{user = "robot"}', "without a secret of the form BACKEND:NAME for reg"),
        ('{user = "robot", secret = "secret-value"}', "of the form BACKEND:NAME for reg"),
        ('{user = "robot", secret = "env:"}', "of the form BACKEND:NAME for reg"),
        ('{kind = "ecr", secret = "secret-value"}', "of the form BACKEND:NAME for reg"),
        ('{secret = "env:KEY"}', "one without a user for reg"),
    ],
)
def test_read_settings_login_that_cannot_be_is_refused_without_its_secret(login, message):
    [(_, what, hint)] = problems(f"registries = {{reg = {login}}}\n")
    assert message in what
    assert 'secret = "env:NAME"' in hint or "user, secret, kind" in hint
    assert "secret-value" not in what + hint


def test_isolation_choices_are_those_of_the_model():
    [(_, what, _)] = problems("isolation = ''")
    for choice in Isolation:
        assert choice.value in what
        assert read(f"isolation = '{choice.value}'").isolation == choice.value


@pytest.mark.parametrize(
    ("environ", "folder"),
    [
        ({"STEPLINE_CACHE_DIR": "/own", "XDG_CACHE_HOME": "/x", "HOME": "/h"}, "/own"),
        ({"STEPLINE_CACHE_DIR": "", "XDG_CACHE_HOME": "/x", "HOME": "/h"}, "/x/stepline"),
        ({"XDG_CACHE_HOME": "relative", "HOME": "/h"}, "/h/.cache/stepline"),
        ({"XDG_CACHE_HOME": "", "HOME": "/h"}, "/h/.cache/stepline"),
        ({"HOME": "/h"}, "/h/.cache/stepline"),
        ({}, "/.cache/stepline"),
    ],
)
def test_cache_dir_takes_the_first_that_is_set(environ, folder):
    assert cache_dir(environ) == Path(folder)


def test_cache_dir_relative_one_is_of_the_current_folder():
    assert cache_dir({"STEPLINE_CACHE_DIR": "cache"}) == Path.cwd() / "cache"
