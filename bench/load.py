"""The load generator, in a process of its own on raw sockets; it is the webhook, too.

It is told what to do by lines of JSON on standard input (``Command``) and answers each with one on
standard output; its first line is the port of the webhook (``bench.hook`` counts what comes). It
shares the cores with what is measured, so it is cheap: requests are made ahead, and of an answer
that looks like the one before (length, status, place of the id) nothing else is read. Any other
answer is parsed.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import NamedTuple, cast

import msgspec
import uvloop

from bench.hook import Ledger
from tests.harness.receiver import Post, Receiver

RECIPIENTS = 10_000
MOST_MADE = 131_072  # requests in the ring: of more recipients each order takes others
BODY = b'{"to":"49151%08d","type":"text","text":{"body":"Your order %08d is on its way. %b"}}'
FILLER = b"It was packed today and leaves our house tonight. " * 2
LOGIN = (
    b"POST /v1/users/login HTTP/1.1\r\nHost: localhost\r\nAuthorization: %b\r\n"
    b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
)
FINISH_SECONDS = 30.0
INTERVAL = 0.5  # of the counts in ``progress``
_ID = b'"id":"'
_CREATED = b"HTTP/1.1 201"


class Load(msgspec.Struct):
    """One run: closed loops on ``connections`` keep-alive connections for ``seconds``.

    With ``most_open`` a connection waits while so many messages have not all their callbacks. With
    ``per_second`` requests are due at that pace instead, whether answers come or not, and a time
    counts from when its request was due. With ``count`` so many are sent, and ``seconds`` is the
    most that they may take.
    """

    port: int
    token: str
    connections: int
    seconds: float
    most_open: int = 0
    per_second: float = 0.0
    count: int = 0
    numbers: list[int] = []  # recipients by number; else ``recipients`` of them
    recipients: int = RECIPIENTS
    warm_up: float = 0.0
    lives: bool = True  # whether callbacks will come for these messages
    ports: list[int] = []  # connections go round these; else to ``port``
    times: bool = False  # give the monotonic time of each 201 back, by id
    login: str = ""  # credentials: each connection logs in first, before any load
    heard: bool = False  # note when each callback of these messages comes, for ``Command.heard``


class Command(msgspec.Struct):
    """``load`` runs it; ``refuse`` lets the webhook say 503 from now on, or not.

    ``heard`` asks for the monotonic time of each callback, by id and status. None of them: only
    where the callbacks stand.
    """

    load: Load | None = None
    refuse: bool | None = None
    heard: bool = False


class Shape(NamedTuple):
    """Where the id stands in an answer of that length."""

    size: int
    mark: int
    start: int
    end: int


class Run:
    """What one run counts; its clients share it."""

    def __init__(self, order: Load, ledger: Ledger) -> None:
        self.order = order
        self.ledger = ledger
        self.request: Callable[[], bytes] = itertools.cycle(list(_ring(order))).__next__
        # A run without these asks at once after an answer.
        self.gated = bool(order.most_open or order.per_second or order.count)
        self.keep: Callable[[bytes, float], None] | None = self._keep_times
        if not order.times:
            self.keep = ledger.keep if order.lives else None
        self.shape: Shape | None = None
        self.statuses: Counter[int] = Counter()
        self.latencies: list[float] = []
        self.times: dict[str, float] = {}
        self.progress: list[tuple[float, int, int]] = []
        self.lost = 0
        self.stopped = False
        self.whole_before = ledger.whole
        self.accepted = 0
        self.asked = 0
        self.waiting: deque[Client] = deque()  # all of them get their turn
        self.due: deque[float] = deque()
        self.late: list[float] = []  # by how much requests left after they were due
        self.ended = asyncio.Event()  # ``count`` is reached
        self.idle = asyncio.Event()
        self.busy = 0

    @property
    def open(self) -> int:
        """Accepted here, callbacks not all there yet."""
        return self.accepted - (self.ledger.whole - self.whole_before)

    def answered(self, status: int, message_id: bytes, began: float) -> None:
        """An answer of any kind."""
        now = time.perf_counter()
        self.statuses[status] += 1
        self.latencies.append(now - began)
        if status == 201:
            self.accepted += 1
            if self.keep is not None:
                self.keep(message_id, now)

    def _keep_times(self, message_id: bytes, now: float) -> None:
        self.times[message_id.decode()] = now
        if self.order.lives:
            self.ledger.keep(message_id, now)

    def may_go(self) -> bool:
        """Whether a free connection may ask now."""
        order = self.order
        if order.per_second and not self.due:
            return False
        if order.count and self.asked >= order.count:
            if not self.busy:
                self.ended.set()
            return False
        return not order.most_open or self.open < order.most_open

    def wake(self) -> None:
        """Callbacks came, or a request is due: connections that waited for it may go on."""
        while self.waiting and (self.stopped or self.may_go()):
            self.waiting.popleft().next()

    async def pace(self) -> None:
        """Make requests due until the run is stopped."""
        due = time.perf_counter()
        while not self.stopped:
            due += 1 / self.order.per_second
            await asyncio.sleep(due - time.perf_counter())
            if not self.stopped:
                self.due.append(due)
                self.wake()

    async def count(self) -> None:
        """Note every half second how many were accepted, and how many are whole."""
        while True:
            await asyncio.sleep(INTERVAL)
            self.progress.append((time.perf_counter(), self.accepted, self.ledger.whole))


class Client(asyncio.Protocol):
    """One keep-alive connection: a request, its answer, the next."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._buffer = b""
        self._sent = 0.0
        self._asking = False
        self._login: asyncio.Future[int] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no asyncio.Transport by type.
        self._transport = cast("asyncio.Transport", transport)

    async def log_in(self, credentials: str) -> None:
        """The first request of this connection; OSError if it is refused."""
        assert self._transport is not None
        self._login = asyncio.get_running_loop().create_future()
        self._transport.write(LOGIN % credentials.encode())
        status = await asyncio.wait_for(self._login, FINISH_SECONDS)
        self._login = None
        if status != 200:
            raise OSError(f"the login was answered {status}")

    def next(self) -> None:
        run = self._run
        if run.stopped or self._transport is None:
            return
        if run.gated and not run.may_go():
            run.waiting.append(self)
            return
        run.busy += 1
        run.asked += 1
        self._asking = True
        self._sent = now = time.perf_counter()
        if run.due:
            self._sent = run.due.popleft()
            run.late.append(now - self._sent)
        self._transport.write(run.request())

    def data_received(self, data: bytes) -> None:
        run = self._run
        shape = run.shape
        if (
            shape is not None
            and len(data) == shape.size
            and data.startswith(_CREATED)
            and data.startswith(_ID, shape.mark)
            and not self._buffer
        ):
            now = time.perf_counter()
            run.latencies.append(now - self._sent)
            run.accepted += 1
            if run.keep is not None:
                run.keep(data[shape.start : shape.end], now)
            if run.gated or run.stopped:
                self._go_on()
            else:
                self._sent = now
                run.asked += 1
                self._transport.write(run.request())  # type: ignore[union-attr]
            return
        self._read(data)

    def _read(self, data: bytes) -> None:
        """An answer that is cut, or unlike the one before."""
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._buffer[:end].lower()
        size = end + 4 + int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        if len(self._buffer) < size:
            return
        if len(self._buffer) > size:  # it says more than its length allows: no answer at all
            self.close()
            return
        answer, self._buffer = self._buffer, b""
        mark = answer.find(_ID, end)
        start = mark + len(_ID)
        stop = answer.find(b'"', start)
        status = int(head[9:12])
        if self._login is not None:
            self._login.set_result(status)
            return
        if status == 201 and mark > 0:
            self._run.shape = Shape(size, mark, start, stop)
        self._run.answered(status, answer[start:stop], self._sent)
        self._go_on()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._asking:
            self._run.lost += 1
            self._done()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _go_on(self) -> None:
        self._done()
        self.next()

    def _done(self) -> None:
        self._asking = False
        self._run.busy -= 1
        if self._run.stopped and not self._run.busy:
            self._run.idle.set()


