"""A pipeline's config becomes values and references; what is missing is named, all of it."""

import pytest

from stepline.app.pipeline_config import look_up_config

SETTINGS = {"kaggle_username": "me", "limits": {"rows": 5}, "nothing": None}


def resolve(**config):
    """Return the values of a config that has no problems."""
    values, problems = look_up_config(config, SETTINGS, org="demo")
    assert problems == []
    return values


def test_look_up_config_gives_settings_as_values_and_secrets_as_references():
    assert resolve(
        user={"setting": "kaggle_username"},
        limits={"setting": "limits"},
        none={"setting": "nothing"},
        key={"secret": "kaggle-api-key"},
        plain=[1, {"a": None}],
    ) == {
        "user": "me",
        "limits": {"rows": 5},
        "none": None,
        "key": {"ssm": "/local/demo/org-secrets/kaggle-api-key", "secret": True},
        "plain": [1, {"a": None}],
    }


@pytest.mark.parametrize(
    "value",
    [
        {"setting": "kaggle_username", "more": 1},
        {"secret": "a", "more": 1},
        {"inner": {"setting": "kaggle_username"}},
        [{"secret": "a"}],
        {"ssm": "/prod/demo/org-secrets/a.b", "secret": True},
        {"ssm": "anything", "secret": False},
        {},
    ],
    ids=repr,
)
def test_look_up_config_leaves_other_values_alone(value):
    assert resolve(key=value) == {"key": value}


def test_look_up_config_names_all_missing_settings_and_returns_the_rest():
    config = {"user": {"setting": "kaggle_user"}, "b c": {"setting": "xyz"}, "c": 1}
    values, problems = look_up_config(config, SETTINGS, org="demo", path="push.yml")
    assert values == {"c": 1}
    assert [(problem.message, problem.source) for problem in problems] == [
        ("config 'user': there is no shared setting 'kaggle_user'", "config.user.setting"),
        ("config 'b c': there is no shared setting 'xyz'", 'config["b c"].setting'),
    ]
    assert str(problems[0].where) == "push.yml"
    assert problems[0].hint == (
        "did you mean 'kaggle_username'? Or set it: stepline setting set kaggle_user VALUE"
    )


def test_look_up_config_without_any_setting_says_how_to_set_it():
    _, [problem] = look_up_config({"a": {"setting": "x"}}, {}, org="demo")
    assert problem.hint == "set it: stepline setting set x VALUE"


@pytest.mark.parametrize(
    ("value", "what", "hint"),
    [
        ({"setting": 5}, "a shared setting is named by a text, not 5", '{"setting": "name"}'),
        ({"secret": True}, "a secret is named by a text, not True", '{"secret": "name"}'),
        ({"secret": "Api_Key"}, "a secret cannot be named 'Api_Key'", "lower-case letters"),
        (
            {"ssm": "/prod/other/org-secrets/key", "secret": True},
            "the secret '/prod/other/org-secrets/key' is of another organisation than 'demo'",
            'set it here, and write {"secret": "key"}',
        ),
        ({"ssm": "key", "secret": True}, "'key' is not the path of a secret", '{"secret": "name"}'),
        (
            {"ssm": "/a/demo/org-secrets/A", "secret": True},
            "a secret cannot be named 'A'",
            "lower-case letters",
        ),
    ],
    ids=["setting", "secret", "name", "organisation", "path", "name in path"],
)
def test_look_up_config_wrong_reference_is_refused(value, what, hint):
    values, [problem] = look_up_config({"key": value}, SETTINGS, org="demo")
    assert values == {}
    assert problem.message == f"config 'key': {what}"
    assert hint in problem.hint


def test_look_up_config_setting_that_holds_a_reference_is_refused():
    settings = {"key": {"ssm": "/local/other/org-secrets/key", "secret": True}}
    _, [problem] = look_up_config({"a": {"setting": "key"}}, settings, org="demo")
    assert "the shared setting 'key' is a reference to a secret" in problem.message
