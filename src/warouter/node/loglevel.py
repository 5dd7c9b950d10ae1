"""The log level of this process: that of
`settings/application` if set, else that of the environment.

`verbose_logging` and `log_level` are followed live by webapps and coreapps.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from warouter.app_settings import log_level

log = logging.getLogger(__name__)


class LogLevel:
    """``configured`` is WAROUTER_LOG_LEVEL, which is in force at the start."""

    def __init__(self, configured: str) -> None:
        self._configured = self._present = configured.upper()

    def follow(self, stored: Mapping[str, Any]) -> None:
        """Adopt the level of `settings/application`."""
        level = log_level(stored) or self._configured
        if level != self._present:
            self._present = level
            logging.getLogger().setLevel(level)
            log.warning("log level changed", extra={"new_level": level.lower()})
