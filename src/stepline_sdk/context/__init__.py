"""The Context: a function's only door to the platform."""

from __future__ import annotations

from stepline_sdk.context.attributes import AttributesMixin
from stepline_sdk.context.schemas import SchemasMixin
from stepline_sdk.context.services import ServicesMixin
from stepline_sdk.context.writing import WritingMixin
from stepline_sdk.errors import ConcurrentModificationError as _ConcurrentModificationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Context(AttributesMixin, WritingMixin, SchemasMixin, ServicesMixin):
    """What a function gets as its second argument.

    Every value of the task is an attribute: ``org_slug``, ``pipeline_id``,
    ``workflow_id``, ``task_id``, ``pipeline_config``, ``input_file`` and so on. Reads,
    writes, labels, schemas, secrets and searches are methods; each is one call to the
    platform, and bytes pass through a folder that both see.
    """

    ConcurrentModificationError = _ConcurrentModificationError

    def __getattr__(self, name: str) -> Any:
        # Reached only for a name that is nowhere else.
        message = "the context has no attribute %r" % name
        if not name.startswith("_"):
            from difflib import get_close_matches

            known = [known for known in dir(self) if not known.startswith("_")]
            near = get_close_matches(name, known, n=3)
            message += "; did you mean %s?" % " or ".join(near) if near else ""
        raise AttributeError(message)
