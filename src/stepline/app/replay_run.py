"""Running a replay: its files fetched, its steps run, its outcomes compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from stepline.app.replay import RecordingService, Replay, understood
from stepline.app.replay_files import fetch_files
from stepline.app.replay_outcomes import StepComparison, compare
from stepline.app.replay_secrets import with_placeholders
from stepline.app.run_local import RunPorts, RunResult, drive_local
from stepline.app.workflow_runner import Reporter
from stepline.frozen import frozen


@frozen(kw_only=True)
class ReplayPlace:
    """Where a replay is made.

    Attributes:
        ports: The adapters.
        reporter: Told of all progress.
        folder: Folder for the bytes of recorded files.
        warn: Told what the person should know.
    """

    ports: RunPorts
    reporter: Reporter
    folder: Path
    warn: Callable[[str], None]


@frozen
class ReplayResult:
    """A finished replay.

    Attributes:
        run: The workflow; its record says in ``replayOf`` what it is a replay of.
        comparisons: One per step that was run.
    """

    run: RunResult
    comparisons: Sequence[StepComparison]


def run_replay(replay: Replay, service: RecordingService, *, place: ReplayPlace) -> ReplayResult:
    """Run a replay to its end.

    Raises:
        SettingsError: A secret is missing or cannot be masked.
        UserError: A task script's environment cannot be made.
        PlatformError: A file cannot be fetched, or an attempt not be started.
    """
    ports, recorded = place.ports, replay.recorded
    with understood(recorded.workflow["id"]):
        input_file = fetch_files(
            recorded, service, lake=ports.lake, folder=place.folder, warn=place.warn
        )
    result = drive_local(
        replay.state,
        replay.event,
        request=replace(replay.request, input_file=input_file),
        ports=replace(ports, secret_backend=with_placeholders(ports.secret_backend)),
        reporter=place.reporter,
    )
    with understood(recorded.workflow["id"]):
        comparisons = compare(recorded, result.record, catalog=ports.lake.catalog)
    origin = {
        "workflowId": recorded.workflow["id"],
        "platformUrl": service.url,
        "status": recorded.workflow["status"],
        "steps": [each.to_plain() for each in comparisons],
    }
    record = {**result.record, "replayOf": origin}
    return ReplayResult(replace(result, record=record), comparisons)
