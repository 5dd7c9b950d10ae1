"""A POST's body leaves only under a lease, whichever way aiohttp takes to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp.abc import AbstractStreamWriter

from tests.harness.callbacks import Owner, event, running, settings_of
from warouter.webhook.leased import LeasedBody

CONTENT = b'{"statuses":[]}'
EVENT = event(1)


class Wire(AbstractStreamWriter):
    """Keeps what is written."""

    def __init__(self) -> None:
        self.written = b""

    async def write(self, chunk: Any) -> None:
        self.written += chunk

    async def write_eof(self, chunk: bytes = b"") -> None: ...
    async def drain(self) -> None: ...
    async def write_headers(self, status_line: str, headers: Any) -> None: ...
    def enable_compression(self, *_: Any) -> None: ...
    def enable_chunking(self) -> None: ...


async def decoded(body: LeasedBody, wire: Wire) -> None:
    wire.written += body.decode().encode()


async def as_bytes(body: LeasedBody, wire: Wire) -> None:
    wire.written += await body.as_bytes()


WAYS: dict[str, Callable[[LeasedBody, Wire], Awaitable[None]]] = {
    "write": lambda body, wire: body.write(wire),
    "write_with_length": lambda body, wire: body.write_with_length(wire, len(CONTENT)),
    "without a length": lambda body, wire: body.write_with_length(wire, None),
    "decode": decoded,
    "as_bytes": as_bytes,
}


@pytest.mark.parametrize("way", WAYS)
async def test_no_way_leads_past_the_lease(way: str) -> None:
    holds = False
    body, wire = LeasedBody(CONTENT, lambda: holds), Wire()
    with pytest.raises(aiohttp.ClientError):
        await WAYS[way](body, wire)
    assert (wire.written, body.withheld, body.left) == (b"", True, False)
    assert CONTENT not in [getattr(body, name) for name in vars(aiohttp.BytesPayload(b"x"))]
    holds = True
    await WAYS[way](body, wire)
    assert (wire.written, body.left, body.size) == (CONTENT, True, len(CONTENT))


@pytest_asyncio.fixture
async def hasty() -> AsyncIterator[str]:
    """The URL of a receiver that answers 200 to a head, whatever follows it."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


@pytest.mark.parametrize("writes", [True, False], ids=["the aiohttp of today", "one that forgets"])
async def test_what_did_not_leave_was_not_delivered(
    hasty: str,
    writes: bool,
    owner: Owner,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def head_alone(_request: object, writer: Any, *_: object) -> None:
        writer.send_headers()

    if not writes:
        monkeypatch.setattr(aiohttp.ClientRequest, "write_bytes", head_alone)
    owner.settings = settings_of(hasty)
    async with running(owner) as callbacks:
        callbacks.add(EVENT)
        await owner.until(lambda: owner.settled or owner.parked)
    reasons = [reason for _, _, reason in owner.parked]
    assert (owner.settled, reasons) == (([EVENT], []) if writes else ([], ["webhook: connection"]))
    assert ("answered too early" in caplog.text) is not writes
