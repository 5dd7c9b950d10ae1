"""Leaves answers that come after the slot was lost in the inbox, for its new owner.

True whoever says it, so no fence guards it: it goes to the inbox, and the owner takes it up.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import asyncpg
import msgspec

from warouter import background
from warouter.errors import OutcomeUnknown
from warouter.upstream.cloud.answers import Class, Judged
from warouter.upstream.cloud.batch import WORD
from warouter.upstream.cloud.graph.client import MessagePost

log = logging.getLogger(__name__)

Say = Callable[[int, int, str, bytes, int, str | None, bytes, int], Awaitable[None]]


class InboxWord(msgspec.Struct, frozen=True):
    """The outcome of one attempt: ``taken``, ``not taken`` or ``refused``; as ``Judged`` has it."""

    word: str
    code: int = 0
    title: str = ""
    details: str = ""
    wa_id: str = ""
    user_id: str = ""


class InboxWords:
    """Says words; ``say`` writes one to the inbox."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self.said = 0

    def say(self, post: MessagePost, judged: Judged) -> None:
        """The request has ended so; DOUBT says nothing."""
        word = _WORDS.get(judged.cls, "not taken")
        if judged.cls is Class.DOUBT:
            return
        told = InboxWord(
            word, judged.code, judged.title, judged.details, judged.wa_id, judged.user_id
        )
        background.begin(self._write(post, judged.wamid or None, told), _log)

    async def _write(self, post: MessagePost, wamid: str | None, word: InboxWord) -> None:
        key = f"word:{post.id.hex()}:{post.attempt}"
        payload = msgspec.json.encode(word)
        try:
            place = post.slot, WORD, key, post.id, post.attempt
            await self._say(*place, wamid, payload, post.number)
            self.said += 1
        except (OutcomeUnknown, asyncpg.PostgresError) as error:
            _log(error)  # the message stays in doubt, and statuses will tell


_WORDS = {Class.TAKEN: "taken", Class.FINAL: "refused"}
decode = msgspec.json.Decoder(InboxWord).decode


def _log(error: Exception) -> None:
    log.warning("late answer recording failed", extra={"error": str(error) or repr(error)})
