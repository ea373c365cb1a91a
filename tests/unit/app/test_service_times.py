"""Times that are given, as the service stores times."""

import pytest

from stepline.app.service.times import stored_time
from stepline.errors import UserError


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("", ""),
        ("2026-01-31", "2026-01-31T00:00:00.000Z"),
        ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00.000Z"),
        ("2026-01-31T12:00:00", "2026-01-31T12:00:00.000Z"),
        ("2026-01-31T01:00:00.25+02:00", "2026-01-30T23:00:00.250Z"),
        ("2026-01-31T12:00:00.999001Z", "2026-01-31T12:00:01.000Z"),
        ("0999-01-31", "0999-01-31T00:00:00.000Z"),
    ],
)
def test_stored_time_is_utc_with_milliseconds_not_before_what_is_given(given, stored):
    assert stored_time(given) == stored


@pytest.mark.parametrize("given", ["soon", "2026-02-30", "0001-01-01T00:00:00+02:00", "7d"])
def test_stored_time_of_no_time_says_how_to_write_one(given):
    with pytest.raises(UserError, match="is no time") as caught:
        stored_time(given)
    assert "2026-01-31T12:00:00Z" in caught.value.hint
