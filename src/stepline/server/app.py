"""The application: routes behind the border, and errors in one form."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from stepline import __version__
from stepline.app.service.service import Service
from stepline.server import (
    artifact_routes,
    content_routes,
    file_routes,
    health_routes,
    pipeline_lists,
    pipeline_routes,
    upkeep_routes,
    upload_routes,
    value_routes,
    workflow_routes,
)
from stepline.server.access import Access
from stepline.server.border import Border
from stepline.server.faults import body_of, encoded, validation_message
from stepline.server.parts import refuse_unknown_parameters

# Where two paths fit, the first counts.
ROUTERS = (
    health_routes.router,
    artifact_routes.router,
    upload_routes.router,
    content_routes.router,
    file_routes.router,
    pipeline_lists.router,
    pipeline_routes.router,
    workflow_routes.router,
    value_routes.router,
    upkeep_routes.router,
)


class _Escaped(JSONResponse):
    """JSON in ASCII: a task may return, or fail with, what has no form in UTF-8."""

    def render(self, content: Any) -> bytes:
        """Return the body."""
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode("ascii")


def make_app(
    service: Service, *, access: Access, report: Callable[[str], None] | None = None
) -> FastAPI:
    """Return the HTTP API of a service.

    Args:
        service: The service; it may be started before or after.
        access: Decides who may do what.
        report: Takes a line about a fault of the service; None: the log of this module.
    """
    app = FastAPI(
        title="Stepline",
        version=__version__,
        openapi_url="/v1/openapi.json",
        # Their pages load scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        default_response_class=_Escaped,
        strict_content_type=False,
        dependencies=[Depends(refuse_unknown_parameters)],
        exception_handlers={
            HTTPException: _answer_refusal,
            RequestValidationError: _answer_invalid,
        },
    )
    app.state.service, app.state.access, app.state.stopping = service, access, asyncio.Event()
    for router in ROUTERS:
        app.include_router(router)
    told = report or logging.getLogger(__name__).error
    app.add_middleware(Border, access=access, org=service.options.org, report=told)
    return app


async def _answer_refusal(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    message = error.detail
    if message == HTTPStatus(error.status_code).phrase:
        message = _words(request, error.status_code)
    return _response(error.status_code, message, dict(error.headers or {}))


async def _answer_invalid(_: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    return _response(HTTPStatus.BAD_REQUEST, validation_message(error.errors()), {})


def _words(request: Request, status: int) -> str:
    """Return what to say where the framework says nothing but the name of the status."""
    if status == HTTPStatus.NOT_FOUND:
        return f"there is nothing at {request.url.path}"
    return f"{request.method} is not possible at {request.url.path}"


def _response(status: int, message: str, headers: dict[str, str]) -> Response:
    content = encoded(body_of(status, message))
    return Response(content, status, headers, media_type="application/json")
