"""The business's webhook: a real server on a socket of its own, and what it was told.

It reads HTTP/1.1 requests with a length, as the product sends them, and costs so little that
campaigns and benchmarks listen with it too.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from functools import cached_property
from typing import Any, NamedTuple, Self, cast

import msgspec
from multidict import CIMultiDict

from tests.harness.wait import PATIENCE, Watch

ENDS = ("read", "failed")


class Status(msgspec.Struct, gc=False):
    """An element of ``statuses[]``."""

    id: str
    status: str


class Inbound(msgspec.Struct, gc=False):
    """An element of ``messages[]``."""

    id: str
    sender: str = msgspec.field(name="from", default="")


class Callback(msgspec.Struct, gc=False):
    """What counting needs of a body."""

    statuses: list[Status] = []
    messages: list[Inbound] = []


class Reply(NamedTuple):
    """An answer that is more than its status. ``reset``: the connection dies instead of it."""

    status: int = 200
    headers: Mapping[str, str] = {}
    body: bytes = b""
    reset: bool = False


class Post:
    """One request as it came. ``answered`` is its status, 0 until then; times are monotonic."""

    def __init__(self, head: bytes, body: bytes, connection: Connection) -> None:
        self.at = time.monotonic()
        self.ended = float("inf")
        self.head = head
        self.body = body
        self.connection = connection
        self.answered = 0

    @property
    def taken(self) -> bool:
        return 200 <= self.answered < 300

    @property
    def method(self) -> str:
        return self.head.split(b" ", 1)[0].decode()

    @property
    def path(self) -> str:
        return self.head.split(b" ", 2)[1].decode()

    @cached_property
    def headers(self) -> CIMultiDict[str]:
        lines = self.head.decode("latin-1").split("\r\n")[1:]
        fields = (line.partition(":") for line in lines)
        return CIMultiDict((name, value.strip()) for name, _, value in fields)

    @cached_property
    def json(self) -> dict[str, Any]:
        body: dict[str, Any] = msgspec.json.decode(self.body)
        return body

    @property
    def callback(self) -> Callback:
        return _CALLBACK.decode(self.body)

    @property
    def events(self) -> list[dict[str, Any]]:
        """Its statuses and messages."""
        return [*self.json.get("statuses", ()), *self.json.get("messages", ())]

    async def say(self, data: bytes) -> None:
        """Write a part of an answer; ConnectionError once nobody listens."""
        await self.connection.say(data)


Given = int | Reply | None  # None: it has said what it had to say by itself
Answer = Given | Callable[[Post], Given | Awaitable[Given]]


class Receiver:
    """Answers what ``answer`` says of a POST, and keeps what it took, if it ``keeps`` anything.

    ``note`` is called with each POST that is answered 2xx, before the answer leaves. ``form`` is
    called with each body and raises where it is none; ``wrong`` says so. An ``answer`` that raises
    stands there as well. ``statuses`` are all of a message in their order, ``messages`` the last by
    id, ``inbound`` all in their order.
    """

    def __init__(
        self,
        answer: Answer = 200,
        *,
        host: str = "127.0.0.1",
        tls: ssl.SSLContext | None = None,
        watch: Watch | None = None,
        note: Callable[[Post], None] = lambda _post: None,
        form: Callable[[dict[str, Any]], None] | None = None,
        keeps: bool = True,
    ) -> None:
        self.answer = answer
        self.watch = watch or Watch()
        self.host = host
        self.port = 0
        self.posts: list[Post] = []
        self.statuses: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        self.messages: dict[str, dict[str, Any]] = {}
        self.inbound: list[dict[str, Any]] = []
        self.contacts: dict[str, dict[str, Any]] = {}
        self.errors: list[dict[str, Any]] = []
        self.ended: set[str] = set()  # messages that were reported read or failed
        self.wrong: list[str] = []
        self.open = self.peak = 0  # POSTs that wait for their answer
        self._tls = tls
        self._note = note
        self._form = form
        self._keeps = keeps
        self._server: asyncio.Server | None = None
        self._connected: set[Connection] = set()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self, port: int = 0) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Connection(self), self.host, port, ssl=self._tls
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self) -> None:
        """Nobody is listened to any more; what has no answer gets none."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for connection in list(self._connected):
            connection.end()

    @property
    def url(self) -> str:
        """A certificate names ``localhost``; plain HTTP asks no name server."""
        base = f"https://localhost:{self.port}" if self._tls else f"http://{self.host}:{self.port}"
        return f"{base}/hook"

    async def until(self, holds: Callable[[], Any], seconds: float = PATIENCE) -> Any:
        """What ``holds`` returns once that is true; TimeoutError after so many seconds."""
        return await self.watch.until(holds, seconds)

    async def status(self, message_id: str, name: str, seconds: float = PATIENCE) -> dict[str, Any]:
        """A message's status of this name, once it has come."""

        def found() -> dict[str, Any] | None:
            return next((s for s in self.statuses[message_id] if s["status"] == name), None)

        status: dict[str, Any] = await self.until(found, seconds)
        return status

    async def message(self, message_id: str) -> Post:
        """The POST that brought an inbound message, once it was taken."""
        await self.until(lambda: message_id in self.messages)
        return next(
            p for p in self.posts if any(m["id"] == message_id for m in p.json.get("messages", ()))
        )

    def names(self, message_id: str) -> list[str]:
        """The statuses of a message, by name."""
        return [status["status"] for status in self.statuses[message_id]]

    def refused(self, message_id: str) -> list[dict[str, Any]]:
        """The statuses of a message that were answered with a failure."""
        posts = (p for p in self.posts if p.answered >= 300)
        return [s for p in posts for s in p.json.get("statuses", ()) if s["id"] == message_id]

    # of its connections

    @property
    def listens(self) -> bool:
        return self._server is not None

    def connected(self, connection: Connection) -> None:
        self._connected.add(connection)

    def gone(self, connection: Connection) -> None:
        self._connected.discard(connection)

    def heard(self, post: Post) -> Given | Awaitable[Given]:
        """What to answer, or what to wait for until that is known."""
        self.open += 1
        self.peak = max(self.peak, self.open)
        if self._keeps:
            self.posts.append(post)
        try:
            if self._form is not None:
                self._form(post.json)
        except Exception as error:
            self.wrong.append(f"{error} in {post.body!r}")
        self.watch.notify()
        try:
            return self.answer(post) if callable(self.answer) else self.answer
        except Exception as error:
            return self.failed(error)

    def failed(self, error: Exception) -> int:
        self.wrong.append(repr(error))
        return 500

    def answered(self, post: Post, status: int) -> None:
        """``status`` is about to leave; 0: nothing does."""
        self.open -= 1
        post.answered, post.ended = status, time.monotonic()
        if post.taken:
            self._note(post)
            if self._keeps:
                self._keep(post)
        self.watch.notify()

    def _keep(self, post: Post) -> None:
        for one in post.json.get("statuses", ()):
            self.statuses[one["id"]].append(one)
            if one.get("status") in ENDS:
                self.ended.add(one["id"])
        for one in post.json.get("messages", ()):
            self.messages[one["id"]] = one
            self.inbound.append(one)
        for one in post.json.get("contacts", ()):
            self.contacts[one["wa_id"]] = one
        self.errors += post.json.get("errors", ())


