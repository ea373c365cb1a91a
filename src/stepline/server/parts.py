"""What routes have in common: the service, pages, and parameters."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from fastapi import Depends, Query, Request
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict

from stepline.app.service.service import Service
from stepline.ports.state import Page
from stepline.server.access import Access
from stepline.server.faults import Refused

T = TypeVar("T")

MOST = 1000
OPEN_PARAMETERS = "x-open-parameters"


class Body(BaseModel):
    """A request's body: fields of the right types, and no others."""

    model_config = ConfigDict(extra="forbid", strict=True)


async def service_of(request: Request) -> Service:
    """Return the service."""
    found: Service = request.app.state.service
    return found


async def access_of(request: Request) -> Access:
    """Return who decides about access."""
    found: Access = request.app.state.access
    return found


async def refuse_unknown_parameters(request: Request) -> None:
    """Refuse parameters that a route does not know, for they would be ignored.

    Raises:
        Refused: There is one.
    """
    route = request.scope.get("route")
    if not isinstance(route, APIRoute) or (route.openapi_extra or {}).get(OPEN_PARAMETERS):
        return
    known = {field.alias for field in route.dependant.query_params}
    unknown = [name for name in request.query_params if name not in known]
    if unknown:
        raise Refused(400, f"the parameter '{unknown[0]}' is not known here")


TheService = Annotated[Service, Depends(service_of)]
TheAccess = Annotated[Access, Depends(access_of)]
Limit = Annotated[int, Query(ge=1, le=MOST)]
After = Annotated[int, Query(ge=0)]


def page_value(page: Page[Any], items: list[T]) -> dict[str, Any]:
    """Return a page of a list in the one form of our lists."""
    return {"items": items, "total": page.total, "after": page.after}
