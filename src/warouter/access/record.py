"""Actions recorded in the audit log: a row before, and its outcome after."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from warouter.errors import ApiError
from warouter.store.audit import DONE, Audit

log = logging.getLogger(__name__)

_OUTCOME_CHARS = 300


class Action:
    """An action under way; ``subject`` is a user name or a number, never a secret."""

    def __init__(self) -> None:
        self.subject = ""


@asynccontextmanager
async def recorded(audit: Audit, actor: str, action: str, source: str) -> AsyncIterator[Action]:
    """Add a row before the block, and its outcome after it.

    Without the row nothing is done: while the database is away, this raises what the store raises.
    """
    number = await audit.begin(actor, action, source)
    under_way, outcome = Action(), "failed"
    try:
        yield under_way
        outcome = DONE
    except ApiError as error:
        outcome = f"{error.status}/{error.code} {error.details}"
        raise
    finally:
        await _end(audit, number, under_way.subject, outcome)


async def _end(audit: Audit, number: int, about: str, outcome: str) -> None:
    """Add the outcome to a row. The answer does not depend on its success."""
    try:
        await audit.end(number, _storable(about), _storable(outcome))
    except Exception as error:
        log.warning("audit row update failed", extra={"row": number, "error": repr(error)})


def _storable(text: str) -> str:
    """The text without the characters that PostgreSQL refuses; it may quote the client."""
    return text[:_OUTCOME_CHARS].encode(errors="replace").decode().replace("\0", "")
