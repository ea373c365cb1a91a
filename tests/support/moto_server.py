"""moto's stand-in for AWS on loopback, as a process of its own.

It lets any key in until it is locked. Then it knows the users that a test made, checks signatures
by their secrets, and lets each do what its policy says.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.support.own_servers import free_port, running

REGION = "eu-central-1"
# Without a policy of its own a user may do nothing; these are known while it is not locked.
ANY_KEY = ("AKIATESTSTESTSTESTS1", "a-secret-key-of-tests")
_UP_S = 60.0
_ANSWER_S = 10.0
_NEVER = 1_000_000_000


class MotoServer:
    """A server that is up.

    Attributes:
        url: Its address, for an endpoint's URL.
        folder: Where its log is.
        pid: Its process.
    """

    def __init__(self, url: str, folder: Path, pid: int) -> None:
        self.url = url
        self.folder = folder
        self.pid = pid

    def reset(self) -> None:
        """Forget everything that is stored, and let any key in."""
        self._tell("reset-auth", str(_NEVER))
        self._tell("reset", "")

    def lock(self) -> None:
        """Let in nobody but the users that were made, with their rights."""
        self._tell("reset-auth", "0")

    def unlock(self) -> None:
        """Let any key in again; what is stored stays."""
        self._tell("reset-auth", str(_NEVER))

    def client(self, service: str, key: tuple[str, str] = ANY_KEY) -> Any:
        """Return a boto3 client of a service, such as ``s3``, with the id and secret of a key."""
        import boto3
        from botocore.config import Config

        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=key[0],
            aws_secret_access_key=key[1],
            config=Config(retries={"total_max_attempts": 1}, proxies={}),
        )

    def user(self, name: str, *actions: str, resource: str = "*") -> tuple[str, str]:
        """Make a user who may do some actions, such as ``s3:GetObject``; return the key.

        To be called while it is not locked.
        """
        iam = self.client("iam")
        iam.create_user(UserName=name)
        rights = [{"Effect": "Allow", "Action": list(actions), "Resource": resource}]
        if actions:
            document = json.dumps({"Version": "2012-10-17", "Statement": rights})
            iam.put_user_policy(UserName=name, PolicyName="rights", PolicyDocument=document)
        made = iam.create_access_key(UserName=name)["AccessKey"]
        return made["AccessKeyId"], made["SecretAccessKey"]

    def bucket(self, name: str, *, versioned: bool = False) -> str:
        """Make a bucket, and return its name."""
        s3 = self.client("s3")
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
        if versioned:
            s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        return name

    def objects(self, bucket: str) -> dict[str, bytes]:
        """Return what is in a bucket, by key; to be called while it is not locked."""
        s3 = self.client("s3")
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        keys = [each["Key"] for page in pages for each in page.get("Contents", ())]
        return {key: s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}

    def _tell(self, what: str, content: str) -> None:
        url = f"{self.url}/moto-api/{what}"
        answer = httpx.post(url, content=content, timeout=_ANSWER_S, trust_env=False)
        assert answer.is_success, answer.text


@contextmanager
def serve_moto(python: Path, folder: Path) -> Iterator[MotoServer]:
    """Run a server with nothing in it.

    Args:
        python: Interpreter of an environment that has it.
        folder: An empty folder.
    """
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [python, "-m", "moto.server", "-H", "127.0.0.1", "-p", port]
    with running(command, probe=f"{url}/moto-api/", folder=folder, up_s=_UP_S) as process:
        server = MotoServer(url, folder, process.pid)
        server.unlock()
        yield server
