"""Follows the node rows for a coreapp that listens for other hosts: whose certificates may call.

Rules of this file:
  * OpenSSL lets a certificate through that was in some row; whether it is in one now is asked after
    the handshake. One that it did not know cannot be seen, only that there was one;
  * a process may call before this one has read its row. So whoever is refused makes the rows be
    read at once, and is logged only if they say nothing new: a process tries again soon;
  * while the database is away those who were known stay known.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import NamedTuple

from warouter.background import wait_for
from warouter.errors import OutcomeUnknown
from warouter.link.pins import objection, pins_of
from warouter.tls import link as tls

log = logging.getLogger(__name__)

POLL_SECONDS = 5.0  # a row that is deleted is told to nobody
MAX_REFUSALS = 64  # between two looks, of which each may be logged
GAP_SECONDS = 0.1  # strangers make the rows be read no more often

Read = Callable[[], Awaitable[Iterable[bytes]]]


class CallerRefusal(NamedTuple):
    """A caller that was not let in, by the rows as they were read ``version`` times."""

    version: int
    say: Callable[[], None]


class Callers:
    """``context`` is for the listening socket. ``read`` gives the certificate of each row of a
    webapp or coreapp; it raises OutcomeUnknown when the database does not answer.
    """

    def __init__(self, own: tls.LinkCertificate, read: Read) -> None:
        self._own = own
        self._read = read
        self._pins: frozenset[str] = frozenset()
        self._trusting = tls.server_context(own)
        self._refusals: list[CallerRefusal] = []
        self._wake = asyncio.Event()
        self.version = 0  # of the pins
        self.context = tls.server_context(own)
        self.context.sni_callback = self._choose

    def wake(self) -> None:
        """The rows may have changed."""
        self._wake.set()

    def objection(self, tls_object: ssl.SSLObject | None) -> str:
        """Why the caller of a connection is not let in; "" if it is."""
        return objection(self._pins, tls.shown(tls_object))

    def refused(self, version: int, say: Callable[[], None]) -> None:
        """Note that a caller who connected at ``version`` was not let in: ``say`` logs it."""
        if len(self._refusals) < MAX_REFUSALS:
            self._refusals.append(CallerRefusal(version, say))
        self._wake.set()

    async def run(self) -> None:
        """Follow the rows until cancelled."""
        while True:
            self._wake.clear()
            refusals, self._refusals = self._refusals, []
            with suppress(OutcomeUnknown):  # the beats say so, and bring it back
                self.adopt(await self._read())
            for refusal in refusals:
                if refusal.version == self.version:
                    refusal.say()
            await asyncio.sleep(GAP_SECONDS)
            await wait_for(self._wake, POLL_SECONDS)

    def adopt(self, certificates: Iterable[bytes]) -> None:
        """From now on those with these certificates may call."""
        rows = list(certificates)
        pins = pins_of(rows, tls.fingerprint)
        if pins == self._pins:
            return
        if self._pins - pins:
            # What is trusted cannot be taken back, and would pile up.
            self._trusting, new = tls.server_context(self._own), pins
        else:
            new = pins - self._pins
        for der in rows:
            if der and tls.fingerprint(der) in new:
                self._trust(der)
        self._pins = pins
        self.version += 1

    def _trust(self, der: bytes) -> None:
        try:
            tls.trust(self._trusting, der)
        except ssl.SSLError as error:
            log.error("node certificate rejected", extra={"error": str(error)})

    def _choose(self, tls_object: ssl.SSLObject, _name: str | None, _context: object) -> None:
        """In each handshake: who is trusted now."""
        tls_object.context = self._trusting
