"""The templates of a number's account, read from Graph at most once a minute.

Programs of this dialect ask for the whole list again and again (Chatwoot every few minutes for each
inbox), and Meta limits calls by the hour.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from warouter.api.configs.page import shown
from warouter.api.graph_refusals import AGAIN_SECONDS, refusal, unanswered
from warouter.errors import ApiError, Overloaded
from warouter.upstream.cloud.graph.failed import CallFailed, CallSlow
from warouter.upstream.cloud.graph.template_calls import TemplateCalls

FRESH_SECONDS = 60.0
SECONDS = 20.0  # a client's call, all pages of Graph's included


class TemplateList:
    """``clock`` in seconds. Every call raises an ApiError: 400 with Meta's words, or 503."""

    def __init__(self, calls: TemplateCalls, clock: Callable[[], float]) -> None:
        self._calls = calls
        self._clock = clock
        self._reading = asyncio.Lock()
        self._read_at = -math.inf
        self._changes = 0
        self._templates: list[dict[str, Any]] = []

    async def all(self) -> list[dict[str, Any]]:
        """The templates as this dialect shows them; who asks meanwhile waits for one reading."""
        async with _asked("the templates were not read", unanswered), self._reading:
            if self._clock() - self._read_at >= FRESH_SECONDS:
                await self._read()
        return self._templates

    async def make(self, wish: Mapping[str, Any]) -> dict[str, Any]:
        """Have Meta make a template; it as it is shown, with Meta's status of it."""
        async with _asked("the template may have been made", _refused):
            try:
                made = await self._calls.make(wish)
            finally:
                self._outdated()
            return shown({**wish, **made}, await self._calls.namespace())

    async def delete(self, name: str) -> None:
        """Have Meta delete the templates of a name, in all languages."""
        async with _asked("the template may have been deleted", _refused):
            try:
                await self._calls.delete(name)
            finally:
                self._outdated()

    async def _read(self) -> None:
        changes = self._changes
        namespace = await self._calls.namespace()
        self._templates = [shown(one, namespace) async for one in self._calls.all()]
        if changes == self._changes:
            self._read_at = self._clock()

    def _outdated(self) -> None:
        """Also for a reading that is under way: it may have begun before the change."""
        self._changes += 1
        self._read_at = -math.inf


def _refused(error: CallFailed) -> ApiError:
    return refusal(error, "the template")


@asynccontextmanager
async def _asked(said: str, of: Callable[[CallFailed], ApiError]) -> AsyncIterator[None]:
    """Calls of Graph: ``of`` their failure what the client gets, Overloaded with what is ``said``
    if they take too long.
    """
    try:
        async with asyncio.timeout(SECONDS):
            yield
    except CallFailed as error:
        if not isinstance(error, CallSlow):
            raise of(error) from None
        raise _too_slow(said) from None
    except TimeoutError:
        raise _too_slow(said) from None


def _too_slow(said: str) -> Overloaded:
    return Overloaded(f"the Graph API did not answer in time: {said}", retry_after=AGAIN_SECONDS)
