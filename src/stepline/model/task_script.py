"""A task script's config.json and manifest.json, as validated data."""

from __future__ import annotations

from dataclasses import field
from typing import Any

from stepline.frozen import frozen
from stepline.model.values import Json


@frozen
class IdsReference:
    """An IDS, ``namespace/slug:version``."""

    namespace: str
    slug: str
    version: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.slug}:{self.version}"


@frozen
class Function:
    """A function that a task script exposes.

    Attributes:
        slug: Name by which protocols call it.
        function: Importable name, ``module.callable``.
        allowed_ids: None when config.json does not say; otherwise the IDS that
            the function may write, possibly none. A single object and an array of
            one differ for no caller, so both are one entry.
    """

    slug: str
    function: str
    allowed_ids: tuple[IdsReference, ...] | None = None

    @property
    def module(self) -> str:
        """Module part of `function`."""
        return self.function.rpartition(".")[0]

    @property
    def attribute(self) -> str:
        """Callable part of `function`."""
        return self.function.rpartition(".")[2]

    def to_plain(self) -> dict[str, Any]:
        """Return every field as plain JSON."""
        allowed = self.allowed_ids
        return {**vars(self), "allowed_ids": allowed and [dict(vars(ids)) for ids in allowed]}

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Function:
        """Rebuild a function from what `to_plain` returned."""
        allowed = plain["allowed_ids"]
        if allowed is not None:
            allowed = tuple(IdsReference(**ids) for ids in allowed)
        return cls(**{**plain, "allowed_ids": allowed})


@frozen(kw_only=True)
class ImageChoices:
    """What config.json says about the image, under ``image``.

    Attributes:
        reference: An image of a registry to use as the base; empty for the runtime's own.
        command: What the image runs when it is started plainly; empty for the base's.
        groups: Dependency groups of ``pyproject.toml`` to install, from the lock file
            beside it, in place of ``requirements.txt``; empty for the latter.
        system: Debian packages to install.
        components: Folders of Python projects in the script's folder, installed from source.
        max_bytes: Largest size of the image, bytes; None for any.
    """

    reference: str = ""
    command: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    system: tuple[str, ...] = ()
    components: tuple[str, ...] = ()
    max_bytes: int | None = None

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> ImageChoices:
        """Rebuild the choices from their fields as plain JSON."""
        lists = {name: tuple(value) for name, value in plain.items() if isinstance(value, list)}
        return cls(**{**plain, **lists})


@frozen
class TaskScript:
    """A validated config.json.

    Attributes:
        functions: In the author's order, slugs unique.
        runtime: Python asked for, ``3.N``, or None when config.json does not say.
        memory_mb: Default memory of a task in MiB, or None.
        extra: Keys that are kept without effect (``sdkVersion`` and the like).
        image: What it says about its image.
    """

    functions: tuple[Function, ...]
    runtime: str | None = None
    memory_mb: int | None = None
    extra: dict[str, Json] = field(default_factory=dict)
    image: ImageChoices = ImageChoices()

    def find(self, slug: str) -> Function | None:
        """Return the function with this slug, or None."""
        return next((f for f in self.functions if f.slug == slug), None)

    def to_plain(self) -> dict[str, Any]:
        """Return every field as plain JSON."""
        functions = [function.to_plain() for function in self.functions]
        return {**vars(self), "functions": functions, "image": dict(vars(self.image))}

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> TaskScript:
        """Rebuild a task script from what `to_plain` returned."""
        functions = tuple(Function.from_plain(function) for function in plain["functions"])
        image = ImageChoices.from_plain(plain["image"])
        return cls(**{**plain, "functions": functions, "image": image})


@frozen
class Manifest:
    """Identity and catalogue data of an artifact, from manifest.json.

    Attributes:
        kind: ``task-script``, ``protocol``, ``ids`` or another artifact kind.
    """

    kind: str
    namespace: str
    slug: str
    version: str
    name: str = ""
    description: str = ""
    extra: dict[str, Json] = field(default_factory=dict)

    def to_plain(self) -> dict[str, Any]:
        """Return every field as plain JSON."""
        return dict(vars(self))

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Manifest:
        """Rebuild a manifest from what `to_plain` returned."""
        return cls(**plain)
