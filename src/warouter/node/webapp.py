"""The webapp: the v1 API over HTTP, links to all coreapps, the shard map."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl

from aiohttp import web

from warouter.api.app import build_app
from warouter.api.auth import seed_administrator
from warouter.api.context import ApiConfig, Context
from warouter.api.passwords import Passwords
from warouter.api.tokens import TokenCache
from warouter.config import Settings
from warouter.errors import CommandError, OutcomeUnknown
from warouter.link import tls
from warouter.link.client import Links
from warouter.node.edge import Edge
from warouter.node.mapview import MapView
from warouter.node.runtime import Identity, cancel, check_database, run_until
from warouter.owner.callbacks import networks
from warouter.store.accounts import Accounts
from warouter.store.database import create_pool
from warouter.store.nodes import NodeSession
from warouter.systemd import Notifier

log = logging.getLogger(__name__)

POOL = 6  # with the beat's and the hints' connection at most 8 a webapp
LAST_SECONDS = 0.5  # for the answers to what was held until the end
CLOSE_SECONDS = 0.5  # for a database that does not answer


def api_config(settings: Settings) -> ApiConfig:
    """What the handlers need to know of the environment."""
    return ApiConfig(
        json_limit=settings.json_limit,
        allow_http_webhook=settings.webhook_allow_http,
        allow_private=tuple(networks(settings.allow_private)),
        api_key=settings.api_key or None,
        multiconnect=settings.multiconnect,
        shards_cert="never" if settings.shards_cert == "never" else "after-7-days",
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


def tls_context(settings: Settings) -> ssl.SSLContext | None:
    """TLS of the public port; None with WAROUTER_NO_TLS=1."""
    if settings.no_tls:
        return None
    if not settings.tls_cert or not settings.tls_key:
        raise CommandError(
            "No certificate: set WAROUTER_TLS_CERT and WAROUTER_TLS_KEY to PEM files,"
            " or WAROUTER_NO_TLS=1 behind a proxy that ends TLS."
        )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(settings.tls_cert, settings.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise CommandError(
            f"The certificate {settings.tls_cert} with the key {settings.tls_key}"
            f" cannot be loaded: {error}."
        ) from error
    return context


async def main(settings: Settings, stop: asyncio.Event, notifier: Notifier) -> None:
    """Run a webapp until ``stop``; open requests then get their answers."""
    identity = Identity(settings, "webapp")
    await check_database(settings, identity)
    context = tls_context(settings)
    sockets = listen(settings)
    pool = await create_pool(settings, identity.application, POOL)
    view = MapView(settings, settings.timing, pool, identity.application)
    accounts, passwords = Accounts(pool), Passwords()
    tokens = TokenCache(accounts)
    view.on_auth_change = tokens.wake
    await seed_administrator(accounts, passwords)
    app = build_app(
        Context(
            accounts=accounts,
            tokens=tokens,
            passwords=passwords,
            config=api_config(settings),
            submit=view.links.submit,
            shards=view.shards,
            set_shards=view.set_shards,
            health=view.health,
            find_inbound=view.find_inbound,
            trace=view.trace,
        )
    )
    runner = web.AppRunner(app, shutdown_timeout=LAST_SECONDS)
    await runner.setup()
    assert runner.server is not None
    port = sockets[0].getsockname()[1]
    edge = Edge(runner.server, sockets, context)
    await edge.open()
    registration = identity.registration(settings.webapp_hostname, port)
    session = NodeSession(settings, registration, lambda _what: None)
    tasks = [
        asyncio.create_task(view.run(), name="shard map"),
        asyncio.create_task(view.links.sweep(), name="sweep"),
        asyncio.create_task(_beat(session, view.links, settings, notifier), name="beats"),
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
        await view.close()
        session.terminate()
        await pool.close()
        late.cancel()


async def _beat(session: NodeSession, links: Links, settings: Settings, notifier: Notifier) -> None:
    """A webapp owns nothing; its beats show that it lives, and say whom it does not reach."""
    timing = settings.timing
    missing = False
    while True:
        try:
            await session.beat(True, timing.trust, links.unreached())
            missing = False
        except OutcomeUnknown as error:
            if not missing:
                log.warning("beat not confirmed", extra={"error": str(error)})
            missing = True
        # The watchdog is fed without the database as well: a restart would not bring it back.
        notifier.alive()
        await asyncio.sleep(timing.beat)
