"""A status of a webhook in its v1 form: our id, our number, v1 errors. Pure.

Which of them v1 hears, and in which order, is decided elsewhere (``flow.statuses``).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from warouter.codes import error_object
from warouter.flow.statuses import FAILED, RANKS
from warouter.upstream.cloud import lenient
from warouter.upstream.cloud.readers import time_of
from warouter.upstream.cloud.reported import errors_of

# Names that v1 has. Meta knows more: ``played`` tells of a voice message.
NAMES = frozenset((*RANKS, FAILED, "deleted", "warning"))

_UNKNOWN = 500
_encode = msgspec.json.Encoder().encode


class V1Status(NamedTuple):
    """``payload`` is the element of statuses[], ``timestamp`` unix s, 0 if Meta's was no time."""

    status: str
    timestamp: int
    payload: bytes


def to_v1(raw: bytes, message_id: str, recipient: str) -> V1Status | None:
    """The v1 form of an element of statuses[]; None if v1 has no such status.

    ``message_id`` is the v1 id (27 letters), ``recipient`` the v1 wa_id of our message, whatever
    the element says of either.
    """
    found = lenient.content(raw)
    name = found.get("status")
    if not isinstance(name, str) or name not in NAMES:
        return None
    timestamp = time_of(found.get("timestamp"))
    payload: dict[str, Any] = {
        "id": message_id,
        "recipient_id": recipient,
        "message": {"recipient_id": recipient},
        "type": "message",
        "status": name,
        "timestamp": str(timestamp),
    }
    for billing in ("conversation", "pricing"):
        if isinstance(found.get(billing), dict):
            payload[billing] = found[billing]
    errors = errors_of(found.get("errors"))
    if name == FAILED:
        payload["errors"] = errors or [error_object(_UNKNOWN)]
    elif errors:
        payload["errors"] = errors
    return V1Status(name, timestamp, _encode(payload))