class Connection(asyncio.Protocol):
    """One connection to a receiver: a request at a time."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._buffer = b""
        self._answering: asyncio.Task[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._receiver.connected(self)
        if not self._receiver.listens:
            self.end()  # it waited to be accepted while the receiver closed

    def connection_lost(self, _error: Exception | None) -> None:
        self._writable.set()
        self._receiver.gone(self)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._read()

    def end(self) -> None:
        if self._answering is not None:
            self._answering.cancel()
        self.transport.abort()

    async def say(self, data: bytes) -> None:
        self.transport.write(data)
        await self._writable.wait()
        if self.transport.is_closing():
            raise ConnectionResetError

    def _read(self) -> None:
        while self._answering is None:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = self._buffer[:end]
            size = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0] or 0)
            body = self._buffer[end + 4 : end + 4 + size]
            if len(body) < size:
                return
            self._buffer = self._buffer[end + 4 + size :]
            self._take(Post(head, body, self))

    def _take(self, post: Post) -> None:
        given = self._receiver.heard(post)
        if given is None or isinstance(given, int | Reply):
            self._answer(post, given)
        else:
            self._answering = asyncio.ensure_future(self._answer_later(post, given))

    async def _answer_later(self, post: Post, given: Awaitable[Given]) -> None:
        try:
            self._answer(post, await given)
        except asyncio.CancelledError:
            self._answer(post, None)
            raise
        except Exception as error:
            closing = self.transport.is_closing()
            self._answer(post, None if closing else self._receiver.failed(error))
        finally:
            self._answering = None
        self._read()

    def _answer(self, post: Post, given: Given) -> None:
        reply = Reply(given) if isinstance(given, int) else given
        self._receiver.answered(post, reply.status if reply is not None else 0)
        if reply is None or self.transport.is_closing():
            return
        if reply.reset:
            self.transport.abort()
            return
        fields = "".join(f"{name}: {value}\r\n" for name, value in reply.headers.items())
        head = f"HTTP/1.1 {reply.status} -\r\n{fields}Content-Length: {len(reply.body)}\r\n\r\n"
        self.transport.write(head.encode() + reply.body)


_CALLBACK = msgspec.json.Decoder(Callback)
