"""What pushes to Kaggle make of sources and names, without Kaggle."""

import json
import os
from email.utils import formatdate
from types import SimpleNamespace

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


@pytest.fixture
def client(script_module):
    return script_module("client", task_script="push-kaggle")


class Reader:
    """Gives one file, which whom it is given to owns."""

    def __init__(self, folder, data=b"", size=None):
        self.path = folder / "given"
        self.path.write_bytes(data)
        if size is not None:
            os.truncate(self.path, size)

    def read_file(self, _, *, form):
        assert form == "download"
        return {form: str(self.path)}


@pytest.fixture
def canonical(kernel, tmp_path):
    def canonical(name, text):
        return kernel.canonical_source(Reader(tmp_path, text.encode()), {name: {}})[1].decode()

    return canonical


@pytest.mark.parametrize(("name", "size"), [("report.py", 2_000_001), ("report.ipynb", 50_000_001)])
def test_source_that_is_far_too_large_is_refused_unread(kernel, tmp_path, name, size):
    reader = Reader(tmp_path, size=size)

    with pytest.raises(Refused, match=f"{name} has {size} bytes, Kaggle takes 1000000"):
        kernel.canonical_source(reader, {name: {}})

    assert not reader.path.exists()


@pytest.mark.parametrize("name", SCRIPTS)
def test_sealed_script_is_the_source_and_a_comment_and_gives_both_back(kernel, canonical, name):
    source = canonical(name, "a = 1\r\nb = 2")
    sealed = kernel.sealed(source, MARK, kernel.settings_of(name, source.encode()))

    assert source == "a = 1\nb = 2\n"
    assert sealed.startswith(source)
    assert len(sealed.splitlines()) == 3
    assert kernel.unsealed(sealed) == (source, MARK)


def test_any_script_comes_back_as_it_was(kernel, canonical):
    @given(st.text(alphabet=st.sampled_from("ab#{}[]\"' \n\té")).filter(str.strip))
    def comes_back(text):
        source = canonical("a.py", text)
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


def test_sealed_notebook_gives_source_and_mark_back_after_kaggle_wrote_it_anew(kernel, canonical):
    notebook = {
        "cells": [{"cell_type": "code", "source": ["x = 1\n", "x"], "metadata": {}, "id": "a"}],
        "metadata": {"kernelspec": {"language": "R"}},
        "nbformat": 4,
    }
    source = canonical("a.ipynb", json.dumps(notebook))
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


class AnsweredError(Exception):
    """What an HTTP library raises of an answer."""

    def __init__(self, status, words="no", **headers):
        super().__init__(words)
        self.response = SimpleNamespace(status_code=status, headers=headers)


STATUSES = {
    408: True,
    429: True,
    500: True,
    501: False,
    520: True,
    524: True,
    529: True,
    413: False,
}


@pytest.mark.parametrize(("status", "busy"), STATUSES.items())
def test_error_of_the_service_is_another_one_next_time_or_not(client, status, busy):
    told = client.described(AnsweredError(status), sent=True)

    assert told["kind"] == ("again" if busy else "refused")
    assert told["clear"] == (status == 429)
    assert client.described(AnsweredError(status), sent=False)["clear"]


@pytest.mark.parametrize("after", ["30", formatdate(4e9, usegmt=True)], ids=["seconds", "date"])
def test_error_of_the_service_says_how_long_to_wait(client, after):
    told = client.described(AnsweredError(429, **{"Retry-After": after}), sent=False)

    assert told["after_s"] == 30 or told["after_s"] > 10**6


SIGNED = "storage.test/plates/a?X-Goog-Signature=abcdef0123&X-Goog-Expires=1"
ADDRESSES = {
    "whole": f"403 Client Error: Forbidden for url: https://{SIGNED}",
    "path alone": f"Max retries exceeded with url: /{SIGNED} (Caused by ...)",
}


@pytest.mark.parametrize("words", ADDRESSES.values(), ids=ADDRESSES)
@pytest.mark.parametrize("kind", ["of the service", "of an upload", "of a connection"])
def test_words_of_an_error_have_no_signatures(client, kind, words):
    answer = SimpleNamespace(status_code=403, headers={}, text=words, reason="")
    errors = {
        "of the service": AnsweredError(403, words),
        "of an upload": client.failed_upload("a.csv", answer),
        "of a connection": ConnectionError(words),
    }

    told = client.described(errors[kind], sent=False)["words"]

    assert "storage.test/plates/a" in told
    assert "Signature" not in told
