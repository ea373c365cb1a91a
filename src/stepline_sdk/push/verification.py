"""Reading back what was published, and comparing it with what was sent."""

from __future__ import annotations

import os
import tempfile

from stepline_sdk.push.staging import measured

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stepline_sdk.push.destination import Destination, Published, RemoteFile
    from stepline_sdk.push.staging import Staged, StagedFile


def compare(
    destination: Destination, staged: Staged, published: Published
) -> tuple[dict[str, str], list[str]]:
    """Compare a version at the platform with what was staged.

    Returns:
        By file name how it was compared, ``bytes``, ``digest`` or ``size``; and what differs,
        in words.

    Raises:
        Refused: The platform does not let us see it.
        TryAgain: It cannot be seen just now.
    """
    there = destination.files(published)
    how: dict[str, str] = {}
    differences = ["%s is not there" % name for name in staged.files if name not in there]
    if destination.exact:
        differences += ["%s is there too" % name for name in there if name not in staged.files]
    for name, file in staged.files.items():
        if name not in there:
            continue
        how[name], difference = _compare_file(destination, published, file, there[name])
        differences += [difference] if difference else []
    return how, differences


def _compare_file(
    destination: Destination, published: Published, file: StagedFile, there: RemoteFile
) -> tuple[str, str]:
    if there.size is not None and there.size != file.size:
        return "size", "%s has %d bytes instead of %d" % (file.name, there.size, file.size)
    if there.sha256:
        same = there.sha256 == file.sha256
        return "digest", "" if same else _other(file, there.sha256)
    limit = destination.download_limit
    if limit is not None and file.size > limit and there.size is not None:
        return "size", ""
    with tempfile.TemporaryDirectory(prefix="read-back-") as folder:
        path = os.path.join(folder, "file")
        destination.download(published, file.name, path)
        size, sha256 = measured(path)
    if size != file.size:
        return "bytes", "%s reads back as %d bytes instead of %d" % (file.name, size, file.size)
    return "bytes", "" if sha256 == file.sha256 else _other(file, sha256)


def _other(file: StagedFile, sha256: str) -> str:
    return "%s has the SHA-256 %s instead of %s" % (file.name, sha256, file.sha256)
