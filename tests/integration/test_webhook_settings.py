"""Callbacks under settings that change while they run: whom to trust, and how long to try."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
import pytest_asyncio
from aiohttp import web
from trustme import CA

from tests.harness.certificates import issued, text_of
from tests.harness.wait import soon
from warouter.app_settings import ApplicationSettings, Webhooks
from warouter.kinds import STATUS
from warouter.tls import pem
from warouter.webhook.body import Item
from warouter.webhook.callbacks import Callbacks, Result

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)
ROOT = CA()
SERVED = issued(ROOT)
SUCCESS, TLS = Result("status_change", "success"), Result("status_change", "tls")


class Receiver:
    """https://localhost:port, which answers ``status``."""

    def __init__(self) -> None:
        self.status = 200
        self.connections: set[object] = set()

    async def answer(self, request: web.Request) -> web.Response:
        self.connections.add(request.transport)
        return web.Response(status=self.status)


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[tuple[Receiver, str]]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/", receiver.answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    context = pem.server_context(SERVED.pem + SERVED.key)
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    yield receiver, f"https://localhost:{runner.addresses[0][1]}/"
    await runner.cleanup()


class Owner:
    """Takes up at once what is parked, under the settings of the moment."""

    def __init__(self, url: str, *, persist: bool = True) -> None:
        self.settings = ApplicationSettings(
            callback_persist=persist,
            callback_backoff_delay_ms=15,
            max_callback_backoff_delay_ms=60,
            webhooks=Webhooks(url=url),
        )
        self.settled: list[Item] = []
        self.dead: list[Item] = []
        self.broken: list[Exception] = []

    def park(self, items: list[Item], _delay_ms: int, _reason: str) -> None:
        for item in items:
            asyncio.get_running_loop().call_later(0.01, self.callbacks.add, item)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Callbacks]:
        self.callbacks = Callbacks(
            settings=lambda: self.settings,
            may_act=lambda _slot: True,
            settled=self.settled.extend,
            park=self.park,
            dead=lambda items, _reason: self.dead.extend(items),
            broken=lambda _slots, error: self.broken.append(error),
            allow_private=LOOPBACK,
        )
        task = asyncio.create_task(self.callbacks.run())
        try:
            yield self.callbacks
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


def event(number: int) -> Item:
    return Item(0, number, STATUS, f"r{number}", b"{}")


async def test_the_bundle_alone_decides_and_changes_while_callbacks_run(
    receiver: tuple[Receiver, str],
) -> None:
    server, url = receiver
    owner = Owner(url)
    async with owner.running() as callbacks:
        callbacks.add(event(1))
        await soon(lambda: callbacks.requests[TLS] >= 1)  # no system knows this root
        callbacks.trust(text_of(CA()) + text_of(ROOT))
        callbacks.settings_changed()
        await soon(lambda: len(owner.settled) == 1)
        callbacks.trust(text_of(CA()))
        refused = callbacks.requests[TLS]
        callbacks.add(event(2))  # not on the connection that is kept alive
        await soon(lambda: callbacks.requests[TLS] > refused)
        assert len(owner.settled) == 1
        callbacks.trust(SERVED.pem)  # the very certificate will do as well
        callbacks.settings_changed()
        await soon(lambda: len(owner.settled) == 2)
        callbacks.trust("")
        refused = callbacks.requests[TLS]
        callbacks.add(event(3))
        await soon(lambda: callbacks.requests[TLS] > refused)
        assert callbacks.requests[SUCCESS] == 2
        with pytest.raises(ssl.SSLError):
            callbacks.trust("no certificate")
    assert len(server.connections) == 2


@pytest.mark.parametrize("count", [1, 300], ids=["one event", "a receiver that is down"])
async def test_what_is_not_kept_is_given_up_after_some_tries(
    receiver: tuple[Receiver, str], count: int
) -> None:
    server, url = receiver
    server.status = 500
    for persist in (True, False):
        owner = Owner(url, persist=persist)
        async with owner.running() as callbacks:
            callbacks.trust(text_of(ROOT))
            for number in range(count):
                callbacks.add(event(number))
            if persist:
                await soon(lambda c=callbacks: c.requests.total() >= 20)  # type: ignore[misc]
                assert owner.dead == []
                server.status = 200
                await soon(lambda o=owner: len(o.settled) == count)  # type: ignore[misc]
                server.status = 500
            else:
                await soon(lambda o=owner: len(o.dead) == count)  # type: ignore[misc]
                assert callbacks.requests.total() >= 2
                assert owner.settled == []
