"""The stop of the number: an operator must act before anything is sent with the token of here.

A stop is of a token, and known to all owners by the database. Whoever has that token asks again and
again whether the number is well with it.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable

from warouter.owner.cloud.asking import ask
from warouter.owner.cloud.rate.pace import Pace
from warouter.store.bounded import Fetch
from warouter.store.cloud import number as store
from warouter.store.cloud.number import Stop
from warouter.upstream.cloud.answers import Judged
from warouter.upstream.cloud.graph.failed import CallFailed
from warouter.upstream.cloud.graph.number_calls import NumberCalls
from warouter.upstream.cloud.secrets import Secrets

log = logging.getLogger(__name__)

PROBE_SECONDS = 60.0
SAY_SECONDS = 60.0


class NumberStop:
    """Stops this owner's ``pace`` of a number, and all others that have the same token."""

    def __init__(
        self,
        fetch: Fetch,
        pace: Pace,
        graph: NumberCalls,
        secrets: Secrets,
        clock: Callable[[], float],
    ) -> None:
        self._fetch = fetch
        self._pace = pace
        self._graph = graph
        self._secrets = secrets
        self._clock = clock
        self._writing = 0  # stops that are being stored
        self._unstored: Stop | None = None  # in force here, and not known to be stored
        self._probe_due = self._say_due = -math.inf
        self.changes = 0  # stops here, and ends of their writing
        self.now: Stop | None = None
        self.share_now = asyncio.Event()  # whoever shares the rate is to do it at once

    @property
    def token_hash(self) -> bytes:
        """The hash of the token that is in force here."""
        return self._secrets.token_hash(self._pace.of)

    def stop(self, judged: Judged, token_hash: bytes) -> None:
        """An operator must act: this and all other owners stop, as long as they have that token."""
        why = Stop(judged.meta_code, judged.details or judged.title, token_hash)
        self.changes += 1
        self._unstored = why
        self._take(why)
        self.share_now.set()  # a new token may be there in a moment: it is not to find us at rest
        self._store(why)

    def read(self, stop: Stop | None, changes: int) -> None:
        """Take the stop that the database has; ``changes`` is that of before it was asked."""
        if self.changes == changes and not self._writing:  # else it may be older than our own stop
            self._take_stored(stop)
        self._see_to()

    def _take_stored(self, stop: Stop | None) -> None:
        mine = self._unstored
        if mine is not None and stop is None and mine.token_hash == self.token_hash:
            self._store(mine)  # it failed before, and that lifts no stop
        else:
            self._unstored = None
            self._take(stop)

    def _take(self, stop: Stop | None) -> None:
        here = stop is not None and stop.token_hash == self.token_hash
        self.now = stop if here else None
        if self.now is None:
            if self._pace.stop is not None:
                log.info("number resumed", extra=self._pace.of.logged)
                self._pace.resumed()
            return
        self._pace.stop = self.now.code
        if self._clock() >= self._say_due:
            self._say_due = self._clock() + SAY_SECONDS
            said = {"code": self.now.code, "details": self.now.details, **self._pace.of.logged}
            log.error("number stopped: messages wait", extra=said)

    def _store(self, why: Stop) -> None:
        self._writing += 1
        ask(self._pace.of, self._write(why))

    async def _write(self, why: Stop) -> None:
        try:
            await store.stop(self._fetch, self._pace.of.id, why)
            self._unstored = None
        finally:
            self.changes += 1
            self._writing -= 1

    def _see_to(self) -> None:
        now = self._clock()
        if self.now is not None and now >= self._probe_due:
            self._probe_due = now + PROBE_SECONDS
            ask(self._pace.of, self._probe())

    async def _probe(self) -> None:
        """Is the number well again, by the token that is in force here?"""
        token = self.token_hash
        try:
            await self._graph.probe(self._pace.of)
        except CallFailed as error:
            if not error.for_operator:
                raise
            return
        if token != self.token_hash:
            return  # which of the two was well is not known, and others may have the former one
        self._unstored = None
        await store.resume(self._fetch, self._pace.of.id, token)
        if self.now is not None and self.now.token_hash == token:
            self._take(None)
