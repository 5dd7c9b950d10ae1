"""An operator's word on messages in doubt or held, as their owners' inbox gets it.

Nothing here writes what an owner writes: the owner takes the word up, fenced as ever, once it has
read what webhooks brought before.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import NamedTuple

from warouter.store.database import Source
from warouter.store.views.doubt_choice import DoubtChoice, chosen_ids
from warouter.store.views.doubts import Word

PAGE = 1_000  # messages of one statement: a word to very many holds no lock for long

_SAY = "select id from say_word($1, $2, $3) as id"


class SaidPage(NamedTuple):
    """A page of chosen messages; ``heard`` of them were still in a state that hears the word."""

    ids: list[bytes]
    heard: int


async def say(connection: Source, ids: Sequence[bytes], word: Word) -> set[bytes]:
    """Say what shall become of these messages; returns those whose state hears it.

    A message that has had several words obeys the first that it can.
    """
    rows = await connection.fetch(_SAY, ids, secrets.token_hex(8), word.encode())
    return {row["id"] for row in rows}


async def say_next(
    connection: Source, which: DoubtChoice, word: Word, after: bytes = b""
) -> SaidPage:
    """Say the word to the next page of a choice, in the order of the ids; an empty one ends it."""
    ids = await chosen_ids(connection, which, after, PAGE)
    heard = await say(connection, ids, word) if ids else ()
    return SaidPage(ids, len(heard))
