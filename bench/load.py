"""The load generator and the webhook, in a process of their own on raw sockets.

It is told what to do by lines of JSON on standard input and answers each with one on standard
output; its first line is the port of the webhook. So that it costs little beside what is measured,
it reads of an answer only the status, the length and the id, and of a callback only id and status.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
import time
from collections import Counter, deque
from typing import cast

import msgspec
import uvloop

RECIPIENTS = 10_000
BODY = b'{"to":"49151%08d","type":"text","text":{"body":"Your order %08d is on its way. %b"}}'
FILLER = b"It was packed today and leaves our house tonight. " * 2
LEVELS = {"sent": 1, "delivered": 2, "read": 4}
WHOLE = 7
_ID = b'"id":"'
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Load(msgspec.Struct):
    """One run: closed loops on ``connections`` keep-alive connections for ``seconds``.

    With ``most_open`` a connection waits while so many messages have not all their callbacks. With
    ``per_second`` requests are due at that pace instead, whether answers come or not, and a time
    counts from when its request was due.
    """

    port: int
    token: str
    connections: int
    seconds: float
    most_open: int = 0
    per_second: float = 0.0
    numbers: list[int] = []
    warm_up: float = 0.0
    lives: bool = True  # whether callbacks will come for these messages


class Command(msgspec.Struct):
    """``load`` runs it, ``counts`` asks where the callbacks stand."""

    load: Load | None = None


class CallbackStatus(msgspec.Struct):
    id: str
    status: str


class Callback(msgspec.Struct):
    statuses: list[CallbackStatus] = []


class Ledger:
    """Which messages were accepted, and which callbacks came for each."""

    def __init__(self) -> None:
        self.accepted: set[bytes] = set()
        self.seen: dict[str, int] = {}
        self.whole = 0
        self.callbacks = 0
        self.posts = 0
        self.repeats = 0

    def on_callback(self, body: bytes) -> None:
        self.posts += 1
        for status in _CALLBACKS.decode(body).statuses:
            before = self.seen.get(status.id, 0)
            now = before | LEVELS.get(status.status, 0)
            self.callbacks += 1
            self.repeats += before == now
            self.seen[status.id] = now
            self.whole += now == WHOLE != before

    def counts(self) -> dict[str, int]:
        whole = {i.encode() for i, seen in self.seen.items() if seen == WHOLE}
        return {
            "accepted": len(self.accepted),
            "whole": self.whole,
            "whole_and_accepted": len(whole & self.accepted),
            "callbacks": self.callbacks,
            "repeated_callbacks": self.repeats,
            "posts": self.posts,
        }


_CALLBACKS = msgspec.json.Decoder(Callback)


class Run:
    """What one run counts; its clients share it."""

    def __init__(self, order: Load, ledger: Ledger) -> None:
        self.order = order
        self.ledger = ledger
        self._numbers = order.numbers or range(RECIPIENTS)
        self.head = (
            f"POST /v1/messages HTTP/1.1\r\nHost: localhost:{order.port}\r\n"
            f"Authorization: Bearer {order.token}\r\nContent-Type: application/json\r\n"
            "Content-Length: "
        ).encode()
        self.statuses: Counter[int] = Counter()
        self.latencies: list[float] = []
        self.lost = 0
        self.stopped = False
        self.open_at_start = ledger.whole
        self.accepted = 0
        self.waiting: list[Client] = []
        self.due: deque[float] = deque()
        self.idle = asyncio.Event()
        self.busy = 0

    @property
    def open(self) -> int:
        """Accepted here, callbacks not all there yet."""
        return self.accepted - (self.ledger.whole - self.open_at_start)

    def request(self) -> bytes:
        n = next(_numbers)
        body = BODY % (self._numbers[n % len(self._numbers)], n % 100_000_000, FILLER)
        return b"%b%d\r\n\r\n%b" % (self.head, len(body), body)

    def answered(self, status: int, message_id: bytes, seconds: float) -> None:
        self.statuses[status] += 1
        self.latencies.append(seconds)
        if status == 201:
            self.accepted += 1
            if self.order.lives:
                self.ledger.accepted.add(message_id)

    def may_go(self) -> bool:
        """Whether a free connection may ask now."""
        if self.order.per_second:
            return bool(self.due)
        return not self.order.most_open or self.open < self.order.most_open

    def wake(self) -> None:
        """Callbacks came, or a request is due: connections that waited for it may go on."""
        while self.waiting and (self.stopped or self.may_go()):
            self.waiting.pop().next()

    async def pace(self) -> None:
        """Make requests due until the run is stopped."""
        due = time.perf_counter()
        while not self.stopped:
            due += 1 / self.order.per_second
            await asyncio.sleep(due - time.perf_counter())
            if not self.stopped:
                self.due.append(due)
                self.wake()


_numbers = itertools.count(1)


class Client(asyncio.Protocol):
    """One keep-alive connection: a request, its answer, the next."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._buffer = b""
        self._sent = 0.0
        self._asking = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no asyncio.Transport by type.
        self._transport = cast("asyncio.Transport", transport)
        self.next()

    def next(self) -> None:
        run = self._run
        if run.stopped or self._transport is None:
            return
        if not run.may_go():
            run.waiting.append(self)
            return
        run.busy += 1
        self._asking = True
        self._sent = run.due.popleft() if run.due else time.perf_counter()
        self._transport.write(run.request())

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._buffer[:end].lower()
        size = int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        if len(self._buffer) < end + 4 + size:
            return
        body = self._buffer[end + 4 :]
        self._buffer = b""
        at = body.find(_ID) + len(_ID)
        message_id = body[at : body.find(b'"', at)]
        self._run.answered(int(head[9:12]), message_id, time.perf_counter() - self._sent)
        self._done()
        self.next()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._asking:
            self._run.lost += 1
            self._done()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _done(self) -> None:
        self._asking = False
        self._run.busy -= 1
        if self._run.stopped and not self._run.busy:
            self._run.idle.set()


