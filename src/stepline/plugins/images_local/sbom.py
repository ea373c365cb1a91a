"""The software list of an image as CycloneDX JSON: the same image, the same text."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from stepline.errors import PlatformError
from stepline.model.image import Image, Package
from stepline.plugins.images_local.configs import CREATED

if TYPE_CHECKING:
    from cyclonedx.model.license import License

_SPACE = uuid.UUID("6d1f0b1e-6a3b-5b51-9a55-0f6f3a3c2f10")


def write_sbom(image: Image, packages: Sequence[Package]) -> str:
    """Return a software list.

    Args:
        image: The image.
        packages: What is in it.

    Raises:
        PlatformError: The library for it is not installed.
    """
    try:
        from cyclonedx.model.bom import Bom, BomMetaData
        from cyclonedx.model.component import Component, ComponentType
        from cyclonedx.output.json import JsonV1Dot5
        from packageurl import PackageURL
    except ImportError as error:
        raise PlatformError(
            "the CycloneDX library is not installed",
            hint="pip install 'stepline[images]'; `stepline image inspect` lists the software "
            "without it",
        ) from error
    components = []
    for package in packages:
        purl = PackageURL(
            type=package.system,
            namespace="debian" if package.system == "deb" else None,
            name=package.name,
            version=package.version,
        )
        components.append(
            Component(
                name=package.name,
                version=package.version,
                type=ComponentType.LIBRARY,
                purl=purl,
                bom_ref=str(purl),
                licenses=[_licence(package.licence)] if package.licence else (),
            )
        )
    whole = Component(
        name="task-script", version=image.id, type=ComponentType.CONTAINER, bom_ref=image.id
    )
    bom = Bom(
        serial_number=uuid.uuid5(_SPACE, image.id),
        components=components,
        metadata=BomMetaData(component=whole, timestamp=_created()),
    )
    bom.register_dependency(whole, components)
    return JsonV1Dot5(bom).output_as_string(indent=2) + "\n"


def _created() -> datetime:
    return datetime.fromisoformat(CREATED).astimezone(UTC)


def _licence(text: str) -> License:
    """Return a licence as CycloneDX tells it: an id of SPDX, an expression, or a name."""
    from cyclonedx import spdx
    from cyclonedx.model.license import DisjunctiveLicense, LicenseExpression

    if known := spdx.fixup_id(text):
        return DisjunctiveLicense(id=known)
    if spdx.is_expression(text):
        return LicenseExpression(text)
    return DisjunctiveLicense(name=text)
