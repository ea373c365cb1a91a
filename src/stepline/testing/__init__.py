"""What authors of task scripts test with: in-memory ports and fixtures.

pytest finds the fixtures by itself. Here are their types, for annotations; importing this
module imports nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stepline.testing.kit.files import Files as Files
    from stepline.testing.kit.files import StoredFile as StoredFile
    from stepline.testing.kit.functions import RunFunction as RunFunction
    from stepline.testing.kit.functions import ScriptModule as ScriptModule
    from stepline.testing.kit.protocols import ProtocolResult as ProtocolResult
    from stepline.testing.kit.protocols import RunProtocol as RunProtocol
    from stepline.testing.kit.protocols import StepResult as StepResult
    from stepline.testing.kit.secrets import Secrets as Secrets

__all__ = [
    "Files",
    "ProtocolResult",
    "RunFunction",
    "RunProtocol",
    "ScriptModule",
    "Secrets",
    "StepResult",
    "StoredFile",
]

_MODULES = {
    "Files": "files",
    "ProtocolResult": "protocols",
    "RunFunction": "functions",
    "RunProtocol": "protocols",
    "ScriptModule": "functions",
    "Secrets": "secrets",
    "StepResult": "protocols",
    "StoredFile": "files",
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.kit.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(_MODULES)
