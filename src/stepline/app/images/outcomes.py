"""Which images passed the tests of their task scripts, by the images' ids."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from stepline.errors import PlatformError, UserError
from stepline.frozen import frozen


@frozen(kw_only=True)
class Outcome:
    """One run of all tests of a task script, inside its image.

    Attributes:
        image: Id of the image.
        at: When it ended, ISO 8601, UTC.
        exit_code: pytest's: 0 where all passed, 5 where there are none.
        services: Ids of the images of the services beside it, by name.
    """

    image: str
    at: str
    exit_code: int
    services: dict[str, str]

    @property
    def passed(self) -> bool:
        """Whether there are tests, and all of them passed."""
        return self.exit_code == PASSED


class Outcomes:
    """The last record of each image.

    Args:
        folder: Folder of images; records are kept in it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "tests"

    def add(self, record: Outcome) -> None:
        """Keep a record, in place of the image's one from before.

        Raises:
            PlatformError: It cannot be written.
        """
        path = self._path(record.image)
        partial = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial.write_text(json.dumps(asdict(record)), encoding="utf-8")
            partial.replace(path)
        except OSError as error:
            what = f"the outcome of the tests cannot be recorded: {error}"
            raise PlatformError(what, hint="free space, or choose another images_dir") from error

    def get(self, image_id: str) -> Outcome | None:
        """Return an image's record; None where it was not tested."""
        try:
            return Outcome(**json.loads(self._path(image_id).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def require(self, image_id: str) -> None:
        """Refuse an image whose tests did not pass, or never ran.

        Raises:
            UserError: They did not.
        """
        record = self.get(image_id)
        if record is not None and record.passed:
            return
        why = "its tests did not run" if record is None else f"its tests failed at {record.at}"
        if record is not None and record.exit_code == NO_TESTS:
            why = "it has no tests"
        raise UserError(
            f"{image_id} is not pushed: {why}",
            hint="run `stepline image test` on its folder, or push with --untested",
        )

    def remove(self, image_id: str) -> None:
        """Forget an image."""
        self._path(image_id).unlink(missing_ok=True)
        self._imported(image_id).unlink(missing_ok=True)

    def add_imported(self, image_id: str) -> None:
        """Keep that all functions of an image's task script can be imported in it."""
        with suppress(OSError):  # then they are imported again next time
            self._imported(image_id).parent.mkdir(parents=True, exist_ok=True)
            self._imported(image_id).touch()

    def is_imported(self, image_id: str) -> bool:
        """Tell whether all functions of an image's task script were imported in it."""
        return self._imported(image_id).is_file()

    def _imported(self, image_id: str) -> Path:
        return self._path(image_id).with_suffix(".imported")

    def _path(self, image_id: str) -> Path:
        return self._folder / f"{image_id.removeprefix('sha256:')}.json"


PASSED = 0
FAILED = 1
NO_TESTS = 5
"""Exit code of pytest where there is no test."""
