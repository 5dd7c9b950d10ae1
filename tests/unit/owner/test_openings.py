"""Notes of openings: what cannot be written is left out, and nothing ends by it."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from tests.harness.wait import soon
from warouter.errors import OutcomeUnknown
from warouter.owner.moves import Openings
from warouter.owner.slot import OwnedSlot


@pytest.mark.parametrize(
    "error",
    [
        OutcomeUnknown("no connection to the database"),
        asyncpg.UndefinedFunctionError("a schema of the build before"),
        asyncpg.InsufficientPrivilegeError("a login of the build before"),
    ],
)
async def test_a_note_that_fails_is_left_out_and_the_next_is_written(error: Exception) -> None:
    asked: list[list[int]] = []

    async def fetch(_sql: str, _incarnation: object, slots: list[int], *_rest: object) -> list[Any]:
        asked.append(slots)
        if len(asked) == 1:
            raise error
        return []

    openings = Openings(fetch, uuid4(), asyncio.get_running_loop().time)
    running = asyncio.create_task(openings.run())
    try:
        for number in (3, 4):
            openings.opened(OwnedSlot(number, 1))
            await soon(lambda number=number: asked and asked[-1] == [number])
        assert asked == [[3], [4]]
        assert not running.done()
    finally:
        running.cancel()
