"""The application on a real PostgreSQL, alone or in a cluster of real processes."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import asyncpg
import msgspec
import pytest
import pytest_asyncio
from aiohttp import web

from tests.harness.api import ADMIN_HASH, CHEAP, USER_HASH, Api, Webapp, serve, user_of
from tests.harness.audit import forget
from tests.harness.edge import Front, Open
from tests.harness.integration import UPSTREAMS, Integration, installed
from tests.harness.offers import Registered, owned
from tests.harness.postgres import clone
from tests.harness.twice import Both, Make, Side
from tests.harness.wait import PATIENCE
from warouter.access import passwords
from warouter.access.login import seed_administrator
from warouter.api import sealed
from warouter.api.app import build_app
from warouter.api.messages.fastpath import FastPath
from warouter.config import Settings
from warouter.errors import ApiError
from warouter.http.door import FrontDoor
from warouter.http.edge import Edge
from warouter.http.pace import ConnectionLimits
from warouter.lab.simulator.server import Simulator
from warouter.link.wire import Outgoing
from warouter.local.postgres import Postgres
from warouter.store import bounded, server_settings
from warouter.store.account.accounts import ADMIN, USER, Accounts
from warouter.store.database import create_pool

PRODUCTION = passwords._hasher


@pytest.fixture(autouse=True)
def cheap_backups(monkeypatch: pytest.MonkeyPatch) -> None:
    """The key of a backup costs 0.4 s; that it does has a test of its own."""
    monkeypatch.setattr(sealed, "_COST", 2**12)


@pytest.fixture(autouse=True)
def cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """A check of a password costs 27 ms; what depends on that asks for ``full_cost``."""
    monkeypatch.setattr(passwords, "_hasher", lambda: CHEAP)


@pytest.fixture
def full_cost(cheap_passwords: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords cost what they do in production."""
    monkeypatch.setattr(passwords, "_hasher", PRODUCTION)


@pytest.fixture(autouse=True)
def patient_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """No call ends because the machine has other work: what gives up has tests of its own."""
    monkeypatch.setattr(bounded, "SECONDS", PATIENCE)
    monkeypatch.setitem(server_settings.PINNED, "idle_in_transaction_session_timeout", "0")


@pytest.fixture(scope="session")
def database(postgres: Postgres) -> Settings:
    """One database for these tests: emptying four small tables is faster than a clone a test."""
    return asyncio.run(clone(postgres))


BEFORE_2_39 = {
    "WAROUTER_REQUIRE_CONTACT_CHECK": "1",
    "WAROUTER_RATE_LIMIT": "product",
    "WA_APP_MULTICONNECT": "0",
}


def grouped(name: str) -> list[Any]:
    """The upstreams as parameters of a fixture that is a cluster: those who share one run on one
    worker, since each worker would start a cluster of its own.
    """
    group = pytest.mark.xdist_group
    return [pytest.param(upstream, marks=group(f"{name}-{upstream}")) for upstream in UPSTREAMS]


SHARED = ("site", "strict")  # the clusters below


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Function, nextitem: pytest.Function | None) -> None:
    """A cluster ends with the last of its tests, and not with the run: that would be minutes in
    which it does nothing, and takes some 5 % of a core.
    """
    for name in SHARED:
        used = _used(item, name)
        if used is not None and _used(nextitem, name) != used:
            item._request._get_active_fixturedef(name).finish(item._request)


def _used(item: pytest.Function | None, name: str) -> object:
    """Which of the clusters of this name a test uses. None if none: a module may have a fixture of
    the same name, which has no parameter.
    """
    chosen = getattr(item, "callspec", None)
    return None if chosen is None else chosen.params.get(name)


TABLES = (
    *("token", "user_account", "setting", "account", "registration", "attempt", "api_key"),
    *("profile_photo", "sticker_pack", "media"),
)


@pytest_asyncio.fixture
async def pool(database: Settings) -> AsyncIterator[asyncpg.Pool]:
    pool = await create_pool(database, "test", 8)
    for table in TABLES:
        await pool.execute(f"delete from {table}")
    await pool.execute("delete from number where id > 1")
    await pool.execute("update number set host = null, state = 'active'")
    await forget(pool)
    yield pool
    await pool.close()


@pytest_asyncio.fixture
async def simulator() -> AsyncIterator[Simulator]:
    simulator = Simulator()
    yield simulator
    await simulator.stop()


@pytest_asyncio.fixture
async def services_url(simulator: Simulator) -> str:
    """Of the simulator, which is the registration authority too."""
    addresses = await simulator.start()
    return f"http://127.0.0.1:{addresses.services_port}"


