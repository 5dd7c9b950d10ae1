"""Fast path for POST /v1/messages that bypasses aiohttp's request, task and response objects.

aiohttp costs some 40 us of CPU a request, what is done here about 10. Taken is only what is beyond
doubt: a request of plain fields (as http/framing.py found it), with a token that is in memory and a
good message that nothing has to be looked up for. Everything else, every error too, is left to
aiohttp as the bytes that came, so one place says what is wrong with a request. Only what becomes of
a message that was offered to its owner is answered here, in the bytes that aiohttp would write:
tests/api/test_fastpath.py compares the two.
"""

from __future__ import annotations

import asyncio
import time
from email.utils import formatdate
from functools import partial
from http import HTTPStatus
from typing import NamedTuple

from warouter.api.access.tokens import Caller
from warouter.api.context import Context, Registered
from warouter.api.media import travels_as
from warouter.api.messages.handlers import ACCEPTED, accepted, outgoing
from warouter.api.messages.idempotency import HEADER, key_of
from warouter.api.messages.validate import parse_message
from warouter.api.monitoring.operations import MESSAGES
from warouter.errors import ApiError
from warouter.http.envelope import common_fields, error_body, error_fields
from warouter.http.framing import END, Head
from warouter.http.meter import label_of
from warouter.http.plain import Asking, Reader
from warouter.link.offer import Offering
from warouter.link.wire import Outgoing
from warouter.message_id import SIZE as ID_SIZE
from warouter.message_id import letters_of

FIRST_LINE = b"POST /v1/messages HTTP/1.1\r\n"
HEAD_BYTES = 4096  # of a head that is taken; aiohttp's limits are all above
HEAD_FIELDS = 32
MOST_HEADS = 4096  # kept, of whatever many clients write
_BEARER = b"Bearer "
_KEY = HEADER.lower().encode()
# What makes a request more than a head and as many bytes of body, or means something to aiohttp.
_NOT_PLAIN = frozenset(
    b"transfer-encoding content-encoding expect upgrade te trailer http2-settings"
    b" sec-websocket-key1".split()
)
_LABEL = label_of(*MESSAGES)
_HERE = b"\0"  # where an id belongs


class Known(NamedTuple):
    """A plain head that came before: its body's length, its
    user, and the end of the user's token.
    """

    length: int
    caller: Caller
    ends: float


