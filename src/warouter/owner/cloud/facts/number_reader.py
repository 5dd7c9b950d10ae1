"""Reads the number's state and the token's end from Meta: one owner asks for all.

It is kept in ``cloud_number``, where webapps and operators read it. What cannot be asked now stays
as it was known last, with its age.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from warouter.cloud_number import NumberCloud
from warouter.log import Outage
from warouter.owner.cloud.asking import ask
from warouter.store.bounded import Fetch
from warouter.store.cloud import number as store
from warouter.store.journal.names import Users
from warouter.upstream.cloud.graph.described import NumberFields, TokenFacts
from warouter.upstream.cloud.graph.failed import CallFailed, CallRefused
from warouter.upstream.cloud.graph.number_calls import NumberCalls

log = logging.getLogger(__name__)

TOKEN_SECONDS = 3600.0
EVERY_SECONDS = 55.0  # so that what /v1/health shows is no older than a minute
UNKNOWN: dict[str, Any] = {"token_expires_at": None, "token_valid": None}


class Known(NamedTuple):
    """The last answers. ``token_expires_at`` in unix s, 0 for never, None if it is not known."""

    facts: NumberFields
    token_expires_at: int | None
    users: Users
    at: float  # by the owner's clock


class NumberReader:
    """Asks, and writes down. ``token`` asks of the token whose hash is ``token_hash``."""

    def __init__(
        self,
        of: NumberCloud,
        fetch: Fetch,
        graph: NumberCalls,
        token: Callable[[NumberCloud], Awaitable[TokenFacts]],
        token_hash: Callable[[NumberCloud], bytes],
        users: Callable[[], Awaitable[Users]],
        clock: Callable[[], float],
    ) -> None:
        self._of = of
        self._fetch = fetch
        self._graph = graph
        self._token = token
        self._token_hash = token_hash
        self._users = users
        self._clock = clock
        self._asked_of: bytes | None = None  # the token that was asked of last
        self._due = self._token_due = -math.inf
        self._token_facts: dict[str, Any] = {}  # a former owner's facts stay until Meta is asked
        self._refusals = Outage()
        self.known: Known | None = None

    def see_to(self) -> None:
        """Ask, if it is time."""
        now = self._clock()
        if now >= self._due:
            self._due = now + EVERY_SECONDS
            ask(self._of, self.read())

    def read_soon(self) -> None:
        """Ask with the next look: something has changed."""
        self._due = -math.inf

    async def read(self) -> None:
        """Ask and keep; raises what the Graph API and the database do."""
        told = await self._graph.facts(self._of)
        await self._read_token()
        facts = {**told._asdict(), **self._token_facts, "version": self._of.app.version}
        await store.describe(self._fetch, self._of.id, int(told.level), facts)
        expires_at = self._token_facts.get("token_expires_at")
        self.known = Known(told, expires_at, await self._users(), self._clock())

    def age(self) -> float:
        """Seconds since it was said."""
        return math.inf if self.known is None else self._clock() - self.known.at

    async def _read_token(self) -> None:
        """Once an hour, and when it is another one. Who may not ask does not know, and goes on."""
        now, token = self._clock(), self._token_hash(self._of)
        if token == self._asked_of and now < self._token_due:
            return
        if self._asked_of is not None and token != self._asked_of:
            self._token_facts = UNKNOWN
        try:
            self._token_facts = _kept(await self._token(self._of))
            self._refusals.ends()
        except CallFailed as error:
            if not (error.for_operator or isinstance(error, CallRefused)):
                return  # with the next reading
            self._token_facts = UNKNOWN
            if self._refusals.begins():
                said = {"error": str(error), **self._of.logged}
                log.info("token look-up failed", extra=said)
        self._asked_of, self._token_due = token, now + TOKEN_SECONDS


def _kept(token: TokenFacts) -> dict[str, Any]:
    return {"token_expires_at": token.expires_at, "token_valid": token.valid}
