"""The webhooks that come to the probe, by the message that they are about.

A ``listener.Inbox``: what a webapp stores is kept in memory here, for as long as the run takes.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import msgspec

from warouter.background import wait_for
from warouter.lab.probe.bodies import PREFIX
from warouter.lab.probe.observed import HeardStatus, ProbeMessage
from warouter.upstream.cloud.batch import STATUS, Batch, Element


class Arrivals:
    """``clock`` is seconds since the run began. ``count`` counts the webhooks that were read."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._by_wamid: defaultdict[str, list[HeardStatus]] = defaultdict(list)
        self._by_reference: defaultdict[str, list[HeardStatus]] = defaultdict(list)
        self._known: set[str] = set()
        self._sent: set[str] = set()
        self._changed = asyncio.Event()
        self.count = 0
        self.failures: set[int] = set()  # codes of messages of the probe that failed

    def of(self, message: ProbeMessage) -> list[HeardStatus]:
        """The statuses of a message: by its wamid, or by its reference while it has none."""
        if message.wamid:
            return self._by_wamid.get(message.wamid, [])
        return self._by_reference.get(message.reference, [])

    def sent(self, wamid: str) -> None:
        """Note a message as the probe's."""
        self._sent.add(wamid)

    def holds_foreign(self, batch: Batch) -> bool:
        """True if something of it is not about a message of the probe: the webapps want it."""
        return bool(batch.notices) or any(self._is_foreign(one) for one in batch.elements)

    def has(self, message: ProbeMessage, *names: str) -> bool:
        """A status of one of these names has come, of any without them."""
        return any(not names or heard.status in names for heard in self.of(message))

    async def until(self, holds: Callable[[], bool], seconds: float) -> bool:
        """Wait until it holds; False if it does not in time. Asked after each change."""
        end = self._clock() + seconds
        while not holds():
            left = end - self._clock()
            if left <= 0:
                return False
            self._changed.clear()
            await wait_for(self._changed, left)
        return True

    def changed(self) -> None:
        """Wake those who wait for something else that has changed."""
        self._changed.set()

    # listener.Inbox

    async def take(self, batch: Batch) -> bool:
        self.count += 1
        for element in batch.elements:
            if element.kind == STATUS and element.key not in self._known:
                self._known.add(element.key)
                self._hear(element)
        self.changed()
        return True

    async def keep(self, app: int, reason: str, body: bytes) -> bool:
        return False  # the webapps keep it, once they run again

    def broken(self) -> None:
        """Count nothing, as nobody asks here."""

    def in_vain(self, *, lasts: bool) -> None:
        """Count nothing, as nobody asks here."""

    def _is_foreign(self, element: Element) -> bool:
        if element.kind != STATUS:
            return True
        reference = opaque(decoded(element))
        if reference:
            return not reference.startswith(f"{PREFIX}.")
        return element.wamid not in self._sent

    def _hear(self, element: Element) -> None:
        found = decoded(element)
        reference = opaque(found)
        heard = HeardStatus(
            status=element.status,
            at=self._clock(),
            meta=element.timestamp,
            echoed=bool(reference),
            code=_code(found),
            wamid=element.wamid,
        )
        self._by_wamid[element.wamid].append(heard)
        if reference:
            self._by_reference[reference].append(heard)
        if heard.code and not self._is_foreign(element):
            self.failures.add(heard.code)


def decoded(element: Element) -> dict[str, Any]:
    """The JSON of an element; {} if it cannot be read."""
    try:
        found = msgspec.json.decode(element.raw)
    except (ValueError, RecursionError):  # bytes that are no UTF-8, too
        return {}
    return found if isinstance(found, dict) else {}


def opaque(status: dict[str, Any]) -> str:
    """The text that a status echoes: ``Element.reference`` has warouter's own references only."""
    found = status.get("biz_opaque_callback_data")
    return found if isinstance(found, str) else ""


def _code(status: dict[str, Any]) -> int:
    errors = status.get("errors")
    first = errors[0] if isinstance(errors, list) and errors else {}
    code = first.get("code") if isinstance(first, dict) else 0
    return code if isinstance(code, int) else 0
