"""What a webapp takes from the settings while it runs: its certificate and its log level.

The beats bring a counter that grows with every change of table `setting`; only then it is read.
"""

from __future__ import annotations

import asyncio
import logging

from warouter.app_settings import APPLICATION, EXTERNAL_CERTIFICATE
from warouter.errors import CommandError
from warouter.node.adoption import ApplicationFields, adopt
from warouter.node.loglevel import LogLevel
from warouter.store.account.accounts import Accounts, is_unavailable
from warouter.tls.server import ServerTls

log = logging.getLogger(__name__)


class SettingsFollower:
    """``tls`` is None where a proxy ends TLS."""

    def __init__(self, accounts: Accounts, tls: ServerTls | None, level: LogLevel) -> None:
        self._accounts = accounts
        self._tls = tls
        self._level = level
        self._application = ApplicationFields()
        self._version = -1
        self._changed = asyncio.Event()

    def saw(self, version: int) -> None:
        """A beat says where the counter stands."""
        if version != self._version:
            self._version = version
            self._changed.set()

    async def adopt(self) -> None:
        """Read and adopt. CommandError if there is no certificate that could be served with."""
        application = await self._accounts.raw_setting(APPLICATION)
        adopt(APPLICATION, lambda: self._level.follow(self._application.adopt(application)))
        if self._tls is not None:
            self._tls.adopt(await self._accounts.raw_setting(EXTERNAL_CERTIFICATE))

    async def run(self) -> None:
        """Follow until cancelled. Whatever cannot be adopted leaves things as they are."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                await self.adopt()
            except CommandError as error:
                log.error("certificate refresh failed", extra={"error": str(error)})
            except Exception as error:
                if not is_unavailable(error):
                    raise
                log.warning("settings refresh failed", extra={"error": repr(error)})
                self._version = -1  # the next beat tries again
