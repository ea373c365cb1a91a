"""When a pipeline with a schedule is due.

Source:
    cron(8) of Debian, where clocks change: a time that is skipped comes right after the gap,
    one that is doubled comes once. A schedule with ``*`` as its minute or hour goes by
    elapsed time instead.
"""

from __future__ import annotations

from datetime import UTC, datetime

from stepline.model.pipeline import Schedule
from stepline.model.pipeline_rules import time_zone


def next_time(schedule: Schedule, after: datetime) -> datetime:
    """Return the first time of a schedule after a moment.

    There is no catching up: who asks with the present leaves out what was missed.

    Args:
        schedule: Without problems, as the parsers give it.
        after: Moment with a time zone; the result is later than it, never the same.

    Returns:
        The time in UTC.

    Raises:
        ValueError: The schedule names a time that does not come within 50 years.
    """
    from cronsim import CronSim

    # Within a doubled hour the library may give the first of two equal clock times again.
    for due in CronSim(schedule.cron, after.astimezone(time_zone(schedule.zone))):
        moment = due.astimezone(UTC)
        if moment > after:
            return moment
    raise ValueError(f"the schedule {schedule.cron!r} never comes again")
