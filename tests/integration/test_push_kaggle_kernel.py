"""Pushes of kernels to Kaggle end in one of three ways, judged by the stand-in's own record."""

import json

import pytest

from stepline.testing.kaggle_standin import StatusError
from stepline.testing.loopback import (
    CutReply,
    FailAfter,
    Hold,
    Refuse,
    WrongBytes,
)
from stepline_sdk.push import find_mark
from tests.support.kaggle_pushing import (
    OTHER_SECRET,
    executor,
    kaggle,
    kaggle_port,
    kaggle_pusher,
    kaggle_script,
    started_script,
    starting_executor,
)
from tests.support.pushing import NOTHING, UNVERIFIED, VERIFIED, kill_workers

__all__ = [
    "executor",
    "kaggle",
    "kaggle_port",
    "kaggle_script",
    "started_script",
    "starting_executor",
]

pytestmark = pytest.mark.kaggle

SCRIPT = {"report.py": b"# \xc2\xb5g\nprint('plate')\n"}
MORE = {"report.py": b"print('plates')\n"}
REF = "me/plate-report"
WORDS = "no such accelerator"

NOTEBOOK = {
    "cells": [
        {"id": "a", "cell_type": "markdown", "metadata": {}, "source": ["# Plate\n", "of Monday"]},
        {
            "id": "b",
            "cell_type": "code",
            "metadata": {"execution": {"iopub": "now"}},
            "execution_count": 3,
            "outputs": [{"output_type": "stream", "name": "stdout", "text": "secretly large"}],
            "source": "print(1)",
        },
    ],
    "metadata": {"kernelspec": {"name": "python3", "language": "python"}, "kaggle": {"gpu": 0}},
    "nbformat": 4,
    "nbformat_minor": 5,
}


ABOUT = {"kernel": "plate-report", "wait_s": 3}


@pytest.fixture
def pusher(executor, kaggle_script, kaggle, tmp_path):
    return kaggle_pusher(executor, kaggle_script, tmp_path, "push-kernel", **ABOUT)


@pytest.fixture
def starting_pusher(starting_executor, started_script, kaggle, tmp_path):
    """Pushes whose client is started as users start it."""
    return kaggle_pusher(starting_executor, started_script, tmp_path, "push-kernel", **ABOUT)


def published(kaggle):
    """Return the sources of all versions, oldest first, without the line that has the mark."""
    kernel = kaggle.kernels.get(REF)
    sources = [version.source for version in kernel.versions] if kernel else []
    assert all(find_mark(source) for source in sources)
    return [source.rpartition("# [stepline")[0].encode() for source in sources]


def test_push_kernel_of_scripts_makes_versions_and_of_the_same_nothing_new(pusher, kaggle):
    kaggle.processing = 2
    workflows = [("first", SCRIPT), ("second", MORE), ("third", MORE), ("second", MORE)]
    ends = [pusher.push(files, workflow=name, internet=True) for name, files in workflows]

    assert [end.outcome for end in ends] == [VERIFIED] * 4, [end.words for end in ends]
    assert [(end.receipt["remote"]["version"], end.receipt["new"]) for end in ends] == [
        ("1", True),
        ("2", True),
        ("2", False),
        ("2", False),
    ]
    assert published(kaggle) == [SCRIPT["report.py"], MORE["report.py"]]
    kernel = kaggle.kernels[REF]
    said = [kernel.settings[name] for name in ("language", "kernelType", "enableInternet")]
    assert (kernel.title, *said) == ("Plate report", "python", "script", True)
    assert ends[1].receipt["verified_by"] == "bytes"


def test_push_kernel_of_a_notebook_leaves_its_outputs_out(pusher, kaggle):
    files = {"report.ipynb": json.dumps(NOTEBOOK).encode()}
    ends = [pusher.push(files, workflow=name) for name in ("first", "second")]

    assert [(end.outcome, end.words) for end in ends] == [(VERIFIED, "")] * 2
    (version,) = kaggle.kernels[REF].versions
    sent = json.loads(version.source)
    assert find_mark(sent["metadata"]["stepline"]["push"])
    assert [cell["source"] for cell in sent["cells"]] == ["# Plate\nof Monday", "print(1)"]
    assert "secretly large" not in version.source
    assert kaggle.kernels[REF].settings["kernelType"] == "notebook"


def test_push_kernel_that_somebody_edited_on_its_page_is_pushed_anew(pusher, kaggle):
    pusher.push(SCRIPT, workflow="first")
    edited = kaggle.kernels[REF].current.source.replace("plate", "by hand")
    kaggle.add_kernel_version(REF, edited)

    end = pusher.push(SCRIPT, workflow="second")

    assert (end.outcome, end.receipt["remote"]["version"]) == (VERIFIED, "3")
    assert published(kaggle)[-1] == SCRIPT["report.py"]


def test_push_kernel_dry_run_changes_nothing(pusher, kaggle):
    end = pusher.push(SCRIPT, dry_run=True)

    assert (end.outcome, end.receipt["would_publish"]) == (NOTHING, True)
    assert kaggle.operations == ["GetKernel"]


def test_push_kernel_with_a_planted_secret_is_stopped_before_anything_leaves(pusher, kaggle):
    end = pusher.push({"report.py": f"password = '{OTHER_SECRET}'".encode()})

    assert end.outcome == NOTHING
    assert "holds the value of the secret 'database'" in end.words
    assert kaggle.calls == ()


