"""The settings that a webapp follows: its certificate and its log level.

Both are of the process, and so number 1's; those of a number are read by each request.
"""

from __future__ import annotations

from warouter.app_settings import APPLICATION, EXTERNAL_CERTIFICATE
from warouter.cloud_number import FIRST
from warouter.node.setting_changes import ProcessFields, adopt
from warouter.store.account.accounts import Accounts
from warouter.tls.server import ServerTls


class WebappSettings:
    """A webapp's certificate and log level. ``tls`` is None where a proxy ends TLS."""

    def __init__(self, accounts: Accounts, tls: ServerTls | None, level: str) -> None:
        self._accounts = accounts
        self._tls = tls
        self._application = ProcessFields(level)

    async def adopt(self) -> None:
        """Read and adopt. CommandError if there is no certificate that could be served with."""
        application = await self._accounts.raw_setting(FIRST, APPLICATION)
        adopt(APPLICATION, lambda: self._application.adopt(application))
        if self._tls is not None:
            self._tls.adopt(await self._accounts.raw_setting(FIRST, EXTERNAL_CERTIFICATE))
