"""A webapp's front door on its own: real connections and fast path, an application that only notes
who asked for what, and requests that carry a mark.

``judge`` holds what was run against what was sent: nobody's request may be run under somebody
else's token, none may be made of two, and none answered out of turn.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from random import Random
from types import SimpleNamespace
from typing import Any, NamedTuple

from aiohttp import web

from tests.harness.offers import Owner, Registered
from warouter.access.token import hash_of
from warouter.api.access.caller import Caller
from warouter.api.access.tokens import Entry, TokenCache
from warouter.api.messages.fastpath import FastPath
from warouter.errors import ApiError
from warouter.http.meter import Meter
from warouter.link.wire import Outgoing
from warouter.message_id import letters_of

TOKENS = {"admin": "a" * 43, "user": "u" * 43}
LINE = b"POST /v1/messages HTTP/1.1\r\n"
_MARK = re.compile(rb"mark-(\d{6})")
_LOOKED_AT = 100  # bytes of a body, at whose beginning the mark stands


class Run(NamedTuple):
    """What was run, or what was sent to be run."""

    who: str
    method: str
    path: str
    mark: int


class Front:
    """What lies behind the connections. While ``gate`` is closed no request is answered.

    ``/early`` is answered before its body has come.
    """

    def __init__(self) -> None:
        self.runs: list[Run] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.server = web.Server(self._handle)  # type: ignore[arg-type]
        self.owner = Owner(self.offer)
        self.fast = self._fast_path()
        self._caller = ""
        self._marks: dict[bytes, int] = {}  # by message id
        self._held: list[Callable[[], None]] = []

    def release(self) -> None:
        """Answer what waits."""
        held, self._held = self._held, []
        for answer in held:
            answer()

    def marks(self, heard: bytes) -> list[int]:
        """Which requests were answered, in the order of their answers."""
        ids = re.compile(rb"\"id\": ?\"([\w-]{27})\"|" + _MARK.pattern)
        return [self._marks[i] if i else int(mark) for i, mark in ids.findall(heard)]

    async def _handle(self, request: web.BaseRequest) -> web.Response:
        await self.gate.wait()
        body = b""
        early = request.path.removeprefix("/v1") == "/early"
        while not early and (piece := await request.content.readany()):
            body += piece[: _LOOKED_AT - len(body)]
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        who = next((name for name, t in TOKENS.items() if t == token), f"{scheme} {token}")
        in_body = _MARK.search(body)
        mark = request.headers.get("X-Mark", in_body[0].decode() if in_body else "mark-999999")
        self.runs.append(Run(who, request.method, request.path, int(mark[-6:])))
        return web.Response(text=mark)

    def _fast_path(self) -> FastPath:
        nothing: Any = None  # all tokens are in memory
        tokens = self.tokens = TokenCache(nothing, nothing)
        for name, token in TOKENS.items():
            caller = Caller(name, "ROLE_USER", hash_of(token))
            tokens._entries[caller.hash] = Entry(caller, float("inf"))
        context: Any = SimpleNamespace(
            operations=SimpleNamespace(meter=Meter(), admit=self._note, rates="any"),
            tokens=tokens,
            contacts=SimpleNamespace(required=False),
            config=SimpleNamespace(json_limit=65_536, server_version=True, d360=False),
        )
        return FastPath(context, self.owner.links, Registered())

    def forget(self, name: str) -> None:
        """End the token of this user."""
        self.tokens.forget(self.tokens._entries[hash_of(TOKENS[name])].caller)

    def _note(self, _method: str, _path: str, caller: Caller) -> None:
        """Who may send: asked for each message before it is offered."""
        self._caller = caller.username

    def offer(self, message: Outgoing, done: Callable[[bytes | ApiError], None]) -> None:
        found = _MARK.search(message.body)
        assert found is not None
        mark = int(found[1])
        self._marks[letters_of(message.id)] = mark
        self.runs.append(Run(self._caller, "POST", "/v1/messages", mark))
        loop = asyncio.get_running_loop()
        if self.gate.is_set():
            loop.call_soon(done, message.id)
        else:
            self._held.append(lambda: done(message.id))


class Request(NamedTuple):
    """One request as it is sent."""

    run: Run
    raw: bytes


def plain(who: str, mark: int) -> Request:
    """A message that the fast path takes."""
    return Request(Run(who, "POST", "/v1/messages", mark), LINE + _rest(who, mark))


def trap(who: str, mark: int) -> Request:
    """A request that looks like ``plain`` from within the value of a field."""
    fields = b"X-Mark: mark-%06d\r\nX-Pad: " % mark
    raw = b"DELETE /v1/users/carol HTTP/1.1\r\n" + fields + LINE + _rest(who, mark)
    return Request(Run(who, "DELETE", "/v1/users/carol", mark), raw)


def other(who: str, mark: int, path: str, *fields: bytes, body: bytes | None = None) -> Request:
    """A request that is aiohttp's; with a ``body``, a POST."""
    method = "GET" if body is None else "POST"
    lines = [f"{method} {path} HTTP/1.1".encode(), b"Host: localhost", _authorization(who)]
    lines += [b"X-Mark: mark-%06d" % mark, *fields]
    raw = b"\r\n".join(lines) + b"\r\n\r\n" + (body or b"")
    return Request(Run(who, method, path, mark), raw)


