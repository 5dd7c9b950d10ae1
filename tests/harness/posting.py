"""``GraphExchange.begin`` for what stands in its place: the end of a request is told."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from warouter.upstream.cloud.graph.exchange import Exchanged, OnEnd


def begin(posting: Coroutine[Any, Any, Exchanged], on_end: OnEnd) -> None:
    """Run ``posting``, which is a request from its beginning to its end."""

    def over(task: asyncio.Task[Exchanged]) -> None:
        if not task.cancelled():  # as all are when the loop ends
            on_end(task.result())

    asyncio.ensure_future(posting).add_done_callback(over)
