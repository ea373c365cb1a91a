"""What a push asks of the place that it pushes to; the only part to write for a new one."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any, NamedTuple

    from stepline_sdk.push.marks import Mark
    from stepline_sdk.push.staging import Staged
else:
    from typing import NamedTuple


class Published(NamedTuple):
    """One version that is at the platform.

    Attributes:
        id: The platform's own name of the thing, such as ``me/plates``.
        version: Its number, commit, or whatever tells this version from others.
        url: Address at which people look at it; empty where there is none.
        mark: What a push left with it; None for somebody else's.
        token: Anything the destination wants back with it.
    """

    id: str
    version: str
    url: str = ""
    mark: Mark | None = None
    token: Any = None


class RemoteFile(NamedTuple):
    """A file of a version, as the platform tells it.

    Attributes:
        size: Bytes; None where the platform does not say.
        sha256: Hex digits, where the platform reckoned them from the bytes that it has;
            empty where it does not say.
    """

    size: int | None = None
    sha256: str = ""


class Destination:
    """A place to push to. Write a subclass for one that is not there yet.

    Every method may raise `Refused` with the platform's words where it says no for good, and
    `TryAgain` where it cannot be reached or is busy. `push` does the rest: it repeats, looks
    for what an earlier try left, waits, reads back and compares.

    Attributes:
        kind: What sort of place, such as ``kaggle-dataset``.
        ref: Which one, such as ``me/plates``.
        about: What is published beside the files: title, licence and so on; plain JSON. It
            is part of the content: where it changes, a new version is pushed.
        aside: What leaves too and is no part of the content, such as a run's name; plain JSON.
            As in `about`, no secret may be in it.
        exact: Whether a version holds the pushed files alone, so that others are a fault.
        shows_all: Whether `versions` shows all that is there. Where it does not, an upload
            with an unclear end is sent again, by whose mark the platform knows it; and where
            none ends clear, it is not known whether something was published.
        looks_back: How many versions are looked at for the mark of an earlier try.
        download_limit: Bytes; larger files without a digest are compared by size only.
        tries: How often an upload is tried.
        pause_s: Seconds before the second try; doubles from one to the next.
        settle_s: Seconds within which the platform shows what it took.
    """

    kind = ""
    ref = ""
    about: Mapping[str, Any] = {}
    aside: Mapping[str, Any] = {}
    exact = True
    shows_all = True
    looks_back = 100
    download_limit: int | None = None
    tries = 4
    pause_s = 1.0
    settle_s = 30.0

    def check(self, staged: Staged) -> None:
        """Refuse what the platform would refuse; nothing has left yet.

        Raises:
            Refused: A name, a licence, a size or the like will not do.
        """

    def versions(self) -> Iterable[Published]:
        """Return what is there, newest first; the newest hundred are enough."""
        raise NotImplementedError

    def caveats(self) -> Sequence[str]:
        """Return in words what cannot be known or held here; asked after `versions`.

        It is said before anything leaves, in a dry run too, and kept in the receipt.
        """
        return ()

    def upload(self, staged: Staged, newest: Published | None) -> None:
        """Publish a version that carries ``staged.mark``.

        Args:
            staged: What to publish.
            newest: The newest version that was there; None to make the first. Where the
                platform can, refuse if it is another one by now.

        Raises:
            Refused: The platform did not take it.
            TryAgain: It may take it another time; perhaps it even did.
        """
        raise NotImplementedError

    def is_ready(self, published: Published) -> bool:
        """Return whether the platform is done with processing a version.

        Raises:
            Refused: It could not process it.
        """
        return True

    def files(self, published: Published) -> Mapping[str, RemoteFile]:
        """Return the files of a version by name, as the platform tells them."""
        raise NotImplementedError

    def download(self, published: Published, name: str, path: str) -> None:
        """Fetch a file of a version to a path.

        Called for files whose digest the platform does not tell.
        """
        raise NotImplementedError

    def finish(self, published: Published) -> Mapping[str, Any]:
        """Do what comes last, such as pointing an alias at a version.

        Called once a version is verified, whether this try published it or not; so it may
        be called several times, also for a version that is not the newest any more.

        Returns:
            What the receipt is to say of it, beside id, version and URL; plain JSON.
        """
        return {}