class Hook(asyncio.Protocol):
    """The business's webhook: a raw HTTP server that takes POSTs with a length and says 200."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end].lower()
            size = int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
            if len(self._buffer) < end + 4 + size:
                return
            body = self._buffer[end + 4 : end + 4 + size]
            self._buffer = self._buffer[end + 4 + size :]
            self._office.on_callback(body)
            assert self._transport is not None
            self._transport.write(_ANSWER)


class Office:
    """Takes commands and callbacks."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self._run: Run | None = None

    def on_callback(self, body: bytes) -> None:
        self.ledger.on_callback(body)
        if self._run is not None and self._run.waiting:
            self._run.wake()

    async def load(self, order: Load) -> dict[str, object]:
        """Run it; what was counted between the warm-up and the end."""
        run = self._run = Run(order, self.ledger)
        loop = asyncio.get_running_loop()
        clients = [
            (await loop.create_connection(lambda: Client(run), "127.0.0.1", order.port))[1]
            for _ in range(order.connections)
        ]
        pacer = asyncio.create_task(run.pace()) if order.per_second else None
        await asyncio.sleep(order.warm_up)
        cold = _latencies(run.latencies)
        run.latencies.clear()
        began, accepted, whole, opened = self._mark(run)
        await asyncio.sleep(order.seconds)
        ended, accepted_then, whole_then, open_then = self._mark(run)
        run.stopped = True
        if pacer is not None:
            await pacer
        if run.busy:
            await asyncio.wait_for(run.idle.wait(), 30)
        for client in clients:
            client.close()
        self._run = None
        return {
            "seconds": ended - began,
            "measured": accepted_then - accepted,
            "accepted": run.accepted,
            "lives": whole_then - whole,
            "open_at_start": opened,
            "open_at_end": open_then,
            "statuses": {str(status): n for status, n in run.statuses.items()},
            "lost": run.lost,
            "unasked": len(run.due),
            "warm_up_most_ms": cold["most_ms"],
            **_latencies(run.latencies),
        }

    def _mark(self, run: Run) -> tuple[float, int, int, int]:
        return time.perf_counter(), run.accepted, self.ledger.whole, run.open


def _latencies(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(seconds) or [0.0]
    return {
        "p50_ms": ordered[len(ordered) // 2] * 1000,
        "p99_ms": ordered[len(ordered) * 99 // 100] * 1000,
        "most_ms": ordered[-1] * 1000,
    }


async def main() -> None:
    office = Office()
    loop = asyncio.get_running_loop()
    hook = await loop.create_server(lambda: Hook(office), "127.0.0.1", 0)
    _say(hook.sockets[0].getsockname()[1])
    commands = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    decoder = msgspec.json.Decoder(Command)
    while line := await commands.readline():
        order = decoder.decode(line).load
        _say(await office.load(order) if order is not None else office.ledger.counts())
    hook.close()


def _say(answer: object) -> None:
    sys.stdout.write(msgspec.json.encode(answer).decode() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    uvloop.run(main())
