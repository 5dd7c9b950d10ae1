"""The webapp: the v1 API over HTTP, links to all coreapps, the shard map."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path

import asyncpg
from aiohttp import web

from warouter.api.access.auth import seed_administrator
from warouter.api.access.passwords import Passwords
from warouter.api.access.tokens import TokenCache
from warouter.api.account.registration import OnceRegistered
from warouter.api.app import build_app
from warouter.api.contacts.book import ContactBook
from warouter.api.context import ApiConfig, Context
from warouter.api.messages.fastpath import FastPath
from warouter.api.monitoring.operations import Operations
from warouter.config import Settings, networks
from warouter.errors import CommandError, ConfigError, OutcomeUnknown
from warouter.http.edge import Edge
from warouter.http.meter import Meter
from warouter.http.pace import LOOPBACK, Limits
from warouter.http.rates import parse_rates
from warouter.link.client import Links
from warouter.media.directory import Directory
from warouter.media.library import Library
from warouter.node.figures_webapp import WebappFigures
from warouter.node.loglevel import LogLevel
from warouter.node.mapview import MapView
from warouter.node.reporter import Reporter, process_samples
from warouter.node.runtime import Identity, cancel, check_database, run_until
from warouter.node.settings import SettingsFollower, WebappSettings
from warouter.store.account.accounts import Accounts
from warouter.store.account.backup import Backups
from warouter.store.account.contacts import ContactStore
from warouter.store.account.logins import Logins
from warouter.store.account.photo import Photos
from warouter.store.account.registration import Registrations
from warouter.store.account.services import ask_for_collection
from warouter.store.account.stickers import Stickers
from warouter.store.audit import Audit
from warouter.store.bounded import fetcher
from warouter.store.database import create_pool
from warouter.store.media import through_pool
from warouter.store.nodes import NodeSession
from warouter.store.reports import read_reports
from warouter.store.views.facts import read_facts
from warouter.store.views.stats import Statistics
from warouter.systemd import Notifier
from warouter.tls import link as tls
from warouter.tls.server import ServerTls
from warouter.upstream.numbers import NumberDirectory
from warouter.upstream.registration import Authority

log = logging.getLogger(__name__)

POOL = 6  # most; usually one, which makes three with the beats' and the hints'
LAST_SECONDS = 0.5  # for the answers to what was held until the end
CLOSE_SECONDS = 0.5  # for a database that does not answer


def api_config(settings: Settings) -> ApiConfig:
    """What the handlers need to know of the environment."""
    return ApiConfig(
        json_limit=settings.json_limit,
        allow_http_webhook=settings.webhook_allow_http,
        allow_private=tuple(networks(settings.allow_private)),
        webhook_ports=settings.allowed_webhook_ports,
        api_key=settings.api_key or None,
        multiconnect=settings.multiconnect,
        shards_cert="never" if settings.shards_cert == "never" else "after-7-days",
        trusted_proxies=tuple(networks(settings.trusted_proxies, "WAROUTER_TRUSTED_PROXIES")),
        server_version=settings.server_version,
    )


def limits(settings: Settings) -> Limits:
    """How many connections the webapp takes, and from where any number."""
    if min(settings.connections, settings.connections_per_address) < 1:
        raise ConfigError(
            "WAROUTER_CONNECTIONS and WAROUTER_CONNECTIONS_PER_ADDRESS must be above 0."
        )
    proxies = networks(settings.trusted_proxies, "WAROUTER_TRUSTED_PROXIES")
    return Limits(
        connections=settings.connections,
        connections_per_address=settings.connections_per_address,
        exempt=(*LOOPBACK, *proxies),
    )


def listen(settings: Settings) -> list[socket.socket]:
    """The webapp's own port, and the public one that webapps of a host share (SO_REUSEPORT)."""
    host = settings.webapp_hostname
    bind = "127.0.0.1" if tls.on_this_host(host) else host
    ports = [settings.webapp_port]
    if settings.public_port not in (0, settings.webapp_port):
        ports.append(settings.public_port)
    sockets = []
    for port in ports:
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            sock.bind((bind, port))
        except OSError as error:
            sock.close()
            raise CommandError(
                f"Port {port} at {bind} cannot be taken ({error.strerror}):"
                " set WEBAPP_EXTERNAL_PORTS to one that is free."
            ) from error
        sockets.append(sock)
    return sockets


def library(settings: Settings, pool: asyncpg.Pool) -> Library:
    directory = Directory(Path(settings.media_dir))
    return Library(through_pool(pool), directory, settings.media_quota)


