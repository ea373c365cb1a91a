"""What several checks find is gathered, and raised as one error."""

import pytest

from stepline.app.findings import Findings
from stepline.errors import ArtifactNotFound, ConfigError, Location, Problem, UserError


def problem(message, *, hint="", source="config.a"):
    return Problem("wrong", message, Location("p"), hint, source=source)


def raising(error):
    """Return a check that fails."""

    def check():
        raise error

    return check


def test_check_nothing_found_raises_nothing():
    found = Findings("p")
    assert found.part(lambda: 7, source="config", code="x") == 7
    found.check()
    assert found.problems == ()


def test_check_single_error_is_raised_as_it_was_with_its_path():
    found = Findings("p")
    for _ in range(2):
        error = ArtifactNotFound("there is none", hint="publish it")
        assert found.part(raising(error), source="protocol", code="no-protocol") is None
    with pytest.raises(ArtifactNotFound) as caught:
        found.check()
    [only] = caught.value.problems
    assert (only.code, only.source, str(only.where)) == ("no-protocol", "protocol", "p")
    assert (only.message, only.hint) == ("there is none", "publish it")


def test_check_several_problems_are_raised_as_one_error_with_each_hint():
    found = Findings("p")
    error = UserError("not used", problems=[problem("a is wrong", source="")])
    assert found.part(raising(error), source="steps", code="x") is None
    found.add([problem("b is wrong", hint="mend it"), problem("b is wrong", hint="mend it")])
    with pytest.raises(ConfigError) as caught:
        found.check()
    assert [each.source for each in caught.value.problems] == ["steps", "config.a"]
    assert str(caught.value) == "p: a is wrong; b is wrong (mend it)"


def test_error_of_problems_leaves_warnings_out_of_its_words():
    warning = Problem("odd", "c is odd", Location("p", 1, 1), severity="warning")
    error = UserError.of([warning, problem("a is wrong", hint="mend it")])
    assert str(error) == "p: a is wrong. Hint: mend it"
    assert len(error.problems) == 2
