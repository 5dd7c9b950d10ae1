"""Questions to Meta and to the database about the number, for which nobody waits.

What fails is logged, and asked again when it is due.
"""

from __future__ import annotations

import logging
from collections.abc import Coroutine
from typing import Any

import asyncpg

from warouter import background
from warouter.errors import WarouterError

log = logging.getLogger(__name__)


def ask(question: Coroutine[Any, Any, None]) -> None:
    """Begin it, beside everything else."""
    background.begin(question, _failed)


def _failed(error: Exception) -> None:
    if isinstance(error, WarouterError | asyncpg.PostgresError):
        log.warning("number look-up failed", extra={"error": str(error) or repr(error)})
    else:
        log.error("number look-up failed", exc_info=error)
