"""Publishing files on Kaggle, with a receipt."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from connection import Connection
from dataset import MOST_BYTES, KaggleDataset
from kernel import KaggleKernel, canonical_source, settings_of
from model import KaggleModel, framework_of
from names import full_ref, title_of

from stepline_sdk.push import Given, NotPublished, Refused, TryAgain, push


def push_dataset(input: dict[str, Any], context: Any) -> dict[str, Any]:
    """Publish files as a version of a dataset; see README.md for the input."""
    given = Given(input)
    files = given.files(context)
    with _signed_in(given, context) as kaggle:
        ref = full_ref(given.text("dataset"), "dataset", owner=kaggle.username)
        about = {
            "title": given.text("title", ""),
            "subtitle": given.text("subtitle", ""),
            "description": given.text("description", ""),
            "licence": given.text("licence", ""),
            "keywords": given.texts("keywords"),
            "private": given.flag("private", True),
        }
        wait_s = _seconds(given)
        destination = KaggleDataset(
            kaggle, ref, about=about, most_bytes=_most(given), wait_s=wait_s
        )
        return _push(given, context, destination, files, wait_s=wait_s)


def push_kernel(input: dict[str, Any], context: Any) -> dict[str, Any]:
    """Publish a script or notebook as a version of a kernel; see README.md for the input."""
    given = Given(input)
    files = given.files(context)
    with _signed_in(given, context) as kaggle:
        ref = full_ref(given.text("kernel"), "kernel", owner=kaggle.username)
        name, source = canonical_source(context, files)
        about = {
            "title": given.text("title", "") or title_of(ref.partition("/")[2]),
            "private": given.flag("private", True),
            "internet": given.flag("internet"),
            "gpu": given.flag("gpu"),
            "dataset_sources": given.texts("dataset_sources"),
            "kernel_sources": given.texts("kernel_sources"),
            "model_sources": given.texts("model_sources"),
            "competition_sources": given.texts("competition_sources"),
            "keywords": given.texts("keywords"),
            **settings_of(name, source),
        }
        destination = KaggleKernel(kaggle, ref, about=about, wait_for_run=_waits(given))
        return _push(given, context, destination, {name: source}, wait_s=_seconds(given))


def push_model(input: dict[str, Any], context: Any) -> dict[str, Any]:
    """Publish files as a version of a model's variation; see README.md for the input."""
    given = Given(input)
    files = given.files(context)
    with _signed_in(given, context) as kaggle:
        ref = full_ref(given.text("model"), "model", owner=kaggle.username)
        about = {
            "title": given.text("title", ""),
            "subtitle": given.text("subtitle", ""),
            "description": given.text("description", ""),
            "overview": given.text("overview", ""),
            "usage": given.text("usage", ""),
            "licence": given.text("licence", ""),
            "private": given.flag("private", True),
        }
        wait_s = _seconds(given)
        destination = KaggleModel(
            kaggle,
            f"{ref}/{framework_of(given.text('framework'))}/{given.text('variation', 'default')}",
            about=about,
            most_bytes=_most(given),
            wait_s=wait_s,
        )
        return _push(given, context, destination, files, wait_s=wait_s)


def _push(
    given: Given, context: Any, destination: Any, files: dict[str, Any], *, wait_s: float
) -> dict[str, Any]:
    return push(
        context,
        destination,
        files,
        wait_s=wait_s,
        **given.options(),
    )


@contextmanager
def _signed_in(given: Given, context: Any) -> Iterator[Connection]:
    """Yield the client; what is refused before the push begins ends it as the push would.

    Raises:
        NotPublished: Nothing was published.
    """
    username = given.text("username", "")
    with Connection(username, given.secret(context, "api_key")) as kaggle:
        try:
            yield kaggle
        except (Refused, TryAgain) as error:
            raise NotPublished(f"nothing was published to Kaggle: {error}") from error


def _waits(given: Given) -> bool:
    return given.flag("wait_for_run", True)


def _seconds(given: Given) -> float:
    return given.number("wait_s", 600.0)


def _most(given: Given) -> int:
    return min(MOST_BYTES, int(given.number("max_bytes", MOST_BYTES)))
