"""A service over real adapters in a folder, for tests to drive without HTTP."""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from stepline.app.archives import pack
from stepline.app.service.files import NewFile
from stepline.bootstrap import Plugins
from stepline.model.artifact import ArtifactKind, ArtifactName, BuildStatus
from stepline.model.file import FileRecord
from stepline.model.pipeline import Clause, Condition, Group, Operator, Pipeline, PipelineSpec
from stepline.model.workflow import WorkflowStatus
from stepline.ports.state import State, StoredWorkflow
from stepline.server.composition import HomeOptions, make_service, open_state
from stepline.settings import Settings

RAW = Condition(groups=(Group(Operator.AND, (Clause("category", "is", "raw"),)),))
ENDED = (WorkflowStatus.COMPLETED, WorkflowStatus.FAILED, WorkflowStatus.CANCELLED)
WAIT_S = 30.0


class RunningService:
    """A service that runs; another one over the same folder is the same after a restart.

    Args:
        home: Its home folder.
        cache: Folder for environments, shared by tests.
        settings: All settings.
        watched: Folders to watch.
        wrap: Puts something between the service and its state.
        clock: Returns seconds since the epoch.
    """

    def __init__(
        self,
        home: Path,
        *,
        cache: Path,
        settings: Settings | None = None,
        watched: Sequence[Path] = (),
        wrap: Callable[[State], State] = lambda state: state,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.home, self._cache = home, cache
        plugins = Plugins(cache, os.environ)
        self.reports: list[str] = []
        self.service = make_service(
            wrap(open_state(plugins, home)),
            HomeOptions(home=home, org=None, url="http://127.0.0.1:1", watched=watched),
            plugins=plugins,
            settings=settings or Settings(workers=2),
            cache_dir=cache,
            report=self.reports.append,
            clock=clock,
        )
        self.service.start()

    def stop(self) -> None:
        """Stop it, and with it its tasks."""
        self.service.stop()

    def put(
        self, kind: ArtifactKind, slug: str, files: Mapping[str, str], *, version: str = "v1.0.0"
    ) -> BuildStatus:
        """Publish an artifact of files, and wait for its build."""
        folder = self.home.parent / "sources" / f"{slug}-{time.monotonic_ns()}"
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        archive = folder.with_suffix(".zip")
        pack(folder, archive)
        registry = self.service.registry
        name = ArtifactName(kind, "private-demo", slug, version)
        build = registry.upload(name, archive)
        wait_for(lambda: registry.build(build.id).status is not BuildStatus.IN_PROGRESS)
        return registry.build(build.id).status

    def put_script(self, slug: str, main: str, functions: Sequence[str]) -> None:
        """Publish a task script whose functions, in main.py, have their slugs as names."""
        config = {
            "language": "python",
            "runtime": f"python3.{sys.version_info.minor}",
            "functions": [{"slug": name, "function": f"main.{name}"} for name in functions],
        }
        files = {"main.py": main, "config.json": json.dumps(config), "requirements.txt": ""}
        assert self.put(ArtifactKind.TASK_SCRIPT, slug, files) is BuildStatus.SUCCEEDED

    def put_protocol(self, slug: str, text: str, *, version: str = "v1.0.0") -> None:
        """Publish a protocol."""
        status = self.put(ArtifactKind.PROTOCOL, slug, {"protocol.yml": text}, version=version)
        assert status is BuildStatus.SUCCEEDED

    def simple(self, slug: str, main: str, **spec: Any) -> Pipeline:
        """Publish one function ``work`` as a protocol of one step; return its pipeline.

        Args:
            slug: Name of all three.
            main: Its main.py.
            spec: Fields of the pipeline.
        """
        self.put_script(slug, main, ["work"])
        self.put_protocol(slug, PROTOCOL.format(slug=slug))
        return self.pipeline(slug, **spec)

    def pipeline(self, slug: str, **spec: Any) -> Pipeline:
        """Set a pipeline of a protocol; for RAW files unless ``trigger`` says otherwise."""
        given = {"name": slug, "trigger": RAW, **spec}
        return self.service.pipelines.apply(
            PipelineSpec(protocol=f"private-demo/{slug}:v1.0.0", **given)
        )

    def upload(self, path: str = "a.txt", content: bytes = b"one", **about: Any) -> FileRecord:
        """Upload a file."""
        source = self.home.parent / f"upload-{time.monotonic_ns()}"
        source.write_bytes(content)
        staging = self.service.store.staging()
        blob = staging.add(str(source), move=True)
        staging.publish()
        return self.service.files.add(NewFile(path=path, **about), blob)

    def workflows(self, **wanted: Any) -> list[StoredWorkflow]:
        """Return workflows, oldest first."""
        page = self.service.workflows.page(limit=1000, **wanted)
        return list(reversed(page.items))

    def ended(self, count: int, *, within_s: float = WAIT_S) -> list[StoredWorkflow]:
        """Wait until so many workflows have ended; return them with their states."""
        wait_for(lambda: len(self.workflows(statuses=ENDED)) >= count, within_s=within_s)
        found = self.workflows(statuses=ENDED)
        assert len(found) == count
        return [self.service.workflows.get(each.id) for each in found]

    def content(self, record: FileRecord) -> bytes:
        """Return the bytes of a file."""
        with self.service.store.open(record.blob) as file:
            return file.read()


def wait_for(condition: Callable[[], bool], *, within_s: float = WAIT_S) -> None:
    """Wait until something holds.

    Raises:
        AssertionError: It does not in time.
    """
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.01)


PROTOCOL = """\
protocolSchema: v3
name: {slug}
steps:
  - id: work
    task: {{namespace: private-demo, slug: {slug}, version: v1.0.0, function: work}}
    input: {{file: $( workflow.inputFile )}}
"""
