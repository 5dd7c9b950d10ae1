"""The business: what the product's delivery POSTs to, in the place of its connections."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from tests.campaigns.simulation.history import History
from warouter.flow.event import EventRow
from warouter.webhook.post import HUNG, SUCCESS, Ended

PATIENCE = 5.0  # seconds until a POST without an answer counts as failed
# The application's settings, as they are stored: somebody tries again soon.
SETTINGS = (
    '{"sent_status": true, "callback_backoff_delay_ms": 300, "max_callback_backoff_delay_ms": 600}'
)


class Business:
    """How it answers; one for the whole cluster."""

    def __init__(self, history: History, draw: Callable[[], float]) -> None:
        self.history = history
        self.draw = draw
        self.refuses = 0.0  # how many POSTs fail
        self.hangs = 0.0  # how many POSTs are left without an answer
        self.seconds = 0.05


class Receiver:
    """Stands in for ``webhook.post.Receiver``; a POST is its events, not their JSON."""

    business: Business  # set by the world, for all
    url = "simulated"

    def __init__(self, **_unused: Any) -> None:
        """Who may be called and how is of no account here."""

    def adopt(self, url: str) -> None:
        """The receiver stays what it is."""

    def connections(self) -> nullcontext[None]:
        return nullcontext()

    async def post(
        self,
        _connections: None,
        events: list[EventRow],
        _headers: object,
        may_act: Callable[[], bool],
    ) -> Ended | None:
        business = self.business
        await asyncio.sleep(business.seconds * business.draw())
        if not may_act():
            return None
        if business.hangs and business.draw() < business.hangs:
            await asyncio.sleep(PATIENCE)
            return Ended(HUNG, HUNG)
        refused = business.draw() < business.refuses
        for event in () if refused else events:
            business.history.delivers(event.slot, event.kind, event.seq)
        await asyncio.sleep(0.005)
        return Ended("500", "status", 500) if refused else Ended(SUCCESS, SUCCESS, 200)