class FastPath(Reader):
    """The fast path that all connections of one webapp share.

    A client writes the same head again and again. One that was found plain is known by its bytes
    and need not be read, nor its token be looked up, as long as no token changes. So heads, with
    the tokens in them, stay in memory for that long, and nowhere else.

    ``links`` takes a message to its owner.
    """

    def __init__(self, context: Context, links: Offering, registered: Registered) -> None:
        self._context = context
        self._links = links
        self._registered = registered
        self._meter = context.operations.meter
        self._tokens = context.tokens
        self._body_limit = context.config.json_limit
        common = common_fields(server_version=context.config.server_version)
        self._common = "".join(f"{name}: {value}\r\n" for name, value in common.items())
        self._second = 0  # of the Date in _around
        self._around: list[bytes] = []
        self._loop = asyncio.get_running_loop()
        self._answers: list[tuple[Asking, bytes, bool]] = []
        self._heads: dict[bytes, Known] = {}
        self._generation = -1  # of the tokens, when the heads were kept

    def take_known(self, data: bytes, asking: Asking) -> bool:
        """``take`` for a complete request whose head has come before."""
        size = asking.head_size  # as long as the one before: nearly always
        head = self._heads.get(data[:size])
        if head is None:
            size = asking.head_size = data.find(END) + len(END)
            head = self._heads.get(data[:size])
        if head is None or len(data) != size + head.length:
            return False
        if self._generation != self._tokens.generation or time.monotonic() >= head.ends:
            self._heads.clear()
            return False
        message = self._message(head.caller, {}, data[size:])
        return message is not None and self._ask(message, head.caller, asking)

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
        """True if the token is in memory and its user may send messages."""
        return self._entry(head.fields) is not None

    def take(self, head: Head, request: bytes, asking: Asking) -> bool:
        """Offer the message of a complete plain request, and answer
        once its outcome is known. False if the request is declined.
        """
        entry = self._entry(head.fields)
        if entry is None:
            return False
        message = self._message(entry[0], head.fields, request[head.size :])
        if message is None or not self._ask(message, entry[0], asking):
            return False
        if _KEY not in head.fields:
            self._remember(request[: head.size], Known(head.length, *entry))
        return True

    def _remember(self, head: bytes, known: Known) -> None:
        if self._generation != self._tokens.generation or len(self._heads) >= MOST_HEADS:
            self._heads.clear()
            self._generation = self._tokens.generation
        self._heads[head] = known

    def _ask(self, message: Outgoing, caller: Caller, asking: Asking) -> bool:
        meter = self._meter
        meter.fast += 1
        asking.asked()
        done = partial(self._done, asking, meter.begin())
        try:
            self._context.operations.admit(*MESSAGES, caller.username)
            self._links.offer(message, done)
        except ApiError as error:
            done(error)
        return True

    def _entry(self, fields: dict[bytes, bytes]) -> tuple[Caller, float] | None:
        """The user of the token and its end, if they are in memory."""
        given = fields.get(b"authorization", b"")
        if not given.startswith(_BEARER) or not given.isascii():
            return None
        entry = self._tokens.known(given[len(_BEARER) :].decode())
        return None if entry is None or entry[0].must_change else entry

    def _message(self, caller: Caller, fields: dict[bytes, bytes], body: bytes) -> Outgoing | None:
        """The message of a valid request that needs no look-up."""
        if self._context.contacts.required or not self._registered.known:
            return None
        try:
            parsed = parse_message(body)
            key = None
            if _KEY in fields:
                key = key_of([fields[_KEY].decode("utf-8", "replace")], caller.username, body)
        except ApiError:
            return None
        if parsed.media_ids or parsed.type == "hsm":
            return None
        kind = travels_as(parsed.type, body)
        return outgoing(parsed.recipient, kind, body, caller.username, parsed.ttl, key)

    def _done(self, asking: Asking, began: float, outcome: bytes | ApiError) -> None:
        if asking.gone:
            self._meter.answered(_LABEL, 0, began)
            return
        if not self._answers:
            # One after the other, with nothing in between: a client that hears of one wakes up
            # once, and not for each.
            self._loop.call_soon(self._write)
            self._tell_time()
        last = asking.leaving
        try:
            if isinstance(outcome, bytes) and not last:
                self._meter.answered(_LABEL, 201, began)
                head, middle, end = self._around
                letters = letters_of(outcome)
                answer = b"".join((head, self._meter.request_id(), middle, letters, end))
            else:
                answer = self._rare(outcome, began, last=last)
        except Exception as error:  # one outcome of many: the others have theirs
            asking.broke(error)
        else:
            self._answers.append((asking, answer, last))

    def _tell_time(self) -> None:
        """Render the parts of an answer around the ids, once for this turn of the loop."""
        second = int(time.time())
        if second != self._second:
            self._second = second
            head = _head(201, self._common, _HERE, _ACCEPTED_SIZE, second)
            self._around = (head + ACCEPTED % _HERE).split(_HERE)

    def _rare(self, outcome: bytes | ApiError, began: float, *, last: bool) -> bytes:
        """Answer an error, or the last request of a connection."""
        if isinstance(outcome, bytes):
            status, fields, body = 201, "", accepted(outcome)
        else:
            status, body = outcome.status, error_body(outcome)
            fields = "".join(f"{n}: {v}\r\n" for n, v in error_fields(outcome).items())
        self._meter.answered(_LABEL, status, began)
        return (
            _head(
                status,
                fields + self._common,
                self._meter.request_id(),
                len(body),
                time.time(),
                last=last,
            )
            + body
        )

    def _write(self) -> None:
        answers, self._answers = self._answers, []
        now = self._loop.time()
        for asking, answer, last in answers:
            try:
                asking.answer(answer, now, last=last)
            except Exception as error:  # one connection's, not that of those behind it
                asking.broke(error)


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
