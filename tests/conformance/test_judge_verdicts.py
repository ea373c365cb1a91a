"""We accept and reject protocols as the public compiler does, but for listed differences."""

import pytest

from stepline.parsing import parse_protocol
from tests.conformance.judge import differences, recorded
from tests.conformance.protocol_cases import protocol_cases


@pytest.fixture(scope="module")
def cases():
    return protocol_cases()


@pytest.fixture(scope="module")
def ours(cases):
    """Whether we accept each case."""
    return {
        name: parse_protocol(text, path="protocol.yml").value is not None
        for name, text in cases.items()
    }


def test_cases_are_many_and_both_valid_and_broken(cases, ours):
    assert len(cases) >= 500
    assert len(cases) / 4 < sum(ours.values()) < len(cases) / 4 * 3


def test_verdicts_differ_only_where_it_is_listed(cases, ours):
    theirs = recorded(cases)
    differing = {name for name in cases if ours[name] != (theirs[name] == "accept")}
    assert differing == set(differences())


def test_differences_all_have_a_reason():
    assert all(reason.endswith(".") for reason in differences().values())


def test_compiler_crashes_only_where_we_refuse(cases, ours):
    theirs = recorded(cases)
    assert [name for name in cases if theirs[name] == "crash" and ours[name]] == []


def test_verdicts_are_the_same_each_time_cases_are_made(cases):
    assert protocol_cases() == cases
