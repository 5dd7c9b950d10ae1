"""The webapp: the v1 API over HTTP, links to all coreapps, the shard map."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import cache

import asyncpg
from aiohttp import web

from warouter.access.login import seed_administrator
from warouter.api.access.tokens import TokenCache
from warouter.api.account.cloud_registration import CloudRegistrar
from warouter.api.account.registration import OnceRegistered
from warouter.api.app import build_app
from warouter.api.configs.template_list import TemplateList
from warouter.api.contacts.cloud_contacts import CloudDirectory, IdentityCheck
from warouter.api.context import ApiConfig, Context
from warouter.api.messages.fastpath import FastPath
from warouter.api.profile.cloud_profile import CloudProfile
from warouter.api.profile.local import LocalProfile
from warouter.api.profile.port import ProfileStore
from warouter.cloud_settings import is_loopback
from warouter.config import Settings, networks
from warouter.errors import CommandError, OutcomeUnknown
from warouter.http.edge import Edge
from warouter.http.envelope import Envelopes, common_fields
from warouter.http.meter import Meter
from warouter.http.pace import LOOPBACK, ConnectionLimits, limits
from warouter.http.rates import Rates, parse_rates
from warouter.link.client import Links
from warouter.link.credential import Credential
from warouter.log import Outage
from warouter.media.choice import storage_of, try_out
from warouter.media.fetch import Fetcher
from warouter.media.library import Library
from warouter.media.received import Received
from warouter.metrics import Sample
from warouter.net.acceptor import listener
from warouter.net.sockets import not_listening, not_taken
from warouter.node.context import assemble, operations_of
from warouter.node.mapview import MapView
from warouter.node.reporter import Reporter, process_samples
from warouter.node.runtime import ProcessIdentity, cancel, check_database, health_of, run_until
from warouter.node.setting_changes import SettingsFollower
from warouter.node.settings_webapp import WebappSettings
from warouter.node.webhooks import CloudWebhooks
from warouter.secret import api_keys
from warouter.store.account.accounts import Accounts
from warouter.store.account.keys import Keys
from warouter.store.account.photo import Photos
from warouter.store.account.registration import Registrations
from warouter.store.audit import Audit
from warouter.store.beats import Beat, NodeSession
from warouter.store.cloud.contacts import CloudContacts
from warouter.store.database import create_pool
from warouter.store.media import through_pool
from warouter.systemd import Notifier
from warouter.tls.server import ServerTls, follow
from warouter.upstream.cloud.graph.calls import Calls
from warouter.upstream.cloud.graph.media_calls import CloudMedia, NumberMedia
from warouter.upstream.cloud.graph.number_calls import NumberCalls
from warouter.upstream.cloud.graph.profile_calls import Profile
from warouter.upstream.cloud.graph.template_calls import TemplateCalls
from warouter.upstream.media_service import MediaService, UpstreamMedia
from warouter.upstream.number_services import NumberDirectory, NumberLookup
from warouter.upstream.registration import Authority, Registrar

log = logging.getLogger(__name__)

POOL = 6  # most; usually one, which makes three with the beats' and the hints'
LAST_SECONDS = 0.5  # for the answers to what was held until the end
CLOSE_SECONDS = 0.5  # for a database that does not answer
_LISTENS = ("WEBAPP_EXTERNAL_PORTS", "WEBAPP_HOSTNAME")


def api_config(settings: Settings) -> ApiConfig:
    """Settings of the API from the environment."""
    return ApiConfig(
        json_limit=settings.json_limit,
        allow_http_webhook=settings.webhook_allow_http,
        allow_private=tuple(networks(settings.allow_private)),
        webhook_ports=settings.allowed_webhook_ports,
        api_keys=api_keys(settings.api_key_source),
        multiconnect=settings.multiconnect,
        shards_cert="never" if settings.shards_cert == "never" else "after-7-days",
        trusted_proxies=tuple(networks(settings.trusted_proxies, "WAROUTER_TRUSTED_PROXIES")),
        server_version=settings.server_version,
        any_cert=settings.upstream == "cloud",
        options=settings.upstream == "cloud",
        d360=settings.d360,
    )


def listen(settings: Settings) -> list[socket.socket]:
    """Sockets of the webapp's own port, and of the public one that webapps of a host share."""
    host = "127.0.0.1" if is_loopback(settings.webapp_hostname) else settings.webapp_hostname
    ports = [settings.webapp_port]
    if settings.public_port not in (0, settings.webapp_port):
        ports.append(settings.public_port)
    return [listener(host, port, _LISTENS, shared=True) for port in ports]


