"""What each owner asks Meta, and what one of them asks for all."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from warouter.owner.cloud.number import Number
from warouter.store.cloud.number import Shared
from warouter.upstream.cloud.graph.number import Facts

CATEGORIES = {("promo", "en"): "MARKETING"}


async def _asked(slots: list[int]) -> tuple[list[str], list[Any]]:
    asked: list[str] = []
    used: list[Any] = []

    async def facts() -> Facts:
        asked.append("facts")
        return Facts()

    async def categories() -> dict[tuple[str, str], str]:
        asked.append("categories")
        return CATEGORIES

    async def fetch(_sql: str, *_: Any, **__: Any) -> list[Any]:
        return []

    number = Number(
        SimpleNamespace(slots=dict.fromkeys(slots)),  # type: ignore[arg-type]
        UUID(int=1),
        fetch,
        asyncio.Event(),
        SimpleNamespace(),  # type: ignore[arg-type]
        SimpleNamespace(facts=facts, categories=categories),  # type: ignore[arg-type]
        lambda: b"",
        used.append,
        None,
        lambda: 0.0,
        lambda _rate: None,
    )
    number._see_to(Shared(None, 0.0, 0.0, [], None))
    for _ in range(5):
        await asyncio.sleep(0)
    return asked, used


@pytest.mark.parametrize(
    ("slots", "asks"), [([5], {"categories"}), ([0, 5], {"categories", "facts"})]
)
def test_every_owner_knows_the_templates_and_one_describes_the_number(
    slots: list[int], asks: set[str]
) -> None:
    asked, used = asyncio.run(_asked(slots))
    assert set(asked) == asks
    assert used == [CATEGORIES]
