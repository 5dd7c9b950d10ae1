"""A version of aiohttp that nobody has read goes without the fast path."""

from __future__ import annotations

from types import FunctionType
from typing import Any

import pytest
from aiohttp import web

from warouter.http import verified
from warouter.http.connection import Connection
from warouter.http.door import FrontDoor
from warouter.http.server_connection import ServerConnection


class Eager(web.RequestHandler):
    """It might let an answer leave later."""

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        return resp, False


class Renamed(web.RequestHandler):
    finish_response: Any = None


def test_the_installed_aiohttp_is_verified(caplog: pytest.LogCaptureFixture) -> None:
    """If not: read `start` and `finish_response`, then add the digest to `_VERIFIED`."""
    assert verified.ends_answers_as_verified(), verified._digest(web.RequestHandler)
    assert not caplog.records


@pytest.mark.parametrize("handler", [Eager, Renamed])
def test_another_one_is_not(
    handler: type[web.RequestHandler], caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        assert not verified.ends_answers_as_verified(handler)
    assert [record.message for record in caplog.records] == ["fast path disabled"]


@pytest.mark.parametrize("known", [True, False])
async def test_a_door_goes_without_the_fast_path(
    known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def handle(_request: web.BaseRequest) -> web.StreamResponse:
        return web.Response()

    if not known:
        monkeypatch.setattr(verified, "_VERIFIED", ())
    verified.ends_answers_as_verified.cache_clear()
    try:
        fast: Any = object()
        door = FrontDoor(web.Server(handle), None, fast)
        assert door.fast is (fast if known else None)
    finally:
        verified.ends_answers_as_verified.cache_clear()


def test_no_private_name_of_aiohttp_is_used() -> None:
    theirs = {name for base in web.RequestHandler.__mro__[:-1] for name in vars(base)}
    ours = vars(ServerConnection) | vars(Connection)
    methods = [getattr(each, "fget", each) for each in ours.values()]
    used = {name for each in methods for name in _names(each)}
    assert [name for name in used | ours.keys() if name in theirs and _private(name)] == []


def _names(method: object) -> tuple[str, ...]:
    return method.__code__.co_names if isinstance(method, FunctionType) else ()


def _private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")
