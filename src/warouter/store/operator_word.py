"""An operator's word on messages that are held, as their owners' inbox gets it.

Nothing here writes what an owner writes: the owner takes the word up, fenced as ever, once it has
read what webhooks brought before.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Literal

from warouter.store.database import Source

Word = Literal["resend", "fail"]

_SAY = "select id from say_word($1, $2, $3) as id"


async def say(connection: Source, ids: Sequence[bytes], word: Word) -> set[bytes]:
    """Say what shall become of these messages; returns those that are held and so hear it.

    A message that has had several words obeys the first that it can.
    """
    rows = await connection.fetch(_SAY, ids, secrets.token_hex(8), word.encode())
    return {row["id"] for row in rows}
