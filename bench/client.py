"""A run of load: its connections, raw sockets on keep-alive, and what they count together.

Of an answer that looks like the one before (length, status, place of the id) nothing else is read;
any other is parsed.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple, cast

from bench.hook import Ledger
from bench.order import Load, ring

LOGIN = (
    b"POST /v1/users/login HTTP/1.1\r\nHost: localhost\r\nAuthorization: %b\r\n"
    b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
)
FINISH_SECONDS = 30.0
INTERVAL = 0.5  # of the counts in ``progress``
AGAIN_SECONDS = 0.05  # from the end of a connection to the next try
_ID = b'"id":"'
_CREATED = b"HTTP/1.1 201"


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
        self.request: Callable[[], bytes] = itertools.cycle(list(ring(order))).__next__
        # A run without these asks at once after an answer.
        self.gated = bool(order.most_open or order.per_second or order.count)
        self.keep: Callable[[bytes, float, float], None] | None = self._keep_times
        if not order.times:
            self.keep = ledger.keep if order.lives else None
        self.shape: Shape | None = None
        self.statuses: Counter[int] = Counter()
        self.latencies: list[float] = []
        self.times: dict[str, float] = {}
        self.asked_at: dict[str, float] = {}
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
        self.opening: set[asyncio.Task[None]] = set()  # connections that ended

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
                self.keep(message_id, began, now)

    def _keep_times(self, message_id: bytes, began: float, now: float) -> None:
        text = message_id.decode()
        self.times[text] = now
        if self.order.asked:
            self.asked_at[text] = began
        if self.order.lives:
            self.ledger.keep(message_id, began, now)

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
                # Timers count milliseconds, and some are early: no time is given away for that.
                self.due.append(min(due, time.perf_counter()))
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
        self._peer: tuple[str, int] = ("", 0)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no asyncio.Transport by type.
        self._transport = cast("asyncio.Transport", transport)
        self._peer = transport.get_extra_info("peername")

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
                run.keep(data[shape.start : shape.end], self._sent, now)
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
        if self._run.order.again and not self._run.stopped:
            self._buffer = b""
            with suppress(ValueError):
                self._run.waiting.remove(self)
            self._run.opening.add(task := asyncio.ensure_future(self._open_again()))
            task.add_done_callback(self._run.opening.discard)

    async def _open_again(self) -> None:
        """Connect until it can be done, and go on."""
        while self._transport is None and not self._run.stopped:
            await asyncio.sleep(AGAIN_SECONDS)
            with suppress(OSError):
                await asyncio.get_running_loop().create_connection(lambda: self, *self._peer)
        self.next()

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