def sized(who: str, mark: int, path: str, body: bytes, *fields: bytes) -> Request:
    return other(who, mark, path, b"Content-Length: %d" % len(body), *fields, body=body)


def of_number(request: Request) -> Request:
    """The same at the path of a number, which the connection cuts off."""
    path = "/v1" + request.run.path.removeprefix("/v1")
    asked, named = f" {request.run.path} ".encode(), f" /n/shop{path} ".encode()
    return Request(request.run._replace(path=path), request.raw.replace(asked, named, 1))


def any_request(random: Random, mark: int) -> Request:
    """Something that a client, good or bad, may send in one piece."""
    request = _any_request(random, mark)
    return of_number(request) if random.randrange(4) == 0 else request


def _any_request(random: Random, mark: int) -> Request:
    who = random.choice(("admin", "user"))
    inner = random.choice((b"x" * random.randrange(300), plain("admin", 999_998).raw))
    chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(inner), inner) if inner else b"0\r\n\r\n"
    match random.randrange(8):
        case 0 | 1:
            return plain(who, mark)
        case 2 | 3:
            return trap(who, mark)
        case 4:
            return other(who, mark, "/get")
        case 5:
            return sized(who, mark, random.choice(("/post", "/early")), inner)
        case 6:
            return other(who, mark, "/chunks", b"Transfer-Encoding: chunked", body=chunks)
        case _:
            return sized(who, mark, "/post", inner, random.choice((b"Upgrade: h2c", b"X: \xff")))


def judge(sent: list[Request], runs: list[Run], answered: list[int] | None = None) -> list[str]:
    """What went wrong: nothing, in the best case."""
    wanted = [request.run for request in sent]
    faults = [f"run, but never sent: {run}" for run in runs if run not in wanted]
    faults += [f"sent, but not run: {run}" for run in wanted if run not in runs]
    if not faults and runs != wanted:
        faults.append("run in another order, or twice")
    if answered is not None and answered != [run.mark for run in wanted]:
        faults.append(f"answered out of turn: {answered}")
    return faults


def _authorization(who: str) -> bytes:
    return b"Authorization: Bearer " + TOKENS[who].encode()


def _rest(who: str, mark: int) -> bytes:
    """Behind the first line: fields and body, always of the same length."""
    body = b'{"to":"4915112345678","text":{"body":"mark-%06d"}}' % mark
    lines = (b"Host: localhost", _authorization(who), b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body