class Webapp:
    """One webapp process: its parts, and the calls between them."""

    def __init__(
        self,
        settings: Settings,
        identity: ProcessIdentity,
        pool: asyncpg.Pool,
        sockets: Sequence[socket.socket],
        rates: Rates | None,
        bounds: ConnectionLimits,
    ) -> None:
        self._settings = settings
        self._pool = pool
        self._sockets = sockets
        self._bounds = bounds
        self.port: int = sockets[0].getsockname()[1]
        self._tls = None if settings.no_tls else ServerTls(settings.tls_cert, settings.tls_key)
        # The cluster: who owns which slot, and the links through which messages go there.
        tokens = TokenCache(Accounts(pool), Keys(pool))
        registration = identity.registration(settings.webapp_hostname, self.port)
        self._session = session = NodeSession(settings, registration, lambda _what: None)
        shown = Credential(identity.incarnation.hex, session.publish)
        self._view = MapView(settings, settings.timing, pool, identity.application, tokens, shown)
        # The API on top of it, and what it says of itself.
        self._meter = Meter()
        self._started = time.monotonic()
        self._registered = OnceRegistered(Registrations(pool), self._view.links)
        # Meta's side of it: webhooks at a port of their own, and the Graph API for rare calls.
        self._webhooks = self._made_webhooks(identity)
        self._calls = Calls(settings.cloud, self._webhooks.secrets) if self._webhooks else None
        self._contents = self._made_contents()
        self._storage = storage_of(settings)
        self._context = self._assembled(identity, rates, tokens)
        self._runner = web.AppRunner(build_app(self._context), shutdown_timeout=LAST_SECONDS)
        self._reporter = Reporter(self._session, identity, self._samples)
        # The parts that follow the settings.
        self._followed = WebappSettings(self._context.accounts, self._tls, settings.log_level)
        self._follower = SettingsFollower(self._followed.adopt)

    def _made_webhooks(self, identity: ProcessIdentity) -> CloudWebhooks | None:
        if self._settings.upstream != "cloud":
            return None
        return CloudWebhooks(self._settings, identity, self._view.links.statuses)

    async def open(self) -> None:
        """Read the settings and accept connections; then ``tasks`` run the process."""
        await try_out(self._storage)
        await self._followed.adopt()
        await seed_administrator(self._context.accounts, self._context.passwords)
        await self._runner.setup()
        assert self._runner.server is not None
        self._edge = Edge(
            self._runner.server,
            self._sockets,
            self._tls.context if self._tls else None,
            self._bounds,
            self._fast_path(),
            words=Envelopes(
                common_fields(server_version=self._settings.server_version),
                d360=self._settings.d360,
            ),
        )
        try:
            self._edge.open()
        except OSError as error:
            raise CommandError(not_taken(error, *not_listening(self._sockets), _LISTENS)) from error
        if self._webhooks is not None:
            await self._webhooks.open()

    def tasks(self, notifier: Notifier) -> list[asyncio.Task[None]]:
        """Everything that runs as long as the process does."""
        links = self._view.links
        work = {
            "shard map": self._view.run(),
            "sweep": links.sweep(),
            "settings": self._follower.run(),
            "beats": _beat(self._session, links, self._settings, notifier, self._heard),
            "slow clients": self._edge.sweep(),
            "reports": self._reporter.run(),
            **({"certificate": follow(self._tls)} if self._tls is not None else {}),
            **(self._webhooks.work() if self._webhooks is not None else {}),
        }
        return [asyncio.create_task(coroutine, name=name) for name, coroutine in work.items()]

    def shown_to_checks(
        self, identity: ProcessIdentity, notifier: Notifier
    ) -> AbstractContextManager[None]:
        """Answers `warouter healthcheck`, which then asks at our port, too."""
        host, port = self._sockets[0].getsockname()
        listens = (host, port, self._tls is not None)
        return health_of(identity, notifier, lambda: self._session.beat_age, listens=listens)

    async def close(self, tasks: list[asyncio.Task[None]]) -> None:
        """Answer the requests that came, then close everything."""
        hooks = self._webhooks
        await asyncio.gather(
            self._edge.leave(self._view.end_waiting), *([hooks.leave()] if hooks else ())
        )
        # Whatever still waits for the database then fails, so that the process ends in time.
        late = asyncio.get_running_loop().call_later(CLOSE_SECONDS, self._pool.terminate)
        await self._runner.cleanup()
        await cancel(tasks)
        if hooks is not None:
            await hooks.close()
        await self._contents.close()
        if self._calls is not None:
            await self._calls.close()
        await self._reporter.close()
        await self._view.close()
        await self._storage.close()
        self._session.terminate()
        await self._pool.close()
        late.cancel()

    def _assembled(
        self, identity: ProcessIdentity, rates: Rates | None, tokens: TokenCache
    ) -> Context:
        settings, pool = self._settings, self._pool
        operations = operations_of(
            pool,
            identity.name,
            self._meter,
            lambda: [*self._samples(), *process_samples(identity.started)],
            rates,
        )
        return assemble(
            pool,
            api_config(settings),
            self._view,
            self._registered,
            tokens=tokens,
            operations=operations,
            audit=Audit(pool, settings.audit_days),
            received=Received(
                Library(through_pool(pool), self._storage, settings.media_quota), self._contents
            ),
            authority=cache(self._registrar),
            numbers=self._numbers(),
            profile=cache(self._profile),
            identity_check=cache(self._identity_check),
            templates=cache(self._templates),
            contact_check=settings.require_contact_check,
            served_chain=lambda: self._tls.chain if self._tls else "",
        )

    def _made_contents(self) -> UpstreamMedia:
        """The upstream's media."""
        if self._webhooks is None or self._calls is None:
            return MediaService(self._settings.upstream_services_url)
        media = CloudMedia(self._settings.cloud, self._webhooks.secrets, self._calls)
        return NumberMedia(self._webhooks.of, media)

    def _registrar(self, number: int) -> Registrar:
        if self._webhooks is None or self._calls is None:
            return Authority(self._settings.upstream_services_url)
        of, secrets = self._webhooks.number(number), self._webhooks.secrets
        return CloudRegistrar(of, NumberCalls(self._calls), Accounts(self._pool), secrets)

    def _numbers(self) -> NumberLookup:
        if self._webhooks is not None:
            return CloudDirectory(CloudContacts(self._pool))
        return NumberDirectory(self._settings.upstream_services_url)

    def _profile(self, number: int) -> ProfileStore:
        if self._webhooks is None or self._calls is None:
            return LocalProfile(number, Accounts(self._pool), Photos(self._pool))
        cloud = self._settings.cloud
        # Meta's own URLs are public and https. A stand-in on this host has neither.
        plain = cloud.base_url.startswith("http:")
        fetcher = Fetcher(allow_http=plain, allow_private=LOOPBACK if plain else ())
        return CloudProfile(self._webhooks.number(number), Profile(self._calls), fetcher)

    def _identity_check(self, number: int) -> IdentityCheck | None:
        if self._webhooks is None or self._calls is None:
            return None
        contacts, calls = CloudContacts(self._pool), NumberCalls(self._calls)
        return IdentityCheck(self._webhooks.number(number), contacts, calls)

    def _templates(self, number: int) -> TemplateList | None:
        if self._webhooks is None or self._calls is None:
            return None
        of = self._webhooks.number(number)
        return TemplateList(TemplateCalls(of, self._calls), time.monotonic)

    def _samples(self) -> list[Sample]:
        """The metrics of this webapp: its connections, its requests, its links."""
        links = self._view.links
        return [
            Sample("web_uptime", round(time.monotonic() - self._started)),
            Sample("web_total_processes", 1),
            Sample("web_idle_processes", int(self._meter.under_way == 0)),
            Sample("warouter_link_connected", links.connected),
            Sample("warouter_link_pending_messages", links.pending),
            Sample("warouter_link_pending_bytes", links.pending_bytes),
            Sample("warouter_database_up", int(not self._view.away)),
            *self._meter.samples(),
            *self._edge.samples(),
            *(self._webhooks.samples() if self._webhooks is not None else ()),
        ]

    def _heard(self, beat: Beat) -> None:
        """Read what others have changed as soon as a beat says so."""
        self._follower.saw(beat.settings_version)
        self._view.saw(beat.map_version)
        self._context.tokens.saw(beat.auth_version)

    def _fast_path(self) -> FastPath | None:
        if not self._settings.fast_path:
            return None
        return FastPath(self._context, self._view.links, self._registered)


