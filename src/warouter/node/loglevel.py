"""The level of this process's log: `settings/application` while it says one, else the environment.

`verbose_logging` and `log_level` are followed live by webapps and coreapps.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from warouter.app_settings import log_level

log = logging.getLogger(__name__)


class LogLevel:
    """``configured`` is WAROUTER_LOG_LEVEL, in force already."""

    def __init__(self, configured: str) -> None:
        self._configured = self._present = configured.upper()

    def follow(self, stored: Mapping[str, Any]) -> None:
        """Adopt what is stored of `settings/application`."""
        level = log_level(stored) or self._configured
        if level != self._present:
            self._present = level
            logging.getLogger().setLevel(level)
            log.warning("log level changed", extra={"new_level": level.lower()})
