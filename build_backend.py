"""Builds our wheel: poetry-core's, and below the package the artifacts of namespace ``common``.

poetry-core takes a folder for a package only if there is Python in it, which protocols have not,
and would put the folders of an editable install on the path.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from poetry.core.factory import Factory
from poetry.core.masonry import api
from poetry.core.masonry.builders.builder import BuildIncludeFile
from poetry.core.masonry.builders.wheel import WheelBuilder

FOLDERS = ("task-scripts", "protocols")
TARGET = "stepline/common"

build_editable = api.build_editable
build_sdist = api.build_sdist
get_requires_for_build_editable = api.get_requires_for_build_editable
get_requires_for_build_sdist = api.get_requires_for_build_sdist
get_requires_for_build_wheel = api.get_requires_for_build_wheel
prepare_metadata_for_build_editable = api.prepare_metadata_for_build_editable
prepare_metadata_for_build_wheel = api.prepare_metadata_for_build_wheel


class Builder(WheelBuilder):
    """poetry-core's builder, which also takes in our artifacts."""

    def find_files_to_add(self, exclude_build: bool = True) -> set[BuildIncludeFile]:
        """Return the package's files, and those of our artifacts that git does not ignore."""
        found = super().find_files_to_add(exclude_build)
        for path in (path for name in FOLDERS for path in (self._path / name).rglob("*")):
            file = BuildIncludeFile(
                path, project_root=self._path, source_root=self._path, target_dir=TARGET
            )
            if path.is_file() and not self.is_excluded(file.relative_to_project_root()):
                found.add(file)
        return found


def build_wheel(
    wheel_directory: str,
    config_settings: dict[str, Any] | None = None,
    metadata_directory: str | None = None,
) -> str:
    """Build a wheel in a folder, and return its name."""
    return Builder.make_in(
        Factory().create_poetry(Path.cwd(), with_groups=False),
        Path(wheel_directory),
        metadata_directory=Path(metadata_directory) if metadata_directory else None,
        config_settings=config_settings,
    )
