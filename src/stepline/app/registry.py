"""The registry: what is published, how it got there, and what uses it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from stepline.app.archives import pack
from stepline.app.artifact_contents import ArtifactContents
from stepline.app.artifact_names import check_name, is_prerelease
from stepline.app.builds import Builder
from stepline.app.published import check_higher, matches, not_found, resolve_task
from stepline.errors import ArtifactNotFound, VersionExists
from stepline.model.artifact import Artifact, ArtifactKind, ArtifactName, Build, BuildStatus
from stepline.model.protocol import Protocol, TaskReference
from stepline.ports.executor import Executor, ScriptVersion
from stepline.ports.files import FileStore
from stepline.ports.state import ArtifactsView, State, Transaction

_POLL_SECONDS = 0.5
_AGAIN_SECONDS = 1.0
_GRACE_SECONDS = 10.0


class Registry:
    """Takes in archives, builds and publishes them, and knows what is published.

    Args:
        state: Keeps versions, builds and logs.
        store: Keeps archives.
        executor: Prepares environments and imports functions.
        cache_dir: Folder of what can be made anew from the archives.
        default_runtime: Python, ``3.N``, of task scripts that name none.
        org: Organisation whose ``private-<org>`` is published in.
        now: Returns the time, ISO 8601 in UTC.
        new_id: Returns an identifier that nothing else has and that can stand in a URL.
        published: Called after a version was published, moved or deleted.
        report: Takes a line about what went wrong with the platform itself.
    """

    def __init__(
        self,
        state: State,
        store: FileStore,
        *,
        executor: Executor,
        cache_dir: Path,
        default_runtime: str,
        org: str,
        now: Callable[[], str],
        new_id: Callable[[], str],
        published: Callable[[], None] = lambda: None,
        report: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._state = state
        self._store = store
        self._org = org
        self._now = now
        self._new_id = new_id
        self._published = published
        self._report = report
        self._contents = ArtifactContents(
            state, store, cache_dir=cache_dir, default_runtime=default_runtime
        )
        self._builder = Builder(state, self._contents, executor=executor, now=now)
        self._changed = threading.Condition()
        self._may_have_builds = True
        self._taken: set[str] = set()

    # Deploys.

    def upload(
        self, name: ArtifactName, archive: Path, *, force: bool = False, common: bool = False
    ) -> Build:
        """Take in an archive and begin to build it; does not wait for the build.

        The same content as that of the version which is published succeeds at once.

        Args:
            name: What to publish it as.
            archive: The caller's file; it is copied.
            force: Whether to move the version if it exists.
            common: Whether the caller may publish in the namespace ``common``.

        Raises:
            ForeignNamespace: The namespace is not the caller's.
            VersionExists: The version exists with other content, and is not forced.
            ArchiveTooLarge: The archive, or what is in it, is over a limit.
            UploadError: The name or the archive is refused, or the version is new, not
                forced, and not higher than the newest.
            PlatformError: It cannot be stored.
        """
        check_name(name, org=self._org, common=common)
        digest, _ = self._contents.take_in(archive)
        with self._state.read() as view:
            current = view.artifacts.get(name)
            if current is None and not force:
                check_higher(view.artifacts, name)
        if current is not None and not force:
            if current.digest != digest:
                raise _version_exists(current)
            return self._record(name, current.archive, forced=False, digest=digest)
        blob = self._store_archive(archive)
        self._contents.remember(blob, digest)
        build = self._record(name, blob, forced=force)
        self._wake()
        return build

    def build(self, build_id: str) -> Build:
        """Return a build.

        Raises:
            ArtifactNotFound: There is no such build.
        """
        with self._state.read() as view:
            found = view.artifacts.build(build_id)
        if found is None:
            raise ArtifactNotFound(f"there is no build {build_id!r}")
        return found

    def build_log(self, build_id: str, *, after: int = 0) -> Sequence[tuple[int, str, str]]:
        """Return number, time and text of a build's log lines after a number.

        Read the build before its log: a build that has ended has all of its lines.

        Raises:
            ArtifactNotFound: There is no such build.
        """
        with self._state.read() as view:
            if view.artifacts.build(build_id) is None:
                raise ArtifactNotFound(f"there is no build {build_id!r}")
            return view.artifacts.build_log(build_id, after=after)

    def run_builds(self, stop: threading.Event, *, at_once: int = 2) -> None:
        """Build what is in progress and what comes, oldest first, until told to stop.

        Builds that take longer than a few seconds to stop are left in progress; the next
        start takes them up again.

        Args:
            stop: Set to stop.
            at_once: Most builds at the same time.
        """
        try:
            self._contents.remove_leftovers()
        except OSError as error:  # they only take room
            self._report(f"what earlier builds left cannot be removed: {error}")
        threads = [
            threading.Thread(target=self._work, args=(stop,), name=f"build-{number}", daemon=True)
            for number in range(at_once)
        ]
        for thread in threads:
            thread.start()
        stop.wait()
        self._wake()
        for thread in threads:
            thread.join(_GRACE_SECONDS)

    def build_next(self, *, stopping: Callable[[], bool] = lambda: False) -> Build | None:
        """Build the oldest that is in progress and that no thread of ours has.

        Returns:
            The build at its end, or None if there is none.

        Raises:
            PlatformError: The state cannot be used, or the service ends; the build stays
                in progress.
        """
        build = self._take()
        if build is None:
            return None
        try:
            ended = self._builder.build(build, stopping=stopping)
        finally:
            with self._changed:
                self._taken.discard(build.id)
                self._may_have_builds = True
        if ended.status is BuildStatus.SUCCEEDED:
            self._published()
        return ended

    # What is published.

    def get(self, name: ArtifactName) -> Artifact:
        """Return a published version.

        Raises:
            ArtifactNotFound: It is not published; the error names what is.
        """
        with self._state.read() as view:
            return _get(view.artifacts, name)

    def list(
        self,
        kind: ArtifactKind,
        *,
        namespace: str = "",
        slug: str = "",
        latest_only: bool = False,
        prereleases: bool = True,
    ) -> Sequence[Artifact]:
        """Return published versions, sorted by namespace, slug and order of versions.

        Args:
            kind: Task scripts or protocols.
            namespace: Only those in it; empty for all.
            slug: Only those with it; empty for all.
            latest_only: Only the newest of each.
            prereleases: Whether to return prereleases too.
        """
        with self._state.read() as view:
            found = view.artifacts.list(kind, namespace=namespace, slug=slug)
        kept = [each for each in found if prereleases or not is_prerelease(each.name.version)]
        if not latest_only:
            return kept
        newest = {(each.name.namespace, each.name.slug): each for each in kept}
        return tuple(newest.values())

    def delete(self, name: ArtifactName, *, common: bool = False) -> Artifact:
        """Remove a version; workflows that use its digest go on.

        Args:
            name: The version.
            common: Whether the caller may publish in the namespace ``common``.

        Raises:
            ForeignNamespace: The namespace is not the caller's.
            ArtifactNotFound: It is not published.
        """
        check_name(name, org=self._org, common=common)
        with self._state.read() as view:
            found = _get(view.artifacts, name)
        self._state.write(lambda tx: tx.artifacts.delete(name))
        self._published()
        return found

    def source(self, what: ArtifactName | str, target: Path) -> str:
        """Write the source of a version, or of a digest, to an archive.

        Args:
            what: A name, or a digest ``sha256:<hex>``, also one that no version has any more.
            target: The zip file to write.

        Returns:
            The digest.

        Raises:
            ArtifactNotFound: It is not published.
            PlatformError: The archive cannot be written.
        """
        digest = what if isinstance(what, str) else self.get(what).digest
        pack(self._contents.folder(digest), target)
        return digest

    def folder(self, digest: str) -> Path:
        """Return a read-only folder with the content of a digest.

        Raises:
            ArtifactNotFound: Nothing with this digest was ever published.
            PlatformError: Its archive is gone, or not what it was.
        """
        return self._contents.folder(digest)

    def relationships(self, name: ArtifactName) -> Sequence[ArtifactName]:
        """Return the published protocols with a step that may use a task script.

        Raises:
            ArtifactNotFound: The task script is not published.
        """
        with self._state.read() as view:
            _get(view.artifacts, name)
            protocols = view.artifacts.list(ArtifactKind.PROTOCOL)
        return tuple(each.name for each in protocols if self._uses(each.digest, name))

    # For workflows.

    def resolve(
        self, task: TaskReference, *, artifacts: ArtifactsView | None = None
    ) -> tuple[ArtifactName, str]:
        """Return name and digest of the task script that a step means now.

        Args:
            task: The step's task; of a version range, the newest version is taken.
            artifacts: What is published, of a transaction that is under way.

        Raises:
            ArtifactNotFound: None is published that fits; the error names those that are.
        """
        if artifacts is None:
            with self._state.read() as view:
                found = resolve_task(view.artifacts, task)
        else:
            found = resolve_task(artifacts, task)
        return found.name, found.digest

    def script_version(self, digest: str, name: ArtifactName) -> ScriptVersion:
        """Return a task script as an executor needs it; quick from the second time on.

        Args:
            digest: Digest of its content, also one that no version has any more.
            name: What messages call it.

        Raises:
            ArtifactNotFound: Nothing with this digest was ever published.
            PlatformError: Its archive is gone, or not what it was.
        """
        return self._contents.script_version(digest, name)

    def protocol(self, digest: str) -> Protocol:
        """Return a protocol; quick from the second time on.

        Raises:
            ArtifactNotFound: Nothing with this digest was ever published.
            PlatformError: Its archive is gone, or not what it was.
        """
        return self._contents.protocol(digest)

    # Inside.

    def _store_archive(self, archive: Path) -> str:
        area = self._store.staging()
        try:
            blob = area.add(str(archive))
            area.publish()
        finally:
            area.discard()
        return blob.name

    def _record(self, name: ArtifactName, blob: str, *, forced: bool, digest: str = "") -> Build:
        """Store a new build, which has ended already where the digest is known."""
        at = self._now()
        build = Build(
            id=self._new_id(),
            name=name,
            archive=blob,
            forced=forced,
            status=BuildStatus.SUCCEEDED if digest else BuildStatus.IN_PROGRESS,
            created_at=at,
            finished_at=at if digest else "",
            digest=digest,
        )
        said = f"{name} has this content already: {digest}" if digest else f"{name} was uploaded"

        def act(tx: Transaction) -> None:
            tx.artifacts.put_build(build)
            tx.artifacts.log_build(build.id, [(at, said)])

        self._state.write(act)
        return build

    def _uses(self, digest: str, name: ArtifactName) -> bool:
        return any(matches(step.task, name) for step in self._contents.protocol(digest).steps)

    def _take(self) -> Build | None:
        with self._changed:
            if not self._may_have_builds:
                return None
            with self._state.read() as view:
                unfinished = view.artifacts.unfinished_builds()
            # Of one version, the last upload is the last to be published.
            busy = {build.name for build in unfinished if build.id in self._taken}
            free = [
                build
                for build in unfinished
                if build.id not in self._taken and build.name not in busy
            ]
            if not free:
                self._may_have_builds = False
                return None
            self._taken.add(free[0].id)
            return free[0]

    def _wake(self) -> None:
        with self._changed:
            self._may_have_builds = True
            self._changed.notify_all()

    def _wait(self) -> None:
        """Wait for the next upload, and now and then look whether to stop."""
        with self._changed:
            if not self._may_have_builds:
                self._changed.wait(_POLL_SECONDS)

    def _work(self, stop: threading.Event) -> None:
        """Build one after another; what the platform cannot do now is tried again."""
        while not stop.is_set():
            try:
                if self.build_next(stopping=stop.is_set) is None:
                    self._wait()
            except Exception as error:  # noqa: BLE001  (no fault may end all later builds)
                if not stop.is_set():
                    self._report(f"a build is tried again: {type(error).__name__}: {error}")
                stop.wait(_AGAIN_SECONDS)


def _get(artifacts: ArtifactsView, name: ArtifactName) -> Artifact:
    found = artifacts.get(name)
    if found is None:
        raise not_found(artifacts, name)
    return found


def _version_exists(current: Artifact) -> VersionExists:
    return VersionExists(
        f"{current.name} is published already, with other content ({current.digest})",
        hint="publish another version, or move this one with -f",
    )
