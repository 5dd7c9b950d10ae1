"""The business's webhook, in the bench's own process: when callbacks came, and some that hang."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable

from tests.harness.receiver import Post, Receiver


class Webhook(Receiver):
    """``read`` has the monotonic time of each message's last callback, by id.

    What has one of the parts ``slow`` in its body hangs until ``release``.
    """

    def __init__(self) -> None:
        super().__init__(self._answer, note=self._note_read, keeps=False)
        self.read: dict[str, float] = {}
        self.slow: list[bytes] = []
        self._released = asyncio.Event()

    def release(self) -> None:
        """Answer all that hangs."""
        self._released.set()
        self.slow, self._released = [], asyncio.Event()

    def _answer(self, post: Post) -> int | Awaitable[int]:
        slow = any(part in post.body for part in self.slow)
        return self._late(self._released) if slow else 200

    async def _late(self, released: asyncio.Event) -> int:
        await released.wait()
        return 200

    def _note_read(self, post: Post) -> None:
        now = time.monotonic()
        for status in post.callback.statuses:
            if status.status == "read":
                self.read.setdefault(status.id, now)
