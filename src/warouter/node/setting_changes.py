"""When a process reads the stored settings again, and how they come into force.

The beats bring a counter that grows with every change of table `setting`; only then it is read. A
setting was perhaps not checked by the API, but written by hand, by a restore or by another build,
and no such thing may end a process: the next one would end by it as well. So an unusable one is
logged, and its last good value stays in force.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg

from warouter.app_settings import APPLICATION, ApplicationSettings, log_level
from warouter.cloud_number import FIRST
from warouter.errors import CommandError, OutcomeUnknown
from warouter.log import of_number
from warouter.store.account.accounts import is_unavailable
from warouter.store.beats import Beat
from warouter.stored import usable

log = logging.getLogger(__name__)


class SettingsFollower:
    """``adopt`` reads the settings of this process and puts them in force; CommandError if what is
    stored cannot be used at all.
    """

    def __init__(self, adopt: Callable[[], Awaitable[None]]) -> None:
        self._adopt = adopt
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
                await self._adopt()
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


def adopt(name: str, work: Callable[[], object]) -> None:
    """Run the function that adopts this setting; an error is logged."""
    try:
        work()
    except Exception as error:
        _log_unusable(name, f"{type(error).__name__}: {error}")


class ApplicationFields:
    """The usable fields of a number's `settings/application`."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._last: dict[str, Any] = {}

    def adopt(self, stored: Any) -> dict[str, Any]:
        """The fields in force; an unusable field keeps its last value."""
        found = usable(stored, ApplicationSettings, self._last)
        for problem in found.problems:
            _log_unusable(APPLICATION, problem, self._number)
        self._last = found.fields
        return found.fields


class ProcessFields(ApplicationFields):
    """Those of number 1, and the log level of this process: that of the settings if they have one,
    else ``level``, that of WAROUTER_LOG_LEVEL.
    """

    def __init__(self, level: str) -> None:
        super().__init__(FIRST)
        self._configured = self._level = level.upper()

    def adopt(self, stored: Any) -> dict[str, Any]:
        """The fields in force, after their log level is."""
        fields = super().adopt(stored)
        level = log_level(fields) or self._configured
        if level != self._level:
            self._level = level
            logging.getLogger().setLevel(level)
            log.warning("log level changed", extra={"new_level": level.lower()})
        return fields


def _log_unusable(name: str, reason: str, number: int = FIRST) -> None:
    extra = {"setting": name, "reason": reason[:200], **of_number(number)}
    log.error("stored setting rejected", extra=extra)
