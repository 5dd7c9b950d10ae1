"""What a process takes from the settings while it runs, and when it reads them again.

The beats bring a counter that grows with every change of table `setting`; only then it is read.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import Any, Protocol

import asyncpg

from warouter.app_settings import (
    APPLICATION,
    EXTERNAL_CERTIFICATE,
    WEBHOOK_CA,
    ApplicationSettings,
    effective,
)
from warouter.errors import CommandError, OutcomeUnknown
from warouter.node.adoption import ApplicationFields, adopt
from warouter.node.loglevel import LogLevel
from warouter.owner.callbacks import CallbackFeed
from warouter.owner.retention import Retention
from warouter.store.account.accounts import Accounts, is_unavailable
from warouter.store.aside import settings_of
from warouter.store.bounded import Fetch
from warouter.store.nodes import Beat
from warouter.stored import text_of
from warouter.tls.server import ServerTls

log = logging.getLogger(__name__)

FOLLOWED = (APPLICATION, WEBHOOK_CA)  # by a coreapp


class Adopter(Protocol):
    """Reads the settings of one process and puts them in force."""

    async def adopt(self) -> None:
        """Read and adopt. CommandError: what is stored cannot be used at all."""
        ...


class SettingsFollower:
    """Has the settings adopted each time that they change."""

    def __init__(self, adopter: Adopter) -> None:
        self._adopter = adopter
        self._version = -1
        self._changed = asyncio.Event()

    def saw(self, version: int) -> None:
        """A beat says where the counter stands."""
        if version != self._version:
            self._version = version
            self._changed.set()

    def beaten(self, beat: Beat) -> None:
        self.saw(beat.settings_version)

    async def run(self) -> None:
        """Follow until cancelled. Whatever cannot be adopted leaves things as they are."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                await self._adopter.adopt()
            except CommandError as error:
                log.error("certificate refresh failed", extra={"error": str(error)})
            except Exception as error:
                if not _is_away(error):
                    raise
                log.warning("settings refresh failed", extra={"error": str(error) or repr(error)})
                self._version = -1  # the next beat tries again


class WebappSettings:
    """A webapp's certificate and log level. ``tls`` is None where a proxy ends TLS."""

    def __init__(self, accounts: Accounts, tls: ServerTls | None, level: LogLevel) -> None:
        self._accounts = accounts
        self._tls = tls
        self._level = level
        self._application = ApplicationFields()

    async def adopt(self) -> None:
        """Read and adopt. CommandError if there is no certificate that could be served with."""
        application = await self._accounts.raw_setting(APPLICATION)
        adopt(APPLICATION, lambda: self._level.follow(self._application.adopt(application)))
        if self._tls is not None:
            self._tls.adopt(await self._accounts.raw_setting(EXTERNAL_CERTIFICATE))


class InForce:
    """The settings of the application and of its webhook as this coreapp has them."""

    def __init__(self) -> None:
        self.application = ApplicationSettings()
        self.webhook_ca = ""

    def now(self) -> ApplicationSettings:
        return self.application


class CoreappSettings:
    """A coreapp's: what is called back and how, the webhook's CA, collections, its log level."""

    def __init__(
        self,
        fetch: Fetch,
        in_force: InForce,
        feed: CallbackFeed,
        retention: Retention,
        level: LogLevel,
    ) -> None:
        self._fetch = fetch
        self._in_force = in_force
        self._feed = feed
        self._retention = retention
        self._level = level
        self._application = ApplicationFields()
        self._collections: int | None = None  # how often PUT services/message/gc was called

    async def adopt(self) -> None:
        """Each for itself: one that cannot be used leaves its last good value."""
        stored, collections = await settings_of(self._fetch, FOLLOWED)
        adopt(APPLICATION, partial(self._adopt_application, stored[APPLICATION]))
        adopt(WEBHOOK_CA, partial(self._trust, stored[WEBHOOK_CA]))
        adopt(APPLICATION, self._feed.settings_changed)
        if self._collections not in (None, collections):
            self._retention.collect()
        self._collections = collections

    def _adopt_application(self, stored: Any) -> None:
        fields = self._application.adopt(stored)
        self._in_force.application = effective(fields)
        self._level.follow(fields)

    def _trust(self, stored: Any) -> None:
        ca = text_of(stored, "pem") if stored != {} else ""
        if ca is None:
            raise ValueError("it is not PEM text")
        if ca == self._in_force.webhook_ca:
            return
        self._feed.trust(ca)
        self._in_force.webhook_ca = ca
        log.info("webhook CA activated", extra={"configured": bool(ca)})


def _is_away(error: Exception) -> bool:
    """The database is away or busy: the next beat has it read again."""
    return isinstance(error, OutcomeUnknown | asyncpg.PostgresError) or is_unavailable(error)
