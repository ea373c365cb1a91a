"""How the service is, and what it is."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from stepline import __version__
from stepline.model.pipeline_rules import MAX_RETRIES, MAX_RETRY_DELAY_S
from stepline.model.workflow import RetryPolicy
from stepline.server.parts import TheService

router = APIRouter(tags=["service"])


@router.get("/health")
def health(service: TheService) -> dict[str, Any]:
    """Return whether all is well."""
    faults = list(service.faults)
    status = "degraded" if faults else "ok"
    return {"status": status, "version": __version__, "faults": faults}


@router.get("/v1/platform/info")
@router.get("/v1/pipeline/platform/info")
def platform_info(service: TheService) -> dict[str, Any]:
    """Return what people who set up pipelines need to know."""
    return {
        "version": __version__,
        "orgSlug": service.options.org,
        "retry": {
            "maxRetryCountDefault": RetryPolicy().max_retries,
            "maxRetryCountLimit": MAX_RETRIES,
            "maxRetryDelaySeconds": MAX_RETRY_DELAY_S,
        },
    }
