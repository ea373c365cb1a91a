"""The platform's end of a Context: every call that a task can make.

A call is a method's name and an object of parameters; the answer is JSON. What the
task says is checked again here, whatever its sdk has checked. Bulk bytes are in files
of the scratch folder, which calls and answers name. ``file`` is a file pointer.

==================== ============================================ =====================
method               parameters                                   answer
==================== ============================================ =====================
read_file            file                                         scratch, owned,
                                                                  fileName, file,
                                                                  metadata,
                                                                  custom_metadata,
                                                                  custom_tags
write_file           scratch, isData, fileName, category, ids,    pointer
                     sourceType, customMetadata, customTags,
                     labels, ifMatch, ifNoneMatch
write_detached_file  the same, sourceName, sourceId               pointer
write_ids            the same as write_file, with fileSuffix      pointer
                     instead of fileName
get_file_id          file                                         text
get_file_info        fileId                                       record
get_file_pointer     fileId                                       pointer
get_presigned_url    file, ttlSec                                 url or scratch
update_metadata_tags file, customMetadata (null deletes),         pointer
                     customTags, newFileId
add_attributes       file, customMetadata, customTags, labels     pointer
add_labels           file, labels, noPropagate                    labels with id
get_labels           file                                         labels with id
delete_labels        file, labelIds, noPropagate                  labels with id
get_ids              namespace, slug, version                     schema
get_schema_artifact  namespace, slug, version                     schema
validate_ids         scratch, namespace, slug, version,           null
                     ignoreAllowedIds
resolve_secret       ssm                                          value, problem
find_secrets         scratch                                      list of secret and
                                                                  member
search_eql           payload, query                               hits
==================== ============================================ =====================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from stepline.app import (
    context_attributes,
    context_reading,
    context_schemas,
    context_services,
    context_writing,
)
from stepline.app.attempt_scope import AttemptScope
from stepline.app.call_errors import CallRefused
from stepline.errors import PlatformError, UserError
from stepline.model.values import Json

Handler = Callable[[AttemptScope, Mapping[str, Any]], Json]

HANDLERS: Mapping[str, Handler] = {
    handler.__name__: handler
    for handler in (
        context_reading.read_file,
        context_reading.get_file_id,
        context_reading.get_file_info,
        context_reading.get_file_pointer,
        context_reading.get_presigned_url,
        context_writing.write_file,
        context_writing.write_detached_file,
        context_writing.write_ids,
        context_attributes.update_metadata_tags,
        context_attributes.add_attributes,
        context_attributes.add_labels,
        context_attributes.get_labels,
        context_attributes.delete_labels,
        context_schemas.get_ids,
        context_schemas.get_schema_artifact,
        context_schemas.validate_ids,
        context_services.resolve_secret,
        context_services.find_secrets,
        context_services.search_eql,
    )
}


class TaskContextService:
    """Answers the calls of one attempt, one at a time.

    Args:
        scope: What the attempt may use.
    """

    def __init__(self, scope: AttemptScope) -> None:
        self.scope = scope

    def handle(self, method: str, params: Mapping[str, Any]) -> Json:
        """Do one call and return its answer.

        Raises:
            CallRefused: The call is refused, or cannot be done; it says which exception
                the task script is to see.
        """
        handler = HANDLERS.get(method)
        if handler is None:
            raise CallRefused("NotAvailableError", f"this platform has no call '{method}'")
        if not isinstance(params, dict):
            raise CallRefused("TypeError", f"parameters are an object, not {params!r}")
        try:
            return handler(self.scope, params)
        except UserError as error:
            raise CallRefused("ValueError", str(error)) from error
        except RecursionError as error:
            raise CallRefused("ValueError", "the parameters are nested too deeply") from error
        except (PlatformError, OSError) as error:
            raise CallRefused("PlatformError", str(error)) from error

    def answer(self, method: str, params: Mapping[str, Any]) -> dict[str, Json]:
        """Do one call and return ``{"value": …}`` or ``{"error": {"type", "message"}}``."""
        try:
            return {"value": self.handle(method, params)}
        except CallRefused as refusal:
            return {"error": {"type": refusal.kind, "message": refusal.message}}
