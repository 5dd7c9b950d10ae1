"""The console: its pages over HTTP, a pool of two connections, and nothing that others wait for."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import asyncpg
from aiohttp import web

from warouter.access.guard import Guard
from warouter.access.login import LogIns
from warouter.access.passwords import Passwords
from warouter.config import Settings, networks
from warouter.console import guard
from warouter.console.api import Api
from warouter.console.app import Console
from warouter.console.context import ConsoleContext
from warouter.console.latest import Latest
from warouter.console.render import require_library
from warouter.console.series.feeder import Feeder
from warouter.console.series.memory import Series
from warouter.console.session import Cookies
from warouter.console.simulator import SimulatorClient
from warouter.console.words import Lines
from warouter.http.edge import Edge
from warouter.http.pace import limits
from warouter.net.acceptor import listener
from warouter.node.runtime import (
    ProcessIdentity,
    cancel,
    check_database,
    health_of,
    run_until,
    signs_of_life,
)
from warouter.store.account.accounts import Accounts
from warouter.store.account.keys import Keys
from warouter.store.account.logins import Logins
from warouter.store.account.sessions import ConsoleSessions
from warouter.store.audit import Audit
from warouter.store.database import create_pool
from warouter.systemd import Notifier
from warouter.tls.server import ServerTls, follow

POOL = 2
# Not "wa:...": those sessions are taken for a node's.
APPLICATION = "warouter console"
CLOSE_SECONDS = 1.0  # for requests under way, and for a database that does not answer
_LISTENS = ("WAROUTER_CONSOLE_LISTEN", "WAROUTER_CONSOLE_LISTEN")


async def main(settings: Settings, stop: asyncio.Event, notifier: Notifier) -> None:
    """Run a console until ``stop``."""
    require_library()  # before anything is opened
    identity = ProcessIdentity(settings, "console")
    host, port = settings.console_host_port
    tls = None if settings.no_tls else ServerTls(settings.tls_cert, settings.tls_key)
    if tls is not None:
        tls.adopt({})
    bounds = limits(settings)
    await check_database(settings, identity)
    sock = listener("127.0.0.1" if host == "localhost" else host, port, _LISTENS)
    context = context_of(settings, await create_pool(settings, APPLICATION, POOL))
    console = Console(
        context, Cookies(tls=tls is not None), hosts=guard.hosts_of(host, settings.console_hosts)
    )
    runner = web.AppRunner(console.application(), shutdown_timeout=CLOSE_SECONDS)
    await runner.setup()
    assert runner.server is not None
    served = None if tls is None else tls.context
    edge = Edge(runner.server, [sock], served, bounds, words=Lines())
    edge.open()
    feeder = Feeder(context.series, context.latest)
    tasks = [
        asyncio.create_task(context.audit.refusals.run(), name="refusals"),
        asyncio.create_task(context.alerts.run(), name="alerts"),
        asyncio.create_task(feeder.run(), name="series"),
        asyncio.create_task(edge.sweep(), name="slow clients"),
        asyncio.create_task(signs_of_life(notifier), name="signs of life"),
    ]
    if tls is not None:
        tasks.append(asyncio.create_task(follow(tls), name="certificate"))
    where = sock.getsockname()[:2]
    notifier.ready(f"serving on port {where[1]}")
    listens = (*where, tls is not None)
    with health_of(identity, notifier, lambda: context.latest.age, listens=listens):
        try:
            await run_until(stop, tasks)
        finally:
            notifier.stopping()
            await cancel(tasks)
            edge.close()
            await runner.cleanup()
            await _close(context)


def context_of(settings: Settings, pool: asyncpg.Pool) -> ConsoleContext:
    """Make what the pages of this console need; ``pool`` has its login."""
    accounts, sessions = Accounts(pool), ConsoleSessions(pool)
    audit = Audit(pool, settings.audit_days)
    trusted = tuple(networks(settings.trusted_proxies, "WAROUTER_TRUSTED_PROXIES"))
    passwords = Passwords()
    return ConsoleContext(
        settings=settings,
        pool=pool,
        accounts=accounts,
        keys=Keys(pool),
        sessions=sessions,
        audit=audit,
        log_ins=LogIns(accounts, audit, Guard(Logins(pool), passwords, trusted)),
        passwords=passwords,
        trusted=trusted,
        api=Api(settings.console_api, settings.console_api_ca, sessions),
        latest=Latest(pool),
        series=Series(),
        simulator=SimulatorClient(settings.console_simulator)
        if settings.console_simulator
        else None,
    )


async def _close(context: ConsoleContext) -> None:
    context.passwords.close()
    with suppress(Exception):  # without a database they are lost
        async with asyncio.timeout(CLOSE_SECONDS):
            await context.audit.refusals.flush()
    if context.simulator is not None:
        await context.simulator.close()
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await context.pool.close()
    except TimeoutError:
        context.pool.terminate()
