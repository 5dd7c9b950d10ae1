"""Contact checks: which contacts are on WhatsApp, and to which a number may write.

By default every number is: whether it is shows when something is sent. With
``WAROUTER_REQUIRE_CONTACT_CHECK=1`` the upstream is asked, as the product did before v2.43: one
call at a time, and what is asked for meanwhile goes with the next one. Answers are kept in the
contact store for 7 days; which numbers may be written to is also kept here, for a minute.

The Cloud API cannot be asked. What messages have shown of a number is looked up each time, and the
answer stands in the contact store for those who send.

Each number asks for itself, and its answers are its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import time
from collections.abc import Callable, Collection
from typing import Literal

from warouter.errors import NotReady, Overloaded
from warouter.store.account.contacts import ContactStore
from warouter.upstream.number_services import (
    MOST_NUMBERS,
    ContactIdentity,
    NumberLookup,
    UpstreamAway,
)

log = logging.getLogger(__name__)

WAIT_SECONDS = 15.0  # of a caller that waits for the upstream's answer
MOST_WAITING = 100_000  # numbers
CACHED_SECONDS = 60.0
MOST_CACHED = 100_000

ContactStatus = Literal["processing", "valid", "invalid", "failed"]
Outcome = asyncio.Future[bool | None]  # None: no answer
Contact = tuple[int, str]  # the number that asks, and the wa_id


class ContactBook:
    """Answers contact checks. With ``required``, only checked
    contacts may be written to. ``close`` it on its loop.
    """

    def __init__(
        self,
        store: ContactStore,
        directory: NumberLookup,
        *,
        required: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.required = required
        self._store = store
        self._directory = directory
        self._clock = clock
        self._waiting: dict[Contact, Outcome] = {}
        self._asked: dict[Contact, Outcome] = {}
        self._worker: asyncio.Task[None] | None = None
        self._valid: dict[Contact, float] = {}  # until when, oldest first

    async def may_send(self, number: int, wa_id: str) -> bool:
        """True if the number's last check, by any webapp, found the contact valid."""
        if not self.required or self._valid.get((number, wa_id), 0.0) > self._clock():
            return True
        valid = await self._store.is_valid(number, wa_id)
        self._remember(number, {wa_id: valid})
        return valid

    async def check(
        self, number: int, wa_ids: Collection[str], *, wait: bool, force: bool
    ) -> dict[str, ContactStatus]:
        """The status of each contact of the number: ``valid``, ``invalid``,
        ``failed``, or without ``wait`` ``processing``.

        ``force`` asks for those as well whose answer is in the store. Overloaded if too many wait.
        """
        if self._directory.local:
            return await self._look_up(number, wa_ids)
        if not self.required:
            return dict.fromkeys(wa_ids, "valid")
        known = {} if force else await self._known(number, wa_ids)
        outcomes = self._ask(number, [wa_id for wa_id in wa_ids if wa_id not in known])
        if wait and outcomes:
            await asyncio.wait(outcomes.values(), timeout=WAIT_SECONDS)
        statuses = {wa_id: _status(outcome, wait) for wa_id, outcome in outcomes.items()}
        return statuses | {n: "valid" if valid else "invalid" for n, valid in known.items()}

    async def identity(self, number: int, wa_id: str) -> ContactIdentity | None:
        """The identity of a contact, None if unknown; NotReady if the upstream does not answer."""
        try:
            return await self._directory.identity(number, wa_id)
        except UpstreamAway as error:
            raise _not_ready(error) from error

    async def acknowledge(self, number: int, wa_id: str, hash: str) -> ContactIdentity | None:
        """Acknowledge an identity by its hash and return it; None, NotReady as in ``identity``."""
        try:
            return await self._directory.acknowledge(number, wa_id, hash)
        except UpstreamAway as error:
            raise _not_ready(error) from error

    async def close(self) -> None:
        """End the checks that are under way."""
        if self._worker is not None:
            self._worker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._worker
        await self._directory.close()

    async def _look_up(self, number: int, wa_ids: Collection[str]) -> dict[str, ContactStatus]:
        """The status of each contact by a directory whose answers are always there."""
        found = await self._directory.on_whatsapp(number, list(wa_ids))
        if self.required:
            valid = {wa_id: wa_id in found for wa_id in wa_ids}
            await self._store.save(number, valid)  # for those who send
            self._remember(number, valid)
        return {wa_id: "valid" if wa_id in found else "invalid" for wa_id in wa_ids}

    async def _known(self, number: int, wa_ids: Collection[str]) -> dict[str, bool]:
        """The answers in the store, and those that came while it was read: they are asked for no
        more, and not in what was read.
        """
        from_now = self._clock() + CACHED_SECONDS
        known = await self._store.known(number, wa_ids)
        lately = (wa_id for wa_id in wa_ids if self._valid.get((number, wa_id), 0.0) >= from_now)
        return known | dict.fromkeys(lately, True)

    def _ask(self, number: int, wa_ids: Collection[str]) -> dict[str, Outcome]:
        """A future outcome for each contact; concurrent callers share the check of a contact."""
        asked = [(number, wa_id) for wa_id in wa_ids]
        new = [each for each in asked if each not in self._asked and each not in self._waiting]
        if len(self._waiting) + len(new) > MOST_WAITING:
            raise Overloaded("too many contact checks are waiting for the upstream")
        loop = asyncio.get_running_loop()
        self._waiting |= {each: loop.create_future() for each in new}
        if self._waiting and self._worker is None:
            self._worker = asyncio.create_task(self._work(), name="contact checks")
        return {each[1]: self._waiting.get(each) or self._asked[each] for each in asked}

    async def _work(self) -> None:
        """Check contacts in one call after the other until none waits: those of the number whose
        has waited longest, of one number a call.
        """
        try:
            while self._waiting:
                number = next(iter(self._waiting))[0]
                mine = (each for each in self._waiting.items() if each[0][0] == number)
                self._asked = dict(itertools.islice(mine, MOST_NUMBERS))
                for contact in self._asked:
                    del self._waiting[contact]
                self._settle(number, await self._answers(number))
        finally:
            self._worker = None

    async def _answers(self, number: int) -> dict[str, bool] | None:
        """The upstream's answers for these contacts, stored; None if it or the database failed."""
        wa_ids = [wa_id for _, wa_id in self._asked]
        try:
            found = await self._directory.on_whatsapp(number, wa_ids)
            valid = {wa_id: wa_id in found for wa_id in wa_ids}
            await self._store.save(number, valid)
        except Exception as error:  # whatever it is, somebody waits for an outcome
            log.warning("contact check failed", extra={"error": repr(error)})
            return None
        return valid

    def _settle(self, number: int, valid: dict[str, bool] | None) -> None:
        done, self._asked = self._asked, {}
        if valid is None:
            # Those behind would only wait for the same: no caller waits longer than one call.
            done |= self._waiting
            self._waiting = {}
        else:
            self._remember(number, valid)
        for (_, wa_id), outcome in done.items():
            outcome.set_result(None if valid is None else valid[wa_id])

    def _remember(self, number: int, valid: dict[str, bool]) -> None:
        until = self._clock() + CACHED_SECONDS
        for wa_id, is_valid in valid.items():
            self._valid.pop((number, wa_id), None)
            if is_valid:
                self._valid[number, wa_id] = until
        while len(self._valid) > MOST_CACHED:
            del self._valid[next(iter(self._valid))]


def _status(outcome: Outcome, wait: bool) -> ContactStatus:
    if not outcome.done():
        return "failed" if wait else "processing"
    answer = outcome.result()
    if answer is None:
        return "failed"
    return "valid" if answer else "invalid"


def _not_ready(error: UpstreamAway) -> NotReady:
    log.warning("identity lookup failed", extra={"error": str(error)})
    return NotReady("the upstream does not answer", retry_after=1)
