"""The push itself: from files to a receipt, or to a clear word about what is there instead."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from itertools import islice

from stepline_sdk.push import receipts
from stepline_sdk.push.errors import NotPublished, PushError, Refused, TryAgain, Unverified
from stepline_sdk.push.marks import make_mark
from stepline_sdk.push.staging import Staged, stage
from stepline_sdk.push.verification import compare

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, TypeVar

    from stepline_sdk.push.destination import Destination, Published

    T = TypeVar("T")

LONGEST_WAIT_S = 120.0
"""A platform that asks to wait for longer is not waited for; the step may be retried."""

_LONGEST_PAUSE_S = 15.0


def push(
    context: Any,
    destination: Destination,
    files: Mapping[str, Any],
    *,
    note: str = "",
    dry_run: bool = False,
    force: bool = False,
    wait_s: float = 600.0,
) -> dict[str, Any]:
    """Publish files at a destination, and see for oneself that they are there.

    What was published by an earlier try of the same workflow is taken over, and what is there
    already with the same content is not published again.

    Args:
        context: The task's Context.
        destination: Where to.
        files: By name at the platform: a file pointer, bytes, or a path.
        note: What to say of this version, where the platform keeps such notes.
        dry_run: Do everything up to the upload, and show it.
        force: Publish also what is there already.
        wait_s: Seconds that the platform may take to process it.

    Returns:
        The receipt, and under ``receipt_file`` the pointer to the file that holds it. Its
        ``end`` is ``verified``; or ``nothing published`` of a dry run.

    Raises:
        NotPublished: Nothing was published.
        Unverified: Something was or may have been published, and could not be verified.
    """
    folder = tempfile.mkdtemp(prefix="push-", dir=getattr(context, "tmp_dir", None))
    act = _Push(context, destination, force=force, wait_s=wait_s)
    try:
        return act.run(folder, files, note, dry_run=dry_run)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Push:
    """One push.

    Args:
        context: The task's Context.
        destination: Where to.
        force: Publish also what is there already.
        wait_s: Seconds that the platform may take to process it.
    """

    def __init__(
        self, context: Any, destination: Destination, *, force: bool, wait_s: float
    ) -> None:
        self._context = context
        self._destination = destination
        self._force = force
        self._wait_s = wait_s
        self._place = "%s %s" % (destination.kind, destination.ref)
        self._is_new = True
        self._log = context.get_logger().info

    def run(
        self, folder: str, files: Mapping[str, Any], note: str, *, dry_run: bool
    ) -> dict[str, Any]:
        """Return the receipt, with the pointer to the file that holds it."""
        started_at = receipts.now()
        try:
            staged = self._staged(folder, files, note)
            newest, earlier = self._ask(lambda: self._look(staged))
            planned = receipts.plan(self._destination, staged, started_at=started_at)
            self._show(staged, newest, earlier)
            if dry_run:
                return self._kept(self._shown(planned, newest, earlier))
        except Exception as error:
            raise NotPublished(self._nothing(error)) from _untold(error)
        self._is_new = earlier is None
        published = earlier or self._publish(staged, newest)
        self._wait_until_ready(published)
        how = self._verify(staged, published)
        self._log("%s version %s is there and verified" % (self._place, published.version))
        try:
            more = self._ask(lambda: self._destination.finish(published))
            return self._kept(
                receipts.verified(planned, published, how=how, new=self._is_new, more=more)
            )
        except Exception as error:
            words = "%s version %s is there and verified, but what comes last failed: %s"
            detail = words % (self._place, published.version, _words(error))
            raise Unverified(detail, published) from _untold(error)

    def _kept(self, receipt: dict[str, Any]) -> dict[str, Any]:
        return dict(receipt, receipt_file=receipts.store(self._context, receipt))

    # Before anything leaves.

    def _staged(self, folder: str, sources: Mapping[str, Any], note: str) -> Staged:
        home = os.path.join(folder, "files")
        os.mkdir(home)
        destination = self._destination
        files = stage(self._context, sources, home)
        mark = make_mark(
            getattr(self._context, "workflow_id", "") or "",
            (destination.kind, destination.ref),
            about=destination.about,
            files=[(file.name, file.sha256) for file in files.values()],
        )
        staged = Staged(home, files, mark, note)
        destination.check(staged)
        self._refuse_secrets(staged, os.path.join(folder, "about.json"))
        return staged

    def _refuse_secrets(self, staged: Staged, about: str) -> None:
        destination = self._destination
        said = [destination.ref, dict(destination.about), dict(destination.aside)]
        with open(about, "x", encoding="utf-8") as file:
            json.dump([*said, list(staged.files), staged.note], file, ensure_ascii=False)
        looked_into = [(file.name, file.path) for file in staged.files.values()]
        for name, path in [*looked_into, ("what is said of the files", about)]:
            for found in self._context.find_secrets(path):
                inside = " (in its member %s)" % found["member"] if found["member"] else ""
                message = "%s%s holds the value of the secret '%s'"
                raise Refused(message % (name, inside, found["secret"]))

    def _look(self, staged: Staged) -> tuple[Published | None, Published | None]:
        """Return the newest version, and the one that need not be published again."""
        newest = None
        for version in islice(self._destination.versions(), self._destination.looks_back):
            newest = newest or version
            if version.mark is not None and version.mark.key == staged.mark.key:
                return newest, version
        if newest and newest.mark and newest.mark.content == staged.mark.content:
            return newest, None if self._force else newest
        return newest, None

    def _show(self, staged: Staged, newest: Published | None, earlier: Published | None) -> None:
        for file in staged.files.values():
            self._log("%s: %d bytes, SHA-256 %s" % (file.name, file.size, file.sha256))
        if earlier:
            self._log("%s version %s is this already" % (self._place, earlier.version))
            if newest and newest.version != earlier.version:
                self._log("the newest there is version %s" % newest.version)
        else:
            after = "after version %s" % newest.version if newest else "the first version"
            self._log("for %s, %s: %d bytes" % (self._place, after, staged.size))
        for caveat in self._destination.caveats():
            self._log("mind: %s" % caveat)

    def _shown(
        self, planned: dict[str, Any], newest: Published | None, earlier: Published | None
    ) -> dict[str, Any]:
        self._log("a dry run: nothing is published")
        return dict(
            planned,
            end=receipts.NOTHING_PUBLISHED,
            dry_run=True,
            newest=newest.version if newest else None,
            would_publish=earlier is None,
            finished_at=receipts.now(),
        )

    # The upload.

    def _publish(self, staged: Staged, newest: Published | None) -> Published:
        pause, unclear = self._destination.pause_s, False
        for left in range(self._destination.tries - 1, -1, -1):
            error = self._upload(staged, newest)
            unclear = unclear or not _is_clear(error)
            found = self._look_for(staged, error, unclear=unclear)
            if found:
                return found
            if error is None:
                raise Unverified(self._doubtful("the platform took it, and does not show it"))
            asked = getattr(error, "after_s", None) or 0.0
            if not left or not isinstance(error, TryAgain) or asked > LONGEST_WAIT_S:
                raise self._not_there(error, unclear=unclear) from _untold(error)
            self._log("not taken: %s; trying again" % error)
            time.sleep(max(pause, asked))
            pause = min(2 * pause, _LONGEST_PAUSE_S)
        raise AssertionError("tries is at least 1")

    def _upload(self, staged: Staged, newest: Published | None) -> Exception | None:
        self._log("uploading to %s" % self._place)
        try:
            self._destination.upload(staged, newest)
        except Exception as error:
            return error
        return None

    def _look_for(
        self, staged: Staged, error: Exception | None, *, unclear: bool
    ) -> Published | None:
        """Look whether a version with our mark is there, after an error just as without one.

        Args:
            staged: What was sent.
            error: How the try ended.
            unclear: Whether this or an earlier try may have been taken, and show late.

        Raises:
            Unverified: That cannot be known.
        """
        wait = error is None or (unclear and self._destination.shows_all)
        patience = self._destination.settle_s if wait else 0.0
        try:
            return self._until(lambda: self._with_key(staged.mark.key), patience)
        except Exception as trouble:
            if not unclear:
                return None
            known = "whether it was published cannot be seen"
            words = "%s; %s: %s" % (error, known, trouble) if error else "%s: %s" % (known, trouble)
            raise Unverified(self._doubtful(words)) from _untold(trouble)

    def _with_key(self, key: str) -> Published | None:
        for version in islice(self._destination.versions(), self._destination.looks_back):
            if version.mark is not None and version.mark.key == key:
                return version
        return None

    def _not_there(self, error: Exception, *, unclear: bool) -> PushError:
        if unclear:
            return Unverified(self._doubtful(_words(error)))
        return NotPublished(self._nothing(error))

    # After the upload.

    def _wait_until_ready(self, published: Published) -> None:
        try:
            ready = self._until(
                lambda: True if self._destination.is_ready(published) else None, self._wait_s
            )
        except Exception as error:
            words = "the platform could not process it: %s" % error
            raise Unverified(self._there(published, words), published) from _untold(error)
        if not ready:
            words = "the platform is not done with it after %g s" % self._wait_s
            raise Unverified(self._there(published, words), published)

    def _verify(self, staged: Staged, published: Published) -> dict[str, str]:
        differences: list[str] = []
        for _ in range(2):
            try:
                how, differences = self._ask(lambda: compare(self._destination, staged, published))
            except Exception as error:
                words = "it cannot be read back: %s" % error
                raise Unverified(self._there(published, words), published) from _untold(error)
            if not differences:
                return how
            time.sleep(self._destination.pause_s)  # what is served may lag behind what is kept
        words = "what is there differs: %s" % "; ".join(differences)
        raise Unverified(self._there(published, words), published)

    # Patience.

    def _ask(self, question: Callable[[], T]) -> T:
        """Return an answer, asking again where the platform is busy.

        Raises:
            TryAgain: It was busy each time.
        """
        pause = self._destination.pause_s
        for _ in range(self._destination.tries - 1):
            try:
                return question()
            except TryAgain as error:
                if (error.after_s or 0.0) > LONGEST_WAIT_S:
                    raise
                time.sleep(max(pause, error.after_s or 0.0))
                pause = min(2 * pause, _LONGEST_PAUSE_S)
        return question()

    def _until(self, question: Callable[[], T | None], within_s: float) -> T | None:
        """Return the first answer that is not None; None where there is none in time."""
        end = time.monotonic() + within_s
        pause = min(0.2, self._destination.pause_s)
        while True:
            answer = self._ask(question)
            left = end - time.monotonic()
            if answer is not None or left <= 0:
                return answer
            time.sleep(min(pause, left))
            pause = min(1.6 * pause, _LONGEST_PAUSE_S)

    # Words.

    def _nothing(self, error: Exception) -> str:
        # What an earlier try of the same push left is known only where all is shown.
        by = "" if self._destination.shows_all else "by this try "
        return "nothing was published %sto %s: %s" % (by, self._place, _words(error))

    def _doubtful(self, words: str) -> str:
        return "it is not known whether %s was published to: %s" % (self._place, words)

    def _there(self, published: Published, words: str) -> str:
        version = "%s version %s" % (self._place, published.version)
        if self._is_new:
            return "%s was published, but is not verified: %s" % (version, words)
        return (
            "%s is there from an earlier push, but is not verified: %s; a push of another "
            "workflow with force publishes it anew" % (version, words)
        )


def _is_clear(error: Exception | None) -> bool:
    """Return whether it is certain that an upload with that end was not taken."""
    return isinstance(error, Refused) or (isinstance(error, TryAgain) and error.clear)


def _untold(error: Exception) -> Exception | None:
    """Return an error whose traceback tells more than its words do."""
    return None if isinstance(error, (Refused, TryAgain)) else error


def _words(error: Exception) -> str:
    if isinstance(error, (Refused, TryAgain, PushError)):
        return str(error)
    return "%s: %s" % (type(error).__name__, error)
