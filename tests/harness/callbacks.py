"""The callbacks of an owner against a real receiver: the scene of the tests of the webhook."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import time
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from typing import Any

from tests.harness.receiver import Post, Receiver
from tests.harness.wait import Watch
from warouter.app_settings import ApplicationSettings, Webhooks
from warouter.flow.event import EventRow
from warouter.kinds import INBOUND, STATUS
from warouter.webhook import post
from warouter.webhook.callbacks import Callbacks

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)
STEP_MS = 20
FAILING = ("WARNING", "webhook receiver failed")
WORKS = ("INFO", "webhook receiver recovered")

Logged = Callable[[], list[tuple[str, str]]]


class Owner:
    """What the owner of the slots is told, and the settings it has."""

    def __init__(self, watch: Watch, url: str) -> None:
        self.watch = watch
        self.settled: list[EventRow] = []
        self.parked: list[tuple[list[EventRow], int, str]] = []
        self.dead: list[tuple[list[EventRow], str]] = []
        self.broken: list[tuple[set[int], Exception]] = []
        self.held: set[int] = set()  # slots without a lease
        self.retries_at_once = False
        self.settings = settings_of(url)
        self.callbacks: Callbacks

    def on_settled(self, items: list[EventRow]) -> None:
        self.settled += items
        self.watch.notify()

    def on_park(self, items: list[EventRow], delay_ms: int, reason: str) -> None:
        self.parked.append((items, delay_ms, reason))
        if self.retries_at_once:
            for item in items:
                self.callbacks.add([item])
        self.watch.notify()

    def on_dead(self, items: list[EventRow], reason: str) -> None:
        self.dead.append((items, reason))
        self.watch.notify()

    def on_broken(self, slots: Collection[int], error: Exception) -> None:
        self.broken.append((set(slots), error))
        for slot in slots:
            self.callbacks.forget(slot)
        self.watch.notify()

    def may_act(self, slot: int) -> bool:
        return slot not in self.held

    def ids(self) -> list[str]:
        return [name_of(item) for item in self.settled]

    async def until(self, holds: Callable[[], Any]) -> None:
        """Until it holds of what was told or received."""
        await self.watch.until(holds)

    async def all_settled(self, count: int) -> None:
        await self.until(lambda: len(self.settled) >= count)


def settings_of(
    url: str,
    *,
    step_ms: int = STEP_MS,
    most_ms: int = 200,
    places: int = 6,
    secrets: Sequence[str] = (),
    **more: Any,
) -> ApplicationSettings:
    return ApplicationSettings(
        callback_backoff_delay_ms=step_ms,
        max_callback_backoff_delay_ms=most_ms,
        webhooks=Webhooks(url=url, max_concurrent_requests=places, secrets=tuple(secrets)),
        **more,
    )


def recipient_of(event: dict[str, Any]) -> str:
    recipient: str = event["id"].partition(".")[0]
    return recipient


def name_of(item: EventRow) -> str:
    name: str = json.loads(item.payload)["id"]
    return name


def ids(posts: Sequence[Post]) -> list[str]:
    """The events of these POSTs, by name."""
    return [event["id"] for post in posts for event in post.events]


def accepted(receiver: Receiver) -> list[Post]:
    return [post for post in receiver.posts if post.taken]


def shared(receiver: Receiver) -> list[str]:
    """Recipients that were in two POSTs at once."""
    busy: dict[str, float] = {}
    found: list[str] = []
    for one in receiver.posts:
        for recipient in {recipient_of(event) for event in one.events}:
            if one.at < busy.get(recipient, 0.0):
                found.append(recipient)
            busy[recipient] = max(one.ended, busy.get(recipient, 0.0))
    return found


def event(
    number: int, recipient: str = "49170", *, kind: int = STATUS, slot: int = 0, **fields: Any
) -> EventRow:
    """An event whose id names its recipient and number."""
    payload = json.dumps({"id": f"{recipient}.{number}"}).encode()
    contact = json.dumps({"wa_id": recipient}).encode() if kind == INBOUND else None
    return EventRow(slot, number, kind, "", recipient, payload, contact, **fields)


def spread(count: int, *, kind: int = STATUS, prefix: str = "r", slot: int = 0) -> list[EventRow]:
    """One event of each of so many recipients."""
    return [event(n, f"{prefix}{n}", kind=kind, slot=slot) for n in range(count)]


@contextlib.asynccontextmanager
async def running(owner: Owner, **options: Any) -> AsyncIterator[Callbacks]:
    """Callbacks that run until the end of the block."""
    options = {"allow_http": True, "allow_private": LOOPBACK, "timeout": 10.0} | options
    clock = options.pop("clock", boottime)
    if "may_act" in options:
        vars(owner)["may_act"] = options.pop("may_act")

    def settings() -> ApplicationSettings:
        owner.watch.notify()  # asked for after each POST: the callbacks have moved on
        return owner.settings

    callbacks = owner.callbacks = Callbacks(owner, post.Receiver(**options), settings, clock)
    task = asyncio.create_task(callbacks.run())
    task.add_done_callback(owner.watch.notify)
    try:
        yield callbacks
        assert not task.done(), task.exception()
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def boottime() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def idle(callbacks: Callbacks) -> bool:
    """Nothing is in flight."""
    return callbacks.queue_size == callbacks.waiting_of(0)
