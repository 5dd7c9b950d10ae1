"""The fields that every answer has; that they are there, each test of the API checks."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web

from tests.harness.api import Api, Webapp, basic
from tests.harness.described import Undocumented, check_answer
from tests.harness.offers import Number, owned
from tests.harness.twice import GOOD, Wire, settled
from warouter import SERVER
from warouter.api.app import build_app
from warouter.api.messages.fastpath import FastPath
from warouter.http.door import FrontDoor
from warouter.http.envelope import Envelopes, common_fields


@pytest.mark.parametrize(
    "fields",
    [
        {"Cache-Control": "no-store"},
        {"X-Content-Type-Options": "nosniff"},
        {"X-Content-Type-Options": "nosniff", "Cache-Control": "max-age=60"},
    ],
)
def test_an_answer_without_them_is_found(fields: dict[str, str]) -> None:
    with pytest.raises(Undocumented):
        check_answer("GET", "/v1/nothing", 404, fields, b"")


async def test_the_description_may_be_kept_and_still_is_not_guessed_at(api: Api) -> None:
    for path in ("/v1/docs", "/v1/openapi.json", "/v1/errors"):
        answer = await api.call("GET", path)
        assert answer.headers.getall("Cache-Control") != ["no-store"]
        assert answer.headers.getall("X-Content-Type-Options") == ["nosniff"]


NOT_HTTP = b"G{}T / HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize("shown", [True, False])
async def test_the_version_is_in_the_answers_unless_it_is_switched_off(
    webapp: Webapp, shown: bool
) -> None:
    other = await webapp(server_version=shown)
    context = other.context
    head = f"POST /v1/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {other.user}\r\n"
    message = f"{head}Content-Length: {len(GOOD)}\r\n\r\n".encode() + GOOD
    await context.tokens.caller(other.user)
    runner = web.AppRunner(build_app(context), shutdown_timeout=0.1)
    await runner.setup()
    try:
        login = await other.client.get("/v1/nothing", headers={"Authorization": basic("a", "b")})
        said = [login.headers["Server"]]
        fast = FastPath(context, owned(lambda m, done: done(m.id)), Number())
        words = Envelopes(common_fields(server_version=shown))
        connections = FrontDoor(runner.server, None, fast, words=words)
        said.extend([server_of(await answered(connections, r)) for r in (message, NOT_HTTP)])
        said.append(server_of(connections.refuse()))
    finally:
        await runner.cleanup()
    assert context.operations.meter.fast == 1
    assert said == [SERVER if shown else "warouter"] * 4


async def answered(connections: FrontDoor, request: bytes) -> bytes:
    connection, wire = connections.enter(""), Wire()
    assert connection is not None
    connection.connection_made(wire)
    connection.data_received(request)
    await settled(connection, wire)
    connection.connection_lost(None)
    return wire.written


def server_of(answer: bytes) -> Any:
    (field,) = [line for line in answer.split(b"\r\n") if line.startswith(b"Server: ")]
    return field.removeprefix(b"Server: ").decode()