@pytest_asyncio.fixture
async def fresh(pool: asyncpg.Pool) -> AsyncIterator[Api]:
    """As just installed: only admin with the default password."""
    api = await serve(pool)
    await seed_administrator(api.context.accounts, api.context.passwords)
    yield api
    await api.client.close()


@pytest_asyncio.fixture
async def webapp(pool: asyncpg.Pool) -> AsyncIterator[Webapp]:
    """Serves webapps that share one database, each with the options of ``serve``.

    All have a token of an administrator and one of a user (`worker`).
    """
    admin = await user_of(Accounts(pool), "admin", ADMIN_HASH, ADMIN)
    user = await user_of(Accounts(pool), "worker", USER_HASH, USER)
    async with AsyncExitStack() as stack:

        async def begin(**options: Any) -> Api:
            api = await serve(pool, **options)
            stack.push_async_callback(api.client.close)
            api.admin, api.user = admin, user
            return api

        yield begin


@pytest_asyncio.fixture
async def api(webapp: Webapp) -> Api:
    return await webapp()


@pytest_asyncio.fixture(scope="session", loop_scope="session", params=grouped("site"))
async def site(request: pytest.FixtureRequest) -> AsyncIterator[Integration]:
    """A cluster of real processes with each of the upstreams; those who use it run on the session's
    loop.
    """
    options = {"shards": 2, "coreapps": 3, "masters": 2, "webapps": 1}
    async with installed(request.param, **options) as integration:
        yield integration


@pytest_asyncio.fixture(scope="session", loop_scope="session", params=grouped("strict"))
async def strict(request: pytest.FixtureRequest) -> AsyncIterator[Integration]:
    """A fresh install of one coreapp, as the product was before 2.39: contacts must be checked
    first, and rates are limited. It is started as `warouter up` is: by variables of the shell,
    which those that are started after it do not have.
    """
    cluster = installed(request.param, fresh=True, shards=1, coreapps=1, masters=1)
    async with AsyncExitStack() as stack:
        with pytest.MonkeyPatch.context() as shell:
            for name, value in BEFORE_2_39.items():
                shell.setenv(name, value)
            one = await stack.enter_async_context(cluster)
        yield one


@pytest_asyncio.fixture
async def make(api: Api, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Make]:
    monkeypatch.setattr("warouter.http.connection.LINGER_SECONDS", 0.0)
    runners: list[web.AppRunner] = []

    async def side(changes: dict[str, Any], is_fast: bool, **settings: bool) -> Side:
        made = Side(None, api, [], [])  # type: ignore[arg-type]
        operations = replace(api.context.operations, **changes)
        config = msgspec.structs.replace(api.context.config, **settings)
        context = replace(api.context, messages=made, operations=operations, config=config)
        fast = FastPath(context, owned(made.offer), Registered()) if is_fast else None
        runner = web.AppRunner(build_app(context), shutdown_timeout=0.1)
        await runner.setup()
        runners.append(runner)
        assert runner.server is not None
        made.connections = FrontDoor(runner.server, None, fast)
        return made

    async def begin(*, options: bool = False, d360: bool = False, **changes: Any) -> Both:
        both = Both(
            *[await side(changes, is_fast, options=options, d360=d360) for is_fast in (True, False)]
        )
        await api.context.tokens.caller(api.user)  # in memory from here on
        return both

    yield begin
    for runner in runners:
        await runner.cleanup()


@pytest_asyncio.fixture
async def both(make: Make) -> Both:
    return await make()


@pytest_asyncio.fixture
async def front(api: Api) -> AsyncIterator[Open]:
    def offer(message: Outgoing, done: Callable[[bytes | ApiError], None]) -> None:
        api.recorder.submitted.append(message)
        asyncio.get_running_loop().call_soon(done, message.id)

    await api.context.tokens.caller(api.user)  # in memory from here on
    async with AsyncExitStack() as stack:

        async def begin(limits: ConnectionLimits | None = None) -> Front:
            app = build_app(api.context)
            runner = web.AppRunner(app, shutdown_timeout=0.1)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            assert runner.server is not None
            sock = socket.create_server(("127.0.0.1", 0), backlog=2048)
            fast = FastPath(api.context, owned(offer), Registered())
            edge = Edge(runner.server, [sock], None, limits, fast)
            edge.open()
            stack.push_async_callback(edge.leave, lambda: None)
            sweep = asyncio.create_task(edge.sweep())
            stack.callback(sweep.cancel)
            front = Front(edge, sock.getsockname()[1], api)
            stack.callback(front.hang_up)
            return front

        yield begin
