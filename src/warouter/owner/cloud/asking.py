"""Questions to Meta and to the database about a number, for which nobody waits.

What fails is logged, and asked again when it is due.
"""

from __future__ import annotations

import logging
from collections.abc import Coroutine
from functools import partial
from typing import Any

import asyncpg

from warouter import background
from warouter.cloud_number import NumberCloud
from warouter.errors import WarouterError

log = logging.getLogger(__name__)


def ask(of: NumberCloud, question: Coroutine[Any, Any, None]) -> None:
    """Begin it, beside everything else."""
    background.begin(question, partial(_failed, of))


def _failed(of: NumberCloud, error: Exception) -> None:
    if isinstance(error, WarouterError | asyncpg.PostgresError):
        said = {"error": str(error) or repr(error), **of.logged}
        log.warning("number look-up failed", extra=said)
    else:
        log.error("number look-up failed", exc_info=error, extra=of.logged)
