"""Push files to a bucket of S3, or of a store that speaks its language."""

from typing import Any
from urllib.parse import urlsplit

from s3_client import connect
from s3_versions import VersionsInBucket

from stepline_sdk.push import Given, is_private, push


def push_files(input: dict, context: Any) -> dict:
    """Publish files as a new version below a prefix; done only once they read back the same."""
    given = Given(input)
    endpoint = _endpoint(given)
    clients = connect(
        endpoint,
        region=given.text("region", ""),
        keys=_keys(given, context),
        addressing=given.choice("addressing", ("auto", "path", "virtual"), "auto"),
        checksums=given.flag("checksums", True),
    )
    destination = VersionsInBucket(
        clients,
        bucket=given.text("bucket"),
        prefix=given.text("prefix", ""),
        store=urlsplit(endpoint).netloc,
        checksums=given.flag("checksums", True),
        conditional_writes=given.flag("conditional_writes", True),
        workflow=context.workflow_id,
    )
    return push(
        context,
        destination,
        given.files(context),
        **given.options(),
    )


def _endpoint(given: Given) -> str:
    """Return the address of a store; empty for Amazon's own.

    Raises:
        ValueError: It is no address, has credentials in it, or others can read what goes there.
    """
    url = given.address("endpoint_url", "")
    if url and not is_private(url) and not given.flag("allow_http"):
        raise ValueError(
            "input 'endpoint_url' must begin with https://: files, signatures and session tokens "
            "would be readable on their way; in a network of your own set 'allow_http' to true"
        )
    return url


def _keys(given: Given, context: Any) -> tuple[str, str] | None:
    """Return access key and secret key; None where neither is given.

    Raises:
        ValueError: One of them is missing, or has no value.
    """
    pair = given.secret(context, "access_key", ""), given.secret(context, "secret_key", "")
    for name, value in zip(("access_key", "secret_key"), pair, strict=True):
        if any(pair) and not value:
            raise ValueError(f"input '{name}' is missing, though the other key is given")
    return pair if all(pair) else None
