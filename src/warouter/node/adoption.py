"""Adopts stored settings: an unusable one is logged, and its last good value stays in force.

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
    """Run the function that adopts this setting; an error is logged."""
    try:
        work()
    except Exception as error:
        _log_unusable(name, f"{type(error).__name__}: {error}")


class ApplicationFields:
    """The usable fields of `settings/application`."""

    def __init__(self) -> None:
        self._last: dict[str, Any] = {}

    def adopt(self, stored: Any) -> dict[str, Any]:
        """The fields in force; an unusable field keeps its last value."""
        found = usable(stored, ApplicationSettings, self._last)
        for problem in found.problems:
            _log_unusable(APPLICATION, problem)
        self._last = found.fields
        return found.fields


def _log_unusable(name: str, reason: str) -> None:
    extra = {"setting": name, "reason": reason[:200]}
    log.error("stored setting rejected", extra=extra)
