"""When schedules are due, also where clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepline.engine.schedules import next_time
from stepline.model.pipeline import Schedule

BERLIN = "Europe/Berlin"


def times(cron, zone, *, after, count):
    """The next times of a schedule, in UTC to the minute."""
    found, moment = [], datetime.fromisoformat(after).replace(tzinfo=UTC)
    for _ in range(count):
        moment = next_time(Schedule(cron, zone), moment)
        found.append(f"{moment:%m-%d %H:%M}")
    return found


@pytest.mark.parametrize(
    ("cron", "after", "expected"),
    [
        ("0 6 * * *", "2024-05-01T05:59:59.5", ["05-01 06:00", "05-02 06:00"]),
        ("0 6 * * *", "2024-05-01T06:00", ["05-02 06:00", "05-03 06:00"]),
        ("*/20 * * * *", "2024-05-01T06:19", ["05-01 06:20", "05-01 06:40", "05-01 07:00"]),
        ("0 6 * * 1-5", "2024-05-03T07:00", ["05-06 06:00", "05-07 06:00"]),
        ("0 6 * * mon,sun", "2024-05-03T07:00", ["05-05 06:00", "05-06 06:00"]),
        ("30 0 29 2 *", "2024-03-01T00:00", ["02-29 00:30"]),
    ],
)
def test_next_time_in_utc_follows_the_fields(cron, after, expected):
    assert times(cron, "UTC", after=after, count=len(expected)) == expected


@pytest.mark.parametrize(
    ("cron", "after", "expected"),
    [
        pytest.param("0 6 * * *", "2024-03-30T00:00", ["03-30 05:00", "03-31 04:00"], id="summer"),
        pytest.param("0 6 * * *", "2024-10-26T00:00", ["10-26 04:00", "10-27 05:00"], id="winter"),
        pytest.param(
            "30 2 * * *", "2024-03-30T12:00", ["03-31 01:00", "04-01 00:30"], id="skipped time"
        ),
        pytest.param(
            "0,30 2 * * *",
            "2024-03-30T12:00",
            ["03-31 01:00", "04-01 00:00"],
            id="skipped times once",
        ),
        pytest.param("30 2 * * *", "2024-03-31T01:10", ["04-01 00:30"], id="gap is over"),
        pytest.param(
            "30 * * * *", "2024-03-31T00:00", ["03-31 00:30", "03-31 01:30"], id="hourly over gap"
        ),
        pytest.param(
            "30 2 * * *", "2024-10-26T12:00", ["10-27 00:30", "10-28 01:30"], id="doubled time once"
        ),
        pytest.param(
            "45 2 * * *", "2024-10-27T01:35", ["10-28 01:45"], id="asked in the doubled hour"
        ),
        pytest.param(
            "30 * * * *",
            "2024-10-27T00:00",
            ["10-27 00:30", "10-27 01:30", "10-27 02:30"],
            id="hourly over doubled hour",
        ),
    ],
)
def test_next_time_where_clocks_change_comes_once(cron, after, expected):
    assert times(cron, BERLIN, after=after, count=len(expected)) == expected


def test_next_time_where_midnight_is_skipped_comes_after_it():
    # In Beirut, clocks went from 00:00 to 01:00 on 31 March 2024.
    found = times("0 0 * * *", "Asia/Beirut", after="2024-03-30T12:00", count=2)
    assert found == ["03-30 22:00", "03-31 21:00"]


def test_next_time_after_down_time_makes_nothing_up():
    assert times("0 * * * *", "UTC", after="2024-05-03T10:30", count=1) == ["05-03 11:00"]


def test_next_time_takes_any_zone_and_gives_utc():
    after = datetime(2024, 5, 1, 8, tzinfo=ZoneInfo("Asia/Tokyo"))
    due = next_time(Schedule("30 8 * * *", "Asia/Tokyo"), after)
    assert (due, due.tzinfo) == (datetime(2024, 4, 30, 23, 30, tzinfo=UTC), UTC)


def test_next_time_that_never_comes_raises():
    with pytest.raises(ValueError, match="never comes"):
        next_time(Schedule("0 0 */31 * mon#3"), datetime(2024, 1, 1, tzinfo=UTC))


MOMENTS = st.integers(0, 400 * 24 * 60).map(
    lambda minutes: datetime(2024, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
)


@given(
    st.sampled_from(["45 2 * * *", "*/7 * * * *", "0 0 * * *", "30 1-3 * * 0", "15 */2 1,31 * *"]),
    st.sampled_from(["UTC", BERLIN, "Australia/Lord_Howe", "Asia/Beirut", "America/New_York"]),
    MOMENTS,
)
def test_next_time_is_later_and_nothing_lies_between(cron, zone, after):
    schedule = Schedule(cron, zone)
    due = next_time(schedule, after)
    assert due > after
    between = after + (due - after) / 2
    assert next_time(schedule, between) == due