class Office:
    """Takes commands and callbacks."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self._run: Run | None = None

    def on_callbacks(self, post: Post) -> None:
        """Some came."""
        self.ledger.on_post(post)
        if self._run is not None and self._run.waiting:
            self._run.wake()

    async def do(self, command: Command) -> dict[str, object]:
        """One command, and what there is to say to it."""
        if command.refuse is not None:
            self.ledger.refusing = command.refuse
        if command.load is not None:
            return await self.load(command.load)
        if command.heard:
            return {"heard": self.ledger.times}
        return self.ledger.counts()

    async def load(self, order: Load) -> dict[str, object]:
        """Run it; what was counted between the warm-up and the end."""
        run = self._run = Run(order, self.ledger)
        self.ledger.times = {} if order.heard else None
        clients = await self._connected(run)
        pacer = asyncio.create_task(run.pace()) if order.per_second else None
        counter = asyncio.create_task(run.count())
        await asyncio.sleep(order.warm_up)
        cold = _latencies(run.latencies)
        run.latencies.clear()
        began, accepted, whole, opened = self._mark(run)
        await self._until_end(run)
        ended, accepted_then, whole_then, open_then = self._mark(run)
        run.stopped = True
        if pacer is not None:
            await pacer
        counter.cancel()
        if run.busy:
            await asyncio.wait_for(run.idle.wait(), FINISH_SECONDS)
        for client in clients:
            client.close()
        self._run = None
        statuses = run.statuses
        statuses[201] = run.accepted
        return {
            "seconds": ended - began,
            "measured": accepted_then - accepted,
            "accepted": run.accepted,
            "lives": whole_then - whole,
            "open_at_start": opened,
            "open_at_end": open_then,
            "statuses": {str(status): n for status, n in statuses.items()},
            "lost": run.lost,
            "unasked": len(run.due),
            "warm_up_most_ms": cold["most_ms"],
            "whole_at_start": whole,
            "progress": [(at - began, *counts) for at, *counts in run.progress],
            "times": run.times,
            "late_p99_ms": _latencies(run.late)["p99_ms"],
            **_latencies(run.latencies),
        }

    async def _connected(self, run: Run) -> list[Client]:
        """All connections of the run, which then begin at once."""
        order, loop = run.order, asyncio.get_running_loop()
        ports = itertools.cycle(order.ports or [order.port])
        clients = []
        for _ in range(order.connections):
            _, client = await loop.create_connection(lambda: Client(run), "127.0.0.1", next(ports))
            if order.login:
                await client.log_in(order.login)
            clients.append(client)
        for client in clients:
            client.next()
        return clients

    async def _until_end(self, run: Run) -> None:
        try:
            await asyncio.wait_for(run.ended.wait(), run.order.seconds)
        except TimeoutError:
            return

    def _mark(self, run: Run) -> tuple[float, int, int, int]:
        return time.perf_counter(), run.accepted, self.ledger.whole, run.open


_orders = itertools.count()


def _ring(order: Load) -> Iterator[bytes]:
    """The requests of a run, in the order in which they are sent, again and again."""
    head = (
        f"POST /v1/messages HTTP/1.1\r\nHost: localhost:{order.port}\r\n"
        f"Authorization: Bearer {order.token}\r\nContent-Type: application/json\r\n"
        "Content-Length: "
    ).encode()
    number = next(_orders)
    for n in order.numbers or _drawn(order.recipients, number):
        body = BODY % (n, (number * MOST_MADE + n) % 100_000_000, FILLER)
        yield b"%b%d\r\n\r\n%b" % (head, len(body), body)


def _drawn(recipients: int, order: int) -> Sequence[int]:
    """All recipients, or another part of them for each order, evenly over the whole."""
    if recipients <= MOST_MADE:
        return range(recipients)
    return Random(order).sample(range(recipients), MOST_MADE)


def _latencies(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(seconds) or [0.0]
    return {
        "p50_ms": ordered[len(ordered) // 2] * 1000,
        "p99_ms": ordered[len(ordered) * 99 // 100] * 1000,
        "most_ms": ordered[-1] * 1000,
    }


async def main() -> None:
    """Until standard input is closed."""
    office = Office()
    loop = asyncio.get_running_loop()
    hook = Receiver(office.ledger.answer, note=office.on_callbacks, keeps=False)
    await hook.start()
    _say(hook.port)
    commands = asyncio.StreamReader(limit=64 << 20)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    decoder = msgspec.json.Decoder(Command)
    while line := await commands.readline():
        _say(await office.do(decoder.decode(line)))
    await hook.stop()


def _say(answer: object) -> None:
    sys.stdout.write(msgspec.json.encode(answer).decode() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    uvloop.run(main())
