"""Follows the settings that a webapp uses: its certificate and its log level.

The beats bring a counter that grows with every change of table `setting`; only then it is read.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

import asyncpg

from warouter.errors import CommandError, OutcomeUnknown
from warouter.store.account.accounts import is_unavailable
from warouter.store.beats import Beat

log = logging.getLogger(__name__)


class Adopter(Protocol):
    """Reads the settings of one process and puts them in force."""

    async def adopt(self) -> None:
        """Read and adopt. CommandError: what is stored cannot be used at all."""
        ...


class SettingsFollower:
    """``tls`` is None where a proxy terminates TLS."""

    def __init__(self, adopter: Adopter) -> None:
        self._adopter = adopter
        self._version = -1
        self._changed = asyncio.Event()

    def saw(self, version: int) -> None:
        """A beat reported the counter of the settings."""
        if version != self._version:
            self._version = version
            self._changed.set()

    def beaten(self, beat: Beat) -> None:
        self.saw(beat.settings_version)

    async def run(self) -> None:
        """Follow changes until cancelled. A setting that cannot be adopted changes nothing."""
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


def _is_away(error: Exception) -> bool:
    """The database is away or busy: the next beat has it read again."""
    return isinstance(error, OutcomeUnknown | asyncpg.PostgresError) or is_unavailable(error)
