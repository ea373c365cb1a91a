"""Images of task scripts on this machine: made by assembling layers."""

from __future__ import annotations

from collections.abc import Mapping

from stepline.ports.hookspecs import hookimpl
from stepline.ports.images import ImageOptions, Images


@hookimpl
def stepline_images(name: str, options: ImageOptions, environ: Mapping[str, str]) -> Images | None:
    """Provide the images named ``local``."""
    if name != "local":
        return None
    from stepline.plugins.images_local.images import LocalImages

    return LocalImages(options, environ)
