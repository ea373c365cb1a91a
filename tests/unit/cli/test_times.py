"""Times as people type them."""

from datetime import UTC, datetime

import click
import pytest

from stepline.cli.times import moment, parse_moment, shown

NOW = datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("90s", "2026-03-01T11:58:30.250Z"),
        ("30m", "2026-03-01T11:30:00.250Z"),
        ("12h", "2026-03-01T00:00:00.250Z"),
        ("7d", "2026-02-22T12:00:00.250Z"),
        ("2w", "2026-02-15T12:00:00.250Z"),
        ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00.000Z"),
        ("2026-01-31T12:00:00+02:00", "2026-01-31T10:00:00.000Z"),
        ("2026-01-31 12:00:00.5+00:00", "2026-01-31T12:00:00.500Z"),
    ],
)
def test_parse_moment_returns_utc(text, found):
    assert parse_moment(text, now=NOW) == found


def test_parse_moment_date_is_local(monkeypatch):
    local = datetime(2026, 1, 31).astimezone().astimezone(UTC)
    assert parse_moment("2026-01-31", now=NOW) == local.strftime("%Y-%m-%dT%H:%M:%S.000Z")


@pytest.mark.parametrize("text", ["", "soon", "7", "7 days", "-7d", "999999w", "2026-13-01"])
def test_moment_of_no_time_is_refused_with_how_to_write_one(text):
    with pytest.raises(click.BadParameter, match="is no time; write 7d, 12h, 30m"):
        moment(text)


def test_shown_is_to_the_second():
    assert shown("2026-01-31T12:00:00.123Z") == "2026-01-31 12:00:00Z"
    assert shown(None) == ""
