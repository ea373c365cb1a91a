"""What pushes to Kaggle make of sources and names, without Kaggle."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepline_sdk.push import Mark, Refused

MARK = Mark("a" * 32, "b" * 32)
SCRIPTS = {"report.py": "python", "report.R": "r", "report.Rmd": "rmarkdown"}


@pytest.fixture
def kernel(script_module):
    return script_module("kernel", task_script="push-kaggle")


@pytest.fixture
def names(script_module):
    return script_module("names", task_script="push-kaggle")


class Reader:
    """Gives one file."""

    def __init__(self, data):
        self.data = data

    def read_file(self, _):
        return {"body": self.data}


def canonical(kernel, name, text):
    return kernel.canonical_source(Reader(text.encode()), {name: {}})[1].decode()


@pytest.mark.parametrize("name", SCRIPTS)
def test_sealed_script_is_the_source_and_a_comment_and_gives_both_back(kernel, name):
    source = canonical(kernel, name, "a = 1\r\nb = 2")
    sealed = kernel.sealed(source, MARK, kernel.settings_of(name, source.encode()))

    assert source == "a = 1\nb = 2\n"
    assert sealed.startswith(source)
    assert len(sealed.splitlines()) == 3
    assert kernel.unsealed(sealed) == (source, MARK)


def test_any_script_comes_back_as_it_was(kernel):
    @given(st.text(alphabet=st.sampled_from("ab#{}[]\"' \n\té")).filter(str.strip))
    def comes_back(text):
        source = canonical(kernel, "a.py", text)
        sealed = kernel.sealed(source, MARK, {"type": "script", "language": "python"})
        assert kernel.unsealed(sealed) == (source, MARK)

    comes_back()


@pytest.mark.parametrize(
    "edit",
    [lambda text: text.replace("1", "2"), lambda text: f"{text}b = 2\n"],
    ids=["changed", "appended"],
)
def test_source_that_somebody_edited_has_no_mark(kernel, edit):
    sealed = kernel.sealed("a = 1\n", MARK, {"type": "script", "language": "python"})

    assert kernel.unsealed(edit(sealed))[1] is None


def test_sealed_notebook_gives_source_and_mark_back_after_kaggle_wrote_it_anew(kernel):
    notebook = {
        "cells": [{"cell_type": "code", "source": ["x = 1\n", "x"], "metadata": {}, "id": "a"}],
        "metadata": {"kernelspec": {"language": "R"}},
        "nbformat": 4,
    }
    source = canonical(kernel, "a.ipynb", json.dumps(notebook))
    settings = kernel.settings_of("a.ipynb", source.encode())
    there = json.loads(kernel.sealed(source, MARK, settings))
    there["metadata"]["kaggle"] = {"isGpuEnabled": False}
    there["cells"][0] |= {"outputs": [{"text": "1"}], "execution_count": 7}
    there["cells"][0]["metadata"] = {"trusted": True}

    assert settings == {"type": "notebook", "language": "r"}
    assert kernel.unsealed(json.dumps(there)) == (source, MARK)


@pytest.mark.parametrize(
    "source",
    ["{a broken notebook", "print(1)\n", "", '{"cells": [1]}', '{"cells": [], "metadata": [1]}'],
)
def test_source_that_nobody_pushed_has_no_mark(kernel, source):
    assert kernel.unsealed(source) == (source, None)


@pytest.mark.parametrize(
    ("given_name", "expected"),
    [("plates", "me/plates"), ("you/plates-2", "you/plates-2"), ("A_b/plates", "A_b/plates")],
)
def test_name_is_completed_by_its_owner(names, given_name, expected):
    assert names.full_ref(given_name, "dataset", owner="me") == expected


@pytest.mark.parametrize("wrong", ["Plates", "a/b/c", "-a", "a--b", "me/", "../x", "a b"])
def test_name_that_kaggle_cannot_have_is_refused(names, wrong):
    with pytest.raises(Refused, match="is no name of a dataset"):
        names.full_ref(wrong, "dataset", owner="me")
