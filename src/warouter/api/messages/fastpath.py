"""Fast path for POST /v1/messages that bypasses aiohttp's request, task and response objects.

aiohttp costs some 40 us of CPU a request, what is done here about 10. Taken is only what is beyond
doubt: a request of plain fields (as http/framing.py found it), with a token or key that is in
memory and a good message that nothing has to be looked up for. Everything else, every error too, is
left to aiohttp as the bytes that came, so one place says what is wrong with a request. Only what
becomes of a message that was offered to its owner is answered here, in the bytes that aiohttp would
write:
tests/api/test_fastpath.py compares the two.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from email.utils import formatdate
from functools import partial
from http import HTTPStatus

from warouter.access.scopes import Scope
from warouter.api.access.auth import D360_HEADER
from warouter.api.access.caller import Caller
from warouter.api.access.tokens import Entry
from warouter.api.account.registration import OnceRegistered
from warouter.api.context import Context
from warouter.api.media import travels_as
from warouter.api.messages import _plain
from warouter.api.messages.handlers import ACCEPTED, accepted, outgoing
from warouter.api.messages.idempotency import HEADER, key_of
from warouter.api.messages.options import IN_DOUBT, PRIORITY
from warouter.api.messages.validate import parse_message
from warouter.api.monitoring.operations import MESSAGES
from warouter.errors import ApiError
from warouter.http.envelope import Envelopes, common_fields, error_fields
from warouter.http.framing import Head
from warouter.http.meter import label_of
from warouter.http.plain import Asking, Reader
from warouter.link.client import Links
from warouter.link.wire import Outgoing
from warouter.message_id import SIZE as ID_SIZE

FIRST_LINE = b"POST /v1/messages HTTP/1.1\r\n"
HEAD_BYTES = 4096  # of a head that is taken; aiohttp's limits are all above
HEAD_FIELDS = 32
MOST_HEADS = 4096  # kept, of whatever many clients write
_BEARER = b"Bearer "
_KEY = HEADER.lower().encode()
_D360 = D360_HEADER.lower().encode()
# What makes a request more than a head and as many bytes of body, means something to aiohttp, or is
# asked for by a few senders only.
_NOT_PLAIN = frozenset(
    b"transfer-encoding content-encoding expect upgrade te trailer http2-settings"
    b" sec-websocket-key1".split()
) | {IN_DOUBT.lower().encode(), PRIORITY.lower().encode()}
_LABEL = label_of(*MESSAGES)
_HERE = b"\0"  # where an id belongs


class FastPath(Reader):
    """The fast path that all connections of one webapp share.

    A client writes the same head again and again. One that was found plain is known by its bytes
    and need not be read, nor its token be looked up, as long as no token of its number changes. So
    heads, with the tokens and keys in them, stay in memory for that long, and nowhere else. A
    request with such a head is taken by ``_plain``, which also writes all answers; this reads every
    other one.

    ``links`` takes a message to its owner.
    """

    def __init__(self, context: Context, links: Links, registered: OnceRegistered) -> None:
        self._context = context
        self._registered = registered
        self._meter = context.operations.meter
        self._tokens = context.tokens
        self._body_limit = context.config.json_limit
        common = common_fields(server_version=context.config.server_version)
        self._d360 = context.config.d360
        self._words = Envelopes(common, d360=context.config.d360)
        self._common = "".join(f"{name}: {value}\r\n" for name, value in common.items())
        operations = context.operations
        self._plain = _plain.Plain(
            self,
            registered,
            links,
            None if operations.rates is None else partial(operations.admit, *MESSAGES),
            asyncio.get_running_loop().call_soon,
        )
        self._meter.fast_path = self._plain
        context.tokens.others = self._uses

    @property
    def heads(self) -> dict[bytes, _plain.Known]:
        """The heads that have come before."""
        return self._plain.heads

    @property
    def leaving(self) -> bool:
        """True once each answer is the last of its connection."""
        return self._plain.leaving

    @leaving.setter
    def leaving(self, leaving: bool) -> None:
        self._plain.leaving = leaving

    def client(self, asking: Asking, otherwise: Callable[[bytes], None]) -> _plain.Client:
        """A new connection's side of this."""
        return _plain.Client(self._plain, asking, otherwise)

    def plain(self, head: Head) -> bool:
        """True if the head has nothing but a token and the length of a message."""
        fields = head.fields
        return (
            head.line == FIRST_LINE
            and 0 < head.length <= self._body_limit
            and not head.twice
            and head.size <= HEAD_BYTES
            and len(fields) <= HEAD_FIELDS
            and _NOT_PLAIN.isdisjoint(fields)
            and (b"connection" not in fields or fields[b"connection"].lower() == b"keep-alive")
        )

    def knows(self, head: Head) -> bool:
        """True if the token or key is in memory and its holder may send messages."""
        return self._entry(head) is not None

    def take(self, head: Head, request: bytes, client: _plain.Client) -> bool:
        """Offer the message of a complete plain request, and answer
        once its outcome is known. False if the request is declined.
        """
        entry = self._entry(head)
        if entry is None:
            return False
        message = self._message(entry.caller, head.fields, request[head.size :])
        if message is None:
            return False
        if _KEY not in head.fields:
            realm = self._tokens.realm(entry.caller.number)
            known = _plain.Known(request[: head.size], head.length, *entry, realm, realm.generation)
            self._plain.remember(known, MOST_HEADS)
        client.ask(message, entry.caller)
        return True

    def _uses(self) -> list[tuple[Caller, float]]:
        """When whose token or key was used last: with a known head none is looked up."""
        return [(known.caller, known.used) for known in self.heads.values()]

    def _entry(self, head: Head) -> Entry | None:
        """The holder of a token or key that may send, if they are in memory and come to the URL of
        their number, or to one that is nobody's.

        A head says nothing of where it comes from: a key for some networks is checked by aiohttp.
        """
        fields = head.fields
        given = fields.get(b"authorization", b"")
        if self._d360 and _D360 in fields:
            if given:  # two credentials
                return None
            given = _BEARER + fields[_D360]
        if not given.startswith(_BEARER) or not given.isascii():
            return None
        entry = self._tokens.known(given[len(_BEARER) :].decode())
        if entry is None or entry.caller.must_change or entry.caller.lacks(Scope.SEND):
            return None
        host = fields.get(b"host", b"")
        if self._tokens.numbers.contradicts(entry.caller.number, head.number, host):
            return None
        return None if entry.caller.grant is not None and entry.caller.grant.networks else entry

    def _message(self, caller: Caller, fields: dict[bytes, bytes], body: bytes) -> Outgoing | None:
        """The message of a valid request that needs no look-up."""
        if self._context.contacts.required or caller.number not in self._registered.known:
            return None
        try:
            parsed = parse_message(body)
            key = None
            if _KEY in fields:
                given = [fields[_KEY].decode("utf-8", "replace")]
                key = key_of(given, caller.username, body, caller.number)
        except ApiError:
            return None
        if parsed.media_ids or parsed.type == "hsm" or parsed.body:
            return None
        kind = travels_as(parsed.type, body)
        return outgoing(parsed.recipient, kind, body, caller, parsed.ttl, key)

    # what _plain asks for

    def around(self, second: int) -> list[bytes]:
        """The parts of a 201 around the ids of its request and message, at a time since 1970."""
        head = _head(201, self._common, _HERE, _ACCEPTED_SIZE, second)
        return (head + ACCEPTED % _HERE).split(_HERE)

    def rare(self, outcome: bytes | ApiError, last: bool) -> tuple[int, bytes]:
        """Status and bytes of any answer, also of an error, or the last one of a connection."""
        if isinstance(outcome, bytes):
            status, fields, body = 201, "", accepted(outcome)
        else:
            status, body = outcome.status, self._words.body(outcome)
            fields = "".join(f"{n}: {v}\r\n" for n, v in error_fields(outcome).items())
        head = _head(
            status,
            fields + self._common,
            self._meter.request_id(),
            len(body),
            time.time(),
            last=last,
        )
        return status, head + body

    def count(self, status: int, requests: int, seconds: float) -> None:
        """Requests have ended; status 0 means that the client had left."""
        self._meter.count(_LABEL, status, requests, seconds)


def _head(
    status: int, fields: str, request_id: bytes, size: int, now: float, *, last: bool = False
) -> bytes:
    """A response head with its fields in aiohttp's order."""
    return (
        f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: application/json\r\n{fields}"
        f"X-Request-Id: {request_id.decode()}\r\nContent-Length: {size}\r\n"
        f"Date: {formatdate(now, usegmt=True)}\r\n{'Connection: close' if last else ''}"
    ).encode() + (b"\r\n\r\n" if last else b"\r\n")


_ACCEPTED_SIZE = len(accepted(bytes(ID_SIZE)))
_REASONS = {status.value: status.phrase for status in HTTPStatus}
