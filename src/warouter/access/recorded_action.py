"""Actions recorded in the audit log: a row before, and its outcome after."""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from warouter.errors import ApiError
from warouter.store.audit import DONE, Audit

log = logging.getLogger(__name__)

_OUTCOME_CHARS = 300
# A quoted value; the marks of `Meta's` and of its like are none of it.
_QUOTED = re.compile(r"""(?<!\w)'[^']*'(?!\w)|"[^"]*\"""")
_USER_OF_URL = re.compile(r"(\w://)[^\s/?#]*@")
_QUERY_OF_URL = re.compile(r"(\w://[^\s?#]*)[?#]\S+")


class RecordedAction:
    """An action under way, with the number of its row; ``subject`` is a user name or a number,
    never a secret, and ``outcome`` how it ended if that is no exception.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.subject = ""
        self.outcome = DONE


@asynccontextmanager
async def recorded(
    audit: Audit, actor: str, action: str, source: str
) -> AsyncIterator[RecordedAction]:
    """Add a row before the block, and its outcome after it.

    Without the row nothing is done: while the database is away, this raises what the store raises.
    """
    under_way = RecordedAction(await audit.begin(actor, action, source))
    try:
        yield under_way
    except ApiError as error:
        under_way.outcome = f"{error.status}/{error.code} {error.details}"
        raise
    except BaseException:
        under_way.outcome = "failed"
        raise
    finally:
        await _end(audit, under_way)


async def _end(audit: Audit, action: RecordedAction) -> None:
    """Add the outcome to a row. The answer does not depend on its success."""
    try:
        outcome = without_values(action.outcome)
        await audit.end(action.number, _storable(action.subject), _storable(outcome))
    except Exception as error:
        log.warning("audit row update failed", extra={"row": action.number, "error": repr(error)})


def without_values(sentence: str) -> str:
    """A sentence for the audit log, which keeps it for ever: what it quotes may be a secret."""
    sentence = _QUOTED.sub("\N{HORIZONTAL ELLIPSIS}", sentence)
    return _USER_OF_URL.sub(r"\1", _QUERY_OF_URL.sub(r"\1", sentence))


def _storable(text: str) -> str:
    """The text without the characters that PostgreSQL refuses."""
    return text[:_OUTCOME_CHARS].encode(errors="replace").decode().replace("\0", "")
