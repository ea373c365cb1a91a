"""The crash test: it passes on the service, and finds whatever is lost or doubled."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from stepline.bootstrap import Plugins
from stepline.server.selftest.counting import count
from stepline.server.selftest.findings import Findings, Kind
from stepline.server.selftest.places import Places
from stepline.server.selftest.sending import sent

LONGEST_S = 240


def crash(*words, cache, temporary):
    """Run the crash test as a person would; return exit code, report and standard error."""
    environ = {**os.environ, "STEPLINE_CACHE_DIR": str(cache), "TMPDIR": str(temporary)}
    done = subprocess.run(
        [sys.executable, "-m", "stepline", "selftest", "--crash", "--json", *words],
        env=environ,
        capture_output=True,
        check=False,
        text=True,
        timeout=LONGEST_S,
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout), done.stderr


@pytest.mark.slow
def test_crash_at_every_commit_and_at_random_loses_nothing(tmp_path, stepline_cache):
    words = ("--every-point", "--kills", "60")
    code, report, _ = crash(*words, cache=stepline_cache, temporary=tmp_path)
    assert (code, report["findings"]) == (0, {}), json.dumps(report["findings"], indent=1)
    assert set(report["counts"]) == {kind.value for kind in Kind}
    assert report["kills"] >= 60 + 2 * len(report["commitPoints"])
    points = "\n".join(report["commitPoints"])
    for what in ("Intake.take", "FileService.add", "._kept", "._claim", "Builder._publish"):
        assert what in points
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def survivor(tmp_path_factory, stepline_cache):
    """The folder of a service that was killed twice, and how many files were sent to it."""
    folder = tmp_path_factory.mktemp("survivor")
    words = ("--kills", "4", "--seed", "1", "--keep")
    code, report, printed = crash(*words, cache=stepline_cache, temporary=folder)
    assert code == 0, report["findings"]
    assert report["filesSent"] >= 3
    return Path(printed.split("kept: ")[1].strip()) / "main", report["filesSent"]


@pytest.fixture
def tampered(survivor, tmp_path, stepline_cache):
    """Count a copy of a survivor after something was done to it; returns what was found."""
    base, number = survivor
    places = Places(tmp_path / "main", stepline_cache)
    shutil.copytree(base, places.base)

    def counted(tamper):
        tamper(places)
        findings = Findings()
        files = [sent(each) for each in range(number)]
        plugins = Plugins(stepline_cache, os.environ)
        count(places, files, plugins=plugins, findings=findings)
        return {kind for kind, number in findings.counts.items() if number}

    return counted


def sql(*statements):
    """Return a tampering with the database."""

    def tamper(places):
        with closing(sqlite3.connect(places.home / "state.db")) as database:
            for statement in statements:
                assert database.execute(statement).rowcount
            database.commit()

    return tamper


def again(table, **changed):
    """Return a tampering that adds a row of a table once more, with some values changed."""

    def tamper(places):
        with closing(sqlite3.connect(places.home / "state.db")) as database:
            database.row_factory = sqlite3.Row
            row = {**dict(database.execute(f"SELECT * FROM {table}").fetchone()), **changed}
            marks = ", ".join("?" * len(row))
            row["number"] = None
            names = ", ".join(row)
            database.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", [*row.values()])
            database.commit()

    return tamper


def removed(pattern):
    """Return a tampering that removes a file of the home folder."""
    return lambda places: next(places.home.glob(pattern)).unlink()


def changed(pattern):
    """Return a tampering that changes the content of a file of the home folder."""
    return lambda places: next(places.home.glob(pattern)).write_bytes(b"x")


QUEUED = """INSERT INTO queue (workflow_id, step, attempt, pipeline_id, priority, due_at, stage,
    owner, until, leases) SELECT id, 0, 9, pipeline_id, 5, 0, 'leased', 'dead', 0, 1 FROM workflows
    LIMIT 1"""
ONE = "rowid IN (SELECT rowid FROM {} LIMIT 1)"


@pytest.mark.parametrize(
    ("tamper", "kind"),
    [
        pytest.param(lambda places: None, None, id="nothing"),
        pytest.param(
            sql(f"DELETE FROM workflows WHERE {ONE.format('workflows')}"),
            Kind.EVENTS_LOST,
            id="no workflow",
        ),
        pytest.param(
            again("workflows", id="other", dedupe_key="other"),
            Kind.EVENTS_DOUBLED,
            id="two workflows",
        ),
        pytest.param(
            sql(f"UPDATE workflows SET status = 'cancelled' WHERE {ONE.format('workflows')}"),
            Kind.RESULTS_LOST,
            id="workflow that did not end as it should",
        ),
        pytest.param(
            again("files", file_id="other", version="other"), Kind.FILES_DOUBLED, id="two versions"
        ),
        pytest.param(
            sql(f"DELETE FROM attempts WHERE {ONE.format('attempts')}"),
            Kind.ATTEMPTS,
            id="no attempt",
        ),
        pytest.param(
            sql("UPDATE attempts SET kind = 'lost' WHERE kind = 'raised'"),
            Kind.ATTEMPTS,
            id="attempt that was lost",
        ),
        pytest.param(
            sql(f"DELETE FROM ledger WHERE {ONE.format('ledger')}"), Kind.LEDGER, id="no decision"
        ),
        pytest.param(again("ledger"), Kind.LEDGER, id="two decisions"),
        pytest.param(sql(QUEUED), Kind.LEASES, id="lease"),
        pytest.param(removed("files/blobs/*/*"), Kind.BLOBS, id="no bytes"),
        pytest.param(changed("files/blobs/*/*"), Kind.BLOBS, id="other bytes"),
        pytest.param(removed("logs/*/*/*.jsonl"), Kind.LOGS, id="no log"),
        pytest.param(
            lambda places: (places.home / "scratch" / "x").mkdir(parents=True),
            Kind.SCRATCH,
            id="scratch",
        ),
        pytest.param(
            lambda places: (places.temporary / "stepline-1").mkdir(), Kind.SCRATCH, id="worker"
        ),
        pytest.param(
            sql("INSERT INTO found_files (file, key, size) VALUES (99999, 'x', 1)"),
            Kind.DATABASE,
            id="row that refers to nothing",
        ),
    ],
)
def test_crash_counting_finds_what_is_wrong(tampered, tamper, kind):
    assert (tampered(tamper) >= {kind.value}) if kind else tampered(tamper) == set()


def test_crash_counting_finds_that_a_file_was_never_taken(survivor, stepline_cache):
    base, number = survivor
    findings = Findings()
    places, plugins = Places(base, stepline_cache), Plugins(stepline_cache, os.environ)
    count(places, [sent(n) for n in range(number + 1)], plugins=plugins, findings=findings)
    assert {k for k, v in findings.counts.items() if v} == {Kind.EVENTS_LOST.value}