async def main(settings: Settings, stop: asyncio.Event, notifier: Notifier) -> None:
    """Run a webapp until ``stop``; requests under way are still answered."""
    identity = ProcessIdentity(settings, "webapp")
    await check_database(settings, identity)
    rates, bounds = parse_rates(settings.rate_limit), limits(settings)
    sockets = listen(settings)
    pool = await create_pool(settings, identity.application, POOL)
    webapp = Webapp(settings, identity, pool, sockets, rates, bounds)
    await webapp.open()
    tasks = webapp.tasks(notifier)
    notifier.ready(f"serving on port {webapp.port}")
    with webapp.shown_to_checks(identity, notifier):
        try:
            await run_until(stop, tasks)
        finally:
            notifier.stopping()
            await webapp.close(tasks)


async def _beat(
    session: NodeSession,
    links: Links,
    settings: Settings,
    notifier: Notifier,
    heard: Callable[[Beat], None],
) -> None:
    """Beat: a webapp owns nothing, but shows that it is alive and which coreapps it cannot reach.

    ``heard`` is called with each answer.
    """
    timing = settings.timing
    outage = Outage()
    while True:
        try:
            heard(await session.beat(True, timing.trust, links.unreached()))
            outage.ends()
        except OutcomeUnknown as error:
            if outage.begins():
                log.warning("beat failed", extra={"error": str(error)})
        # The watchdog is fed without the database as well: a restart would not bring it back.
        notifier.alive()
        await asyncio.sleep(timing.beat)