FAULTS = {
    "busy for a second": (lambda: Refuse("SaveKernel", 429, WORDS, retry_after=1, times=1), 1),
    "saved, then 500": (lambda: FailAfter("SaveKernel"), 1),
    "saved, then cut": (lambda: CutReply("SaveKernel"), 1),
    "not signed in": (lambda: Refuse("*", 401, WORDS), 0),
    "forbidden": (lambda: Refuse("SaveKernel", 403, WORDS), 0),
    "not there": (lambda: Refuse("SaveKernel", 404, WORDS), 0),
    "refused in the answer": (lambda: StatusError("SaveKernel", WORDS), 0),
    "not taken, always": (lambda: Refuse("SaveKernel", 503, WORDS), 0),
}


@pytest.mark.parametrize("name", FAULTS)
def test_push_kernel_that_goes_wrong_is_verified_once_or_nothing_is_published(pusher, kaggle, name):
    fault, versions = FAULTS[name]
    kaggle.faults.append(fault())

    end = pusher.push(SCRIPT)

    assert end.outcome == (VERIFIED if versions else NOTHING), end.words
    assert len(published(kaggle)) == versions
    assert versions or WORDS in end.words


def test_push_kernel_whose_saving_never_ends_clear_is_unverified(pusher, kaggle):
    kaggle.faults.append(Refuse("SaveKernel", 500, WORDS))

    end = pusher.push(SCRIPT)

    assert end.outcome == UNVERIFIED, end.words
    assert "it is not known whether" in end.words
    assert published(kaggle) == []


def test_push_kernel_whose_run_fails_is_unverified_and_says_why(pusher, kaggle):
    kaggle.failure = "ZeroDivisionError in line 3"

    end = pusher.push(SCRIPT)

    assert end.outcome == UNVERIFIED
    assert "its run ended with 'error': ZeroDivisionError in line 3" in end.words
    assert pusher.push(SCRIPT, wait_for_run=False).outcome == VERIFIED
    assert published(kaggle) == [SCRIPT["report.py"]]


def test_push_kernel_that_runs_too_long_is_unverified(pusher, kaggle):
    kaggle.processing = 1000

    end = pusher.push(SCRIPT, wait_s=0.5)

    assert end.outcome == UNVERIFIED
    assert "not done with it after 0.5 s" in end.words


def test_push_kernel_that_reads_back_otherwise_is_unverified(pusher, kaggle):
    # The first look finds none; the second sees the mark, and from then on all is garbled.
    kaggle.faults.append(WrongBytes("GetKernel", after=3))

    end = pusher.push({"report.py": b"x = 1\n" * 1000})

    assert end.outcome == UNVERIFIED, end.words
    assert len(published(kaggle)) == 1


def test_push_kernel_changed_by_somebody_else_in_between_publishes_nothing(pusher, kaggle):
    pusher.push(SCRIPT, workflow="first")
    hold = Hold("GetKernel", after=1, times=1)
    kaggle.faults.append(hold)
    with pusher.pushing(MORE, workflow="second") as ends:
        assert hold.reached.wait(30)
        kaggle.add_kernel_version(REF, "print('by hand')\n")
        hold.release()

    assert ends[0].outcome == NOTHING
    assert "somebody else changed it in between" in ends[0].words
    assert len(kaggle.kernels[REF].versions) == 2


BAD = {
    "two files": (SCRIPT | {"b.py": b"x"}, {}, "a kernel is one file, and there are 2"),
    "no source": ({"report.csv": b"x"}, {}, "report.csv is no kernel: it ends with .py"),
    "not text": ({"report.py": b"\xff"}, {}, "report.py is not text in UTF-8"),
    "empty": ({"report.py": b" \n"}, {}, "report.py is empty"),
    "broken notebook": ({"a.ipynb": b"{"}, {}, "a.ipynb is no notebook"),
    "no cells": ({"a.ipynb": b"{}"}, {}, "it has no cells"),
    "another title": (SCRIPT, {"title": "Other title"}, "leads to the name 'other-title'"),
    "short title": (SCRIPT, {"kernel": "abc"}, "has 3 characters, Kaggle takes 5-50"),
    "too large": ({"report.py": b"#" * 1_000_001}, {}, "Kaggle takes 1000000"),
}


@pytest.mark.parametrize("name", BAD)
def test_push_kernel_of_bad_input_names_it_and_sends_nothing(pusher, kaggle, name):
    files, changes, words = BAD[name]

    end = pusher.push(files, **changes)

    assert end.outcome == NOTHING
    assert words in end.words
    assert kaggle.calls == ()


STAGES = [("GetKernel", True), ("SaveKernel", True), ("SaveKernel", False)]
STAGES += [("GetKernelSessionStatus", True)]


@pytest.mark.parametrize(("operation", "before"), STAGES)
def test_push_kernel_killed_and_retried_leaves_one_version(
    starting_pusher, kaggle, operation, before
):
    hold = Hold(operation, before_effect=before, times=1)
    kaggle.faults.append(hold)
    with starting_pusher.pushing(SCRIPT):
        assert hold.reached.wait(30)
        kill_workers()
    hold.release()

    end = starting_pusher.push(SCRIPT)

    assert end.outcome == VERIFIED, end.words
    assert published(kaggle) == [SCRIPT["report.py"]]
