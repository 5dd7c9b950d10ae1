"""Contact checks: which numbers are on WhatsApp, and which may be written to.

By default every number is: whether it is shows when something is sent. With
``WAROUTER_REQUIRE_CONTACT_CHECK=1`` the upstream is asked, as the product did before v2.43: one
call at a time, and what is asked for meanwhile goes with the next one. Answers are kept in the
contact store for 7 days; which numbers may be written to is also kept here, for a minute.

The Cloud API cannot be asked. What messages have shown of a number is looked up each time, and the
answer stands in the contact store for those who send.
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
        self._waiting: dict[str, Outcome] = {}
        self._asked: dict[str, Outcome] = {}
        self._worker: asyncio.Task[None] | None = None
        self._valid: dict[str, float] = {}  # until when, oldest first

    async def may_send(self, wa_id: str) -> bool:
        """True if the last check of any webapp found the number valid."""
        if not self.required or self._valid.get(wa_id, 0.0) > self._clock():
            return True
        valid = await self._store.is_valid(wa_id)
        self._remember({wa_id: valid})
        return valid

    async def check(
        self, wa_ids: Collection[str], *, wait: bool, force: bool
    ) -> dict[str, ContactStatus]:
        """The status of each number: ``valid``, ``invalid``,
        ``failed``, or without ``wait`` ``processing``.

        ``force`` asks for those as well whose answer is in the store. Overloaded if too many wait.
        """
        if self._directory.local:
            return await self._look_up(wa_ids)
        if not self.required:
            return dict.fromkeys(wa_ids, "valid")
        known = {} if force else await self._known(wa_ids)
        outcomes = self._ask([number for number in wa_ids if number not in known])
        if wait and outcomes:
            await asyncio.wait(outcomes.values(), timeout=WAIT_SECONDS)
        statuses = {number: _status(outcome, wait) for number, outcome in outcomes.items()}
        return statuses | {n: "valid" if valid else "invalid" for n, valid in known.items()}

    async def identity(self, wa_id: str) -> ContactIdentity | None:
        """The identity of a contact, None if unknown; NotReady if the upstream does not answer."""
        try:
            return await self._directory.identity(wa_id)
        except UpstreamAway as error:
            raise _not_ready(error) from error

    async def acknowledge(self, wa_id: str, hash: str) -> ContactIdentity | None:
        """Acknowledge an identity by its hash and return it; None, NotReady as in ``identity``."""
        try:
            return await self._directory.acknowledge(wa_id, hash)
        except UpstreamAway as error:
            raise _not_ready(error) from error

    async def close(self) -> None:
        """End the checks that are under way."""
        if self._worker is not None:
            self._worker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._worker
        await self._directory.close()

    async def _look_up(self, wa_ids: Collection[str]) -> dict[str, ContactStatus]:
        """The status of each number by a directory whose answers are always there."""
        found = await self._directory.on_whatsapp(list(wa_ids))
        if self.required:
            valid = {number: number in found for number in wa_ids}
            await self._store.save(valid)  # for those who send
            self._remember(valid)
        return {number: "valid" if number in found else "invalid" for number in wa_ids}

    async def _known(self, wa_ids: Collection[str]) -> dict[str, bool]:
        """The answers in the store, and those that came while it was read: they are asked for no
        more, and not in what was read.
        """
        from_now = self._clock() + CACHED_SECONDS
        known = await self._store.known(wa_ids)
        return known | {n: True for n in wa_ids if self._valid.get(n, 0.0) >= from_now}

    def _ask(self, numbers: Collection[str]) -> dict[str, Outcome]:
        """A future outcome for each number; concurrent callers share the check of a number."""
        new = [n for n in numbers if n not in self._asked and n not in self._waiting]
        if len(self._waiting) + len(new) > MOST_WAITING:
            raise Overloaded("too many contact checks are waiting for the upstream")
        loop = asyncio.get_running_loop()
        self._waiting |= {number: loop.create_future() for number in new}
        if self._waiting and self._worker is None:
            self._worker = asyncio.create_task(self._work(), name="contact checks")
        return {n: self._waiting.get(n) or self._asked[n] for n in numbers}

    async def _work(self) -> None:
        """Check numbers in one call after the other until none waits."""
        try:
            while self._waiting:
                self._asked = dict(itertools.islice(self._waiting.items(), MOST_NUMBERS))
                for number in self._asked:
                    del self._waiting[number]
                self._settle(await self._answers())
        finally:
            self._worker = None

    async def _answers(self) -> dict[str, bool] | None:
        """The upstream's answers for these numbers, stored; None if it or the database failed."""
        try:
            found = await self._directory.on_whatsapp(list(self._asked))
            valid = {number: number in found for number in self._asked}
            await self._store.save(valid)
        except Exception as error:  # whatever it is, somebody waits for an outcome
            log.warning("contact check failed", extra={"error": repr(error)})
            return None
        return valid

    def _settle(self, valid: dict[str, bool] | None) -> None:
        done, self._asked = self._asked, {}
        if valid is None:
            # Those behind would only wait for the same: no caller waits longer than one call.
            done |= self._waiting
            self._waiting = {}
        else:
            self._remember(valid)
        for number, outcome in done.items():
            outcome.set_result(None if valid is None else valid[number])

    def _remember(self, valid: dict[str, bool]) -> None:
        until = self._clock() + CACHED_SECONDS
        for number, is_valid in valid.items():
            self._valid.pop(number, None)
            if is_valid:
                self._valid[number] = until
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
