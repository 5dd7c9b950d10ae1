"""``POST …/messages``: from a whole request to its answer, by its fate. Pure but for drawn numbers.

The simulation of whole clusters runs it too, on virtual time and a network of its own: who asks,
what time it is and what happens later are given.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random
from typing import NamedTuple, Protocol

from warouter.lab.simulator.cloud.columns import RequestOutcome
from warouter.lab.simulator.cloud.faults import CloudFaults
from warouter.lab.simulator.cloud.graph import errors, fate
from warouter.lab.simulator.cloud.graph.errors import GraphError
from warouter.lab.simulator.cloud.graph.fate import RequestFate
from warouter.lab.simulator.cloud.intake import CloudIntake
from warouter.lab.simulator.cloud.message import AskedMessage, read
from warouter.lab.simulator.cloud.record import CloudRecord

UNAVAILABLE = 131016
_GRAPH_CODE = 6  # digits
_UNCLEAR = ("500", "502", "200", "131000")
_ELSEWHERE = "http://127.0.0.1:9/v25.0/1/messages"
_TROUBLES = {
    "500": (500, b"", "text/plain"),
    "502": (502, b"<html><head><title>502 Bad Gateway</title></head></html>", "text/html"),
    "200": (200, b'{"messaging_product":"wha', "application/json"),
    "redirect": (307, b"", "text/plain"),
    "large": (200, b" " * (16 << 20), "application/json"),
}


class Asker(Protocol):
    """The connection of a request. It is answered, half answered, reset or closed once."""

    requests: int

    @property
    def is_open(self) -> bool: ...

    def when_gone(self, then: Callable[[], None]) -> None: ...

    def answer(self, status: int, body: bytes, kind: str = ..., location: str = ...) -> None: ...

    def half(self, status: int, body: bytes) -> None: ...

    def endless(self) -> None: ...

    def close(self) -> None: ...

    def reset(self) -> None: ...


class EdgeClock(NamedTuple):
    """Monotonic and unix seconds, and how something happens so many seconds ``later``."""

    now: Callable[[], float]
    wall: Callable[[], float]
    later: Callable[[float, Callable[[], None]], object]


class _Call(NamedTuple):
    connection: Asker
    begun: float
    asked: AskedMessage
    row: int
    fate: RequestFate


class MessagesEdge:
    """The edge ``messages`` of the number. ``when_open`` does something now, or once the line to
    the callers is mended.
    """

    def __init__(
        self,
        intake: CloudIntake,
        record: CloudRecord,
        switches: Callable[[], CloudFaults],
        when_open: Callable[[Callable[[], None]], None],
        trace: Callable[[], str],
        random: Random,
        clock: EdgeClock,
    ) -> None:
        self._intake = intake
        self._record = record
        self._switches = switches
        self._when_open = when_open
        self._trace = trace
        self._random = random
        self._clock = clock

    def handle(self, connection: Asker, body: bytes, begun: float, begun_wall: float) -> None:
        """Take one request, which has come as a whole; its first byte at ``begun``."""
        faults = self._switches()
        try:
            ignores = faults.unknown_keys == "ignore"
            asked = read(body, need_plus=faults.need_plus, ignore_unknown=ignores)
        except GraphError as error:
            self._record.counters.unreadable += 1
            connection.answer(*self._refusal(error))
            return
        if asked.read:
            self._record.marked(asked.read, typing=asked.typing)
            connection.answer(200, b'{"success":true}')
            return
        recipient = asked.number or asked.written
        row = self._record.begun(asked.reference, recipient, begun, begun_wall)
        if asked.identity:
            self._record.meant(row, asked.identity)
        call = _Call(connection, begun, asked, row, fate.drawn(faults, self._random))
        connection.when_gone(lambda: self._ended(row, RequestOutcome.GONE))
        if connection.requests > 1 and self._random.random() < faults.reset_reused:
            self._drop(call)
        elif call.fate.takes_nothing:
            self._reply(call, partial(self._take_nothing, call))
        else:
            self._after(call.fate.late, partial(self._take, call))

    def _take(self, call: _Call) -> None:
        """Take the message, whether or not its caller is still there."""
        faults, now, heard = self._switches(), self._clock.now(), call.connection.is_open
        too_late = faults.expire_ms and now - call.begun >= faults.expire_ms / 1000
        if too_late or (call.fate.abandons and not heard):
            return
        held = faults.hold_dropped_s if call.fate.loses_answer or not heard else 0.0
        try:
            accepted = self._intake.take(call.asked, call.row, now, self._clock.wall(), held)
        except GraphError as error:
            self._reply(call, partial(self._refuse, call, error))
        else:
            self._reply(call, partial(self._answer, call, accepted.body))

    def _reply(self, call: _Call, reply: Callable[[], None]) -> None:
        """Reply when its time has come, if there is somebody to hear it then."""

        def heard() -> None:
            if call.connection.is_open:
                reply()

        self._after(call.fate.latency, partial(self._when_open, heard))

    def _answer(self, call: _Call, body: bytes) -> None:
        match call.fate.end:
            case "drop_after":
                self._drop(call)
            case "half":
                self._ended(call.row, RequestOutcome.DROPPED)
                call.connection.half(200, body)
            case "fail_after":
                self._fail(call, self._switches().fail_after_as)
            case "unanswered":
                pass
            case _:
                self._ended(call.row, RequestOutcome.ANSWERED)
                call.connection.answer(200, body)

    def _refuse(self, call: _Call, error: GraphError) -> None:
        self._ended(call.row, RequestOutcome.ANSWERED, error.code)
        status, body = self._refusal(error)
        faults = self._switches()
        if faults.code_http and error.code == faults.code:
            status = faults.code_http
        call.connection.answer(status, body)

    def _take_nothing(self, call: _Call) -> None:
        match call.fate.end:
            case "drop_before":
                self._drop(call)
            case "bare_throttle":
                self._ended(call.row, RequestOutcome.ANSWERED, 429)
                call.connection.answer(429, b"", "text/plain")
            case _:
                self._fail(call, self._switches().fail_before_as)

    def _fail(self, call: _Call, kind: str) -> None:
        """Answer with trouble that may, or may not, mean that the message was not taken."""
        kind = self._random.choice(_UNCLEAR) if kind == "unclear" else kind
        if kind.isdigit() and len(kind) == _GRAPH_CODE:
            code = int(kind)
            clear = code == UNAVAILABLE and call.fate.takes_nothing
            self._ended(call.row, RequestOutcome.ANSWERED if clear else RequestOutcome.FAILED, code)
            call.connection.answer(*self._refusal(GraphError(code)))
            return
        status, body, form = _TROUBLES.get(kind, (200, b"", ""))
        self._ended(call.row, RequestOutcome.FAILED, status)
        if kind == "endless":
            call.connection.endless()
        else:
            call.connection.answer(status, body, form, _ELSEWHERE if kind == "redirect" else "")

    def _drop(self, call: _Call) -> None:
        """End the connection without an answer: with a reset, or politely."""
        self._ended(call.row, RequestOutcome.DROPPED)
        if self._random.random() < 0.5:
            call.connection.reset()
        else:
            call.connection.close()

    def _ended(self, row: int, outcome: RequestOutcome, code: int = 0) -> None:
        self._record.ended(row, outcome, code, self._clock.now())

    def _refusal(self, error: GraphError) -> tuple[int, bytes]:
        return errors.status_of(error.code), errors.answer(error.code, error.details, self._trace())

    def _after(self, seconds: float, then: Callable[[], None]) -> None:
        if seconds:
            self._clock.later(seconds, then)
        else:
            then()
