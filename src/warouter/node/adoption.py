"""Adopting what the database holds: what cannot be used is logged, and the last good value stays.

A setting was perhaps not checked by the API, but written by hand, by a restore or by another build,
and no such thing may end a process: the next one would end by it as well.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from warouter.app_settings import APPLICATION, ApplicationSettings
from warouter.stored import usable

log = logging.getLogger(__name__)


def adopt(name: str, work: Callable[[], None]) -> None:
    """Do what adopts the setting of this name, whatever comes of it."""
    try:
        work()
    except Exception as error:
        _log_unusable(name, f"{type(error).__name__}: {error}")


class ApplicationFields:
    """`settings/application` as far as it can be used, field by field."""

    def __init__(self) -> None:
        self._last: dict[str, Any] = {}

    def adopt(self, stored: Any) -> dict[str, Any]:
        """The fields in force; each that cannot be used is as it was before."""
        found = usable(stored, ApplicationSettings, self._last)
        for problem in found.problems:
            _log_unusable(APPLICATION, problem)
        self._last = found.fields
        return found.fields


def _log_unusable(name: str, reason: str) -> None:
    extra = {"setting": name, "reason": reason[:200]}
    log.error("stored setting rejected", extra=extra)
