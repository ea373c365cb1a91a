"""A stand-in for the one call of AWS's registry that gives tokens, on the real wire.

It checks signatures as AWS does, by the secret of the one key that it knows.
"""

from __future__ import annotations

import base64
import contextlib
import datetime
import json
import threading
from collections.abc import Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

KEY_ID, KEY_SECRET, REGION = "AKIATESTSTESTSTESTS1", "a-secret-key-of-tests", "eu-test-1"
LIFE_S = 12 * 3600
_TARGET = "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken"
_MOST_SKEW_S = 300


class EcrStandIn:
    """Gives tokens that are numbered, each for 12 hours.

    Attributes:
        now: What its clock shows, seconds since the epoch.
        given: How many tokens it gave.
        code: Error that it answers with, in place of a token.
    """

    def __init__(self) -> None:
        self.now = 1_700_000_000.0
        self.given = 0
        self.code = ""
        self.url = ""

    def answer(self, headers: Any, body: bytes) -> tuple[int, dict[str, Any]]:
        """Return status and body of an answer."""
        if headers["X-Amz-Target"] != _TARGET:
            return 400, {"__type": "UnknownOperationException"}
        if self.code:
            return 400, {"__type": self.code, "message": f"refused, {KEY_SECRET}"}
        signed_at = datetime.datetime.strptime(headers["X-Amz-Date"] + "+0000", "%Y%m%dT%H%M%SZ%z")
        if signed_at.timestamp() < self.now - _MOST_SKEW_S:
            message = "Signature expired: it is now earlier than it may be"
            return 400, {"__type": "InvalidSignatureException", "message": message}
        if not signed(headers, body, self.url):
            message = "The request signature we calculated does not match the one you provided"
            return 400, {"__type": "InvalidSignatureException", "message": message}
        self.given += 1
        token = base64.b64encode(f"AWS:token-number-{self.given}".encode()).decode()
        data = {"authorizationToken": token, "expiresAt": self.now + LIFE_S, "proxyEndpoint": ""}
        return 200, {"authorizationData": [data]}


def signed(headers: Any, body: bytes, url: str) -> bool:
    """Tell whether a request is signed with the secret of the known key."""
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    given = headers["Authorization"]
    names = given.split("SignedHeaders=")[1].split(",")[0].split(";")
    request = AWSRequest("POST", f"{url}/", data=body, headers={n: headers[n] for n in names})
    request.context["timestamp"] = headers["X-Amz-Date"]
    signer = SigV4Auth(Credentials(KEY_ID, KEY_SECRET), "ecr", REGION)
    text = signer.string_to_sign(request, signer.canonical_request(request))
    return bool(given.endswith(signer.signature(text, request)) and f"={KEY_ID}/" in given)


@contextlib.contextmanager
def ecr_standin() -> Iterator[EcrStandIn]:
    """Run a stand-in on the loopback."""
    service = EcrStandIn()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, told = service.answer(self.headers, body)
            content = json.dumps(told).encode()
            self.send_response_only(status)
            self.send_header("Date", formatdate(service.now, usegmt=True))
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *words: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        service.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield service
        finally:
            server.shutdown()
            thread.join()
