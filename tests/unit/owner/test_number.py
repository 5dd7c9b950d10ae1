"""What each coreapp asks Meta, and what one of them asks for all."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from tests.harness.patch import patched
from warouter.owner.cloud.number import Number
from warouter.store.cloud import number as store
from warouter.store.cloud.number import Shared
from warouter.upstream.cloud.graph.number import Facts

CATEGORIES = {("promo", "en"): "MARKETING"}


def _slot() -> Any:
    return SimpleNamespace(lanes=SimpleNamespace(waiting=0))


async def _asked(slots: list[int]) -> tuple[list[str], list[Any]]:
    asked: list[str] = []
    used: list[Any] = []

    async def facts() -> Facts:
        asked.append("facts")
        return Facts()

    async def categories() -> dict[tuple[str, str], str]:
        asked.append("categories")
        return CATEGORIES

    number = Number(
        SimpleNamespace(slots={n: _slot() for n in slots}),  # type: ignore[arg-type]
        UUID(int=1),
        None,  # type: ignore[arg-type]
        asyncio.Event(),
        SimpleNamespace(begun=0, rate=1.0, stop=None, grant=lambda _: None),  # type: ignore[arg-type]
        SimpleNamespace(facts=facts, categories=categories),  # type: ignore[arg-type]
        lambda: b"",
        SimpleNamespace(use=used.append, tell=print, held_are=print),  # type: ignore[arg-type]
        None,
        lambda: 0.0,
        lambda _rate: None,
    )

    async def share(*_: Any) -> Shared:
        return Shared(None, 0.0, 0.0, [], None)

    with patched([(store, "share", share)]):
        await number._once()
    for _ in range(5):
        await asyncio.sleep(0)
    return asked, used


@pytest.mark.parametrize(
    ("slots", "asks"),
    [([], {"categories"}), ([5], {"categories"}), ([0, 5], {"categories", "facts"})],
)
def test_every_coreapp_knows_the_templates_and_one_describes_the_number(
    slots: list[int], asks: set[str]
) -> None:
    asked, used = asyncio.run(_asked(slots))
    assert set(asked) == asks
    assert used == [CATEGORIES]
