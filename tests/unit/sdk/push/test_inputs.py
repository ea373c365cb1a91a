"""Errors of a push's input name the field."""

import pytest

from stepline_sdk.push import Given

POINTER = {"type": "s3file", "bucket": "b", "fileKey": "o/s/RAW/a/plate.csv", "fileId": "1"}
OTHER = {**POINTER, "fileKey": "o/s/RAW/b/plate.csv", "fileId": "2"}


@pytest.mark.parametrize("input", [None, [], "files"], ids=repr)
def test_given_input_that_is_no_object_is_refused(input):
    with pytest.raises(TypeError, match="the input is an object, not"):
        Given(input)


@pytest.mark.parametrize(
    ("ask", "value", "expected"),
    [
        (lambda given: given.text("x"), " a ", "a"),
        (lambda given: given.text("x", "d"), None, "d"),
        (lambda given: given.text("x", "d"), "", ""),
        (lambda given: given.flag("x"), None, False),
        (lambda given: given.flag("x"), True, True),
        (lambda given: given.number("x", 5), None, 5),
        (lambda given: given.number("x", 5), 0.5, 0.5),
        (lambda given: given.address("x"), "https://a.example/b/", "https://a.example/b"),
        (lambda given: given.address("x", ""), None, ""),
        (lambda given: given.choice("x", ["a", "b"]), "b", "b"),
        (lambda given: given.choice("x", ["a", "b"], "a"), None, "a"),
        (lambda given: given.texts("x"), None, []),
        (lambda given: given.texts("x"), ["a"], ["a"]),
        (lambda given: given.mapping("x"), {"a": 1}, {"a": 1}),
        (lambda given: given.mapping("x"), None, {}),
    ],
)
def test_given_returns_what_is_there(ask, value, expected):
    assert ask(Given({"x": value})) == expected


@pytest.mark.parametrize(
    ("ask", "value", "error", "words"),
    [
        (lambda given: given.text("x"), None, ValueError, "input 'x' is missing"),
        (lambda given: given.text("x"), "  ", ValueError, "input 'x' is empty"),
        (lambda given: given.text("x"), 5, TypeError, "input 'x' is text, not int"),
        (lambda given: given.flag("x"), "false", TypeError, "input 'x' is true or false, not str"),
        (
            lambda given: given.choice("x", ["a", "b"]),
            "c",
            ValueError,
            "'c', it must be one of: a, b",
        ),
        (lambda given: given.number("x", 5), "5", TypeError, "'x' is a number, not str"),
        (lambda given: given.number("x", 5), True, TypeError, "'x' is a number, not bool"),
        (lambda given: given.number("x", 5), 0, ValueError, "'x' is 0, it must be above 0"),
        (lambda given: given.number("x", 5), float("nan"), ValueError, "'x' is nan"),
        (lambda given: given.address("x"), "ftp://a/b", ValueError, "'x' is no address"),
        (lambda given: given.address("x"), "https://", ValueError, "'x' is no address"),
        (lambda given: given.address("x"), "https://me:pw@a/", ValueError, "has credentials in it"),
        (lambda given: given.texts("x"), "a", TypeError, "'x' is a list of texts"),
        (lambda given: given.texts("x"), [1], TypeError, "'x' is a list of texts"),
        (lambda given: given.mapping("x"), [], TypeError, "'x' is an object, not list"),
        (lambda given: given.files(None, "x"), None, ValueError, "'x' is missing: which files"),
        (lambda given: given.files(None, "x"), "a.csv", TypeError, "'x' is a file pointer"),
        (lambda given: given.files(None, "x"), [{}], TypeError, "'x' is a file pointer"),
    ],
)
def test_given_anything_else_is_named(ask, value, error, words):
    with pytest.raises(error, match=words):
        ask(Given({"x": value}))


def test_given_options_are_those_that_a_push_takes():
    options = {"note": "a note", "dry_run": True, "force": False}
    assert Given(options).options() == options
    assert Given({}).options() == {"note": "", "dry_run": False, "force": False}


@pytest.mark.parametrize("value", [POINTER, [POINTER], {"plate.csv": POINTER}], ids=str)
def test_given_files_have_the_names_of_their_pointers(context, value):
    assert Given({"files": value}).files(context) == {"plate.csv": POINTER}


def test_given_file_of_which_only_the_id_is_known_is_looked_up(context):
    pointer = context.input_file
    found = Given({"files": {"fileId": pointer["fileId"]}}).files(context)
    assert found["run42.json"]["fileKey"] == pointer["fileKey"]


def test_given_files_of_one_name_need_names(context):
    with pytest.raises(ValueError, match=r"two files named plate\.csv: give an object"):
        Given({"files": [POINTER, OTHER]}).files(context)
    named = {"a.csv": POINTER, "b.csv": OTHER}
    assert Given({"files": named}).files(context) == named


def test_given_secret_is_resolved(world):
    reference = {"ssm": "/local/local/org-secrets/key", "secret": True}
    world.secrets[reference["ssm"]] = "value-of-it"
    context = world.attempt().context
    assert Given({"key": reference}).secret(context, "key") == "value-of-it"
    assert Given({}).secret(context, "key", "") == ""


@pytest.mark.parametrize(
    "value", [None, {"ssm": "/local/local/org-secrets/none"}], ids=["no", "gone"]
)
def test_given_secret_without_a_value_is_named(context, value):
    with pytest.raises(ValueError, match="input 'key' is no secret that has a value"):
        Given({"key": value}).secret(context, "key")


def test_given_secret_in_the_clear_is_refused_without_showing_it(context):
    with pytest.raises(
        ValueError, match="input 'key' is a plain text: refer to a secret"
    ) as caught:
        Given({"key": "value-of-it"}).secret(context, "key")
    assert "value-of-it" not in str(caught.value)
