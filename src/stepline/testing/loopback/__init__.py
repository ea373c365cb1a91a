"""Services on a loopback port, for tests of what talks to services.

A stand-in answers a platform's real client from what it remembers, keeps a record that
tests read, and goes wrong in the way a test asks for. A request passes through the modules
in this order: ``listener`` (bytes to `Request`), ``standin`` (names it, keeps the record),
``faults`` (what a test wants to go wrong) and the stand-in's own `StandIn.answer`. ``proxy``
puts the same faults in front of a real server.
"""

from __future__ import annotations

from stepline.testing.loopback.faults import (
    Cut,
    CutReply,
    FailAfter,
    Fault,
    Hold,
    OperationFault,
    Refuse,
    Slow,
    WrongBytes,
)
from stepline.testing.loopback.messages import (
    RefusedError,
    Reply,
    Request,
    error_reply,
    json_reply,
)
from stepline.testing.loopback.standin import Call, StandIn

__all__ = [
    "Call",
    "Cut",
    "CutReply",
    "FailAfter",
    "Fault",
    "Hold",
    "OperationFault",
    "Refuse",
    "RefusedError",
    "Reply",
    "Request",
    "Slow",
    "StandIn",
    "WrongBytes",
    "error_reply",
    "json_reply",
]
