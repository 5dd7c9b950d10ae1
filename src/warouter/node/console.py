"""The console: its pages over HTTP, a pool of two connections, and nothing that others wait for."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from contextlib import suppress
from uuid import uuid4

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
from warouter.console.render import library
from warouter.console.series.feeder import Feeder
from warouter.console.series.memory import Series
from warouter.console.session import Cookies
from warouter.console.simulator import SimulatorClient
from warouter.console.words import Lines
from warouter.errors import CommandError
from warouter.http.edge import Edge
from warouter.net.acceptor import BACKLOG
from warouter.net.answering import answering
from warouter.net.health import ProcessHealth
from warouter.net.sockets import not_taken
from warouter.node.limits import limits
from warouter.node.runtime import ProcessIdentity, cancel, check_database, run_until, signs_of_life
from warouter.store.account.accounts import Accounts
from warouter.store.account.logins import Logins
from warouter.store.account.sessions import ConsoleSessions
from warouter.store.audit import Audit
from warouter.store.database import create_pool
from warouter.systemd import Notifier
from warouter.tls.server import ServerTls, follow

ROLE = "console"
POOL = 2
# Not "wa:...": those sessions are taken for a node's.
APPLICATION = "warouter console"
CLOSE_SECONDS = 1.0  # for requests under way, and for a database that does not answer
_LISTENS = ("WAROUTER_CONSOLE_LISTEN", "WAROUTER_CONSOLE_LISTEN")


def listen(host: str, port: int) -> socket.socket:
    """The listening socket; CommandError if the address cannot be taken. It listens from here on:
    as long as they are only bound, two that begin at once would both believe to have it.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind(("127.0.0.1" if host == "localhost" else host, port))
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise CommandError(not_taken(error, port, host, _LISTENS)) from error
    return sock


async def main(settings: Settings, stop: asyncio.Event, notifier: Notifier) -> None:
    """Run a console until ``stop``."""
    library()  # before anything is opened
    identity = ProcessIdentity(settings, ROLE)
    host, port = settings.console_host_port
    tls = None if settings.no_tls else ServerTls(settings.tls_cert, settings.tls_key)
    if tls is not None:
        tls.adopt({})
    bounds = limits(settings)
    await check_database(settings, identity)
    sock = listen(host, port)
    context = context_of(settings, await create_pool(settings, APPLICATION, POOL))
    console = Console(
        context,
        Cookies(tls=tls is not None),
        hosts=guard.hosts_of(host, settings.console_hosts),
    )
    runner = web.AppRunner(console.application(), shutdown_timeout=CLOSE_SECONDS)
    await runner.setup()
    assert runner.server is not None
    edge = Edge(runner.server, [sock], _served(tls), bounds, words=Lines())
    edge.open()
    feeder = Feeder(context.series, context.latest, context.pool)
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

    def say() -> ProcessHealth:
        return ProcessHealth(
            role=ROLE,
            name=identity.name,
            pid=os.getpid(),
            status=notifier.said,
            beat_s=context.latest.age,
            stopping=notifier.stops,
            listens=(*where, tls is not None),
        )

    with answering(ROLE, uuid4().hex, say):
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
    accounts, audit, sessions = (
        Accounts(pool),
        Audit(pool, settings.audit_days),
        ConsoleSessions(pool),
    )
    trusted = tuple(networks(settings.trusted_proxies, "WAROUTER_TRUSTED_PROXIES"))
    passwords = Passwords()
    return ConsoleContext(
        settings=settings,
        pool=pool,
        accounts=accounts,
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


def _served(tls: ServerTls | None) -> ssl.SSLContext | None:
    return None if tls is None else tls.context
