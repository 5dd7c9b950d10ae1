"""Where webhooks arrive: the product's own listeners."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from tests.campaigns.simulation.nodes import Process, _Identity
from warouter.config import Settings
from warouter.lab.simulator.cloud.webhooks.envelope import signature
from warouter.node.mapview import MapView
from warouter.store.cloud.posts import Posts
from warouter.store.cloud.receive import WebhookInbox
from warouter.upstream.cloud.listener import WebhookListener

NUMBER, SECRET = "4711", "app-secret"


class Door:
    """The listener of one webapp, in a process of its own."""

    def __init__(self, process: Process, settings: Settings) -> None:
        self.process = process
        name = _Identity(process).application
        numbers = {1: settings.number_cloud}
        self._inbox = WebhookInbox(
            settings, name, process.incarnation, settings.cloud.bsuid, numbers
        )
        no_pool: Any = None  # nobody calls what needs one
        self._view = MapView(settings, settings.timing, no_pool, name)
        self._posts = Posts(self._inbox, self._view.links.statuses)
        self._listener = WebhookListener({NUMBER: 1}, lambda: [SECRET], lambda: "", self._posts)

    async def run(self) -> None:
        while True:
            try:
                await self._inbox.open()
                break
            except Exception:  # it is started again
                await asyncio.sleep(0.2)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._view.run())
            group.create_task(self._view.links.sweep())
            group.create_task(self._posts.run())

    async def leave(self) -> None:
        await self._posts.close()

    def take(self, body: bytes, answer: Callable[[int], None]) -> None:
        """A POST has arrived."""
        if self.process.alive:
            self.process.spawn(self._take(body, answer))

    async def _take(self, body: bytes, answer: Callable[[int], None]) -> None:
        told = await self._listener.posted(body, signature(body, SECRET).encode())
        answer(told.status)