async def main(settings: Settings, stop: asyncio.Event, notifier: Notifier) -> None:
    """Run a webapp until ``stop``; open requests then get their answers."""
    identity = Identity(settings, "webapp")
    await check_database(settings, identity)
    rates, bounds = parse_rates(settings.rate_limit), limits(settings)
    sockets = listen(settings)
    pool = await create_pool(settings, identity.application, POOL)
    view = MapView(settings, settings.timing, pool, identity.application)
    accounts, passwords, registrations = Accounts(pool), Passwords(), Registrations(pool)
    registered = OnceRegistered(registrations)
    tokens = TokenCache(accounts)
    view.on_auth_change = tokens.wake
    server_tls = None if settings.no_tls else ServerTls(settings.tls_cert, settings.tls_key)
    followed = WebappSettings(accounts, server_tls, LogLevel(settings.log_level))
    await followed.adopt()
    follower = SettingsFollower(followed)
    await seed_administrator(accounts, passwords)
    meter = Meter()
    figures = WebappFigures(meter, view)
    statistics = Statistics(pool)
    operations = Operations(
        node=identity.name,
        reports=lambda: read_reports(pool),
        stored=statistics.cluster,
        tables=statistics.tables,
        facts=lambda: read_facts(pool),
        own=lambda: [*figures.samples(), *process_samples()],
        rates=rates,
        meter=meter,
    )
    reporter = Reporter(fetcher(pool), identity, figures.samples)
    context = Context(
        accounts=accounts,
        tokens=tokens,
        passwords=passwords,
        logins=Logins(pool),
        audit=Audit(pool, settings.audit_days),
        registrations=registrations,
        authority=Authority(settings.upstream_services_url),
        backups=Backups(pool),
        config=api_config(settings),
        submit=registered.submit(view.links.submit),
        shards=view.shards,
        set_shards=view.set_shards,
        health=view.health,
        find_inbound=view.find_inbound,
        contacts=ContactBook(
            ContactStore(pool),
            NumberDirectory(settings.upstream_services_url),
            required=settings.require_contact_check,
        ),
        photos=Photos(pool),
        stickers=Stickers(pool),
        collect=partial(ask_for_collection, pool),
        served_chain=lambda: server_tls.chain if server_tls else "",
        operations=operations,
        media=library(settings, pool),
        trace=view.trace,
    )
    runner = web.AppRunner(build_app(context), shutdown_timeout=LAST_SECONDS)
    await runner.setup()
    assert runner.server is not None
    port = sockets[0].getsockname()[1]
    certificate = server_tls.context if server_tls else None
    fast = None
    if settings.fast_path:
        fast = FastPath(context, view.links.offer, lambda: registered.known)
    edge = figures.door = Edge(
        runner.server,
        sockets,
        certificate,
        bounds,
        fast,
        server_version=settings.server_version,
    )
    edge.open()
    registration = identity.registration(settings.webapp_hostname, port)
    session = NodeSession(settings, registration, lambda _what: None)
    tasks = [
        asyncio.create_task(view.run(), name="shard map"),
        asyncio.create_task(view.links.sweep(), name="sweep"),
        asyncio.create_task(follower.run(), name="settings"),
        asyncio.create_task(
            _beat(session, view.links, settings, notifier, follower.saw), name="beats"
        ),
        asyncio.create_task(edge.sweep(), name="slow clients"),
        asyncio.create_task(reporter.run(), name="reports"),
    ]
    notifier.ready(f"serving on port {port}")
    try:
        await run_until(stop, tasks)
    finally:
        notifier.stopping()
        await edge.leave(view.end_waiting)
        # Whatever still waits for the database then fails, so that the process ends in time.
        late = asyncio.get_running_loop().call_later(CLOSE_SECONDS, pool.terminate)
        await runner.cleanup()
        await cancel(tasks)
        await reporter.close()
        await view.close()
        session.terminate()
        await pool.close()
        late.cancel()


async def _beat(
    session: NodeSession,
    links: Links,
    settings: Settings,
    notifier: Notifier,
    saw: Callable[[int], None] = lambda _version: None,
) -> None:
    """A webapp owns nothing; its beats show that it lives, and say whom it does not reach.

    ``saw`` hears where the counter of the settings stands.
    """
    timing = settings.timing
    missing = False
    while True:
        try:
            beat = await session.beat(True, timing.trust, links.unreached())
            saw(beat.settings_version)
            missing = False
        except OutcomeUnknown as error:
            if not missing:
                log.warning("beat failed", extra={"error": str(error)})
            missing = True
        # The watchdog is fed without the database as well: a restart would not bring it back.
        notifier.alive()
        await asyncio.sleep(timing.beat)
