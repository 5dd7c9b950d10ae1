"""What each coreapp asks Meta, and what one of them asks for all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from tests.harness.patch import patched
from warouter.owner.cloud.number import Number
from warouter.store.cloud import number as store
from warouter.store.cloud.number import Shared
from warouter.upstream.cloud.answers import judge
from warouter.upstream.cloud.graph.number import Facts

CATEGORIES = {("promo", "en"): "MARKETING"}


def _slot() -> Any:
    return SimpleNamespace(lanes=SimpleNamespace(waiting=0))


def _number(slots: list[int], graph: Any, use: Callable[[Any], None] = print) -> Number:
    pace = SimpleNamespace(begun=0, rate=1.0, stop=None, grant=lambda _: None)
    pace.resumed = lambda: setattr(pace, "stop", None)
    return Number(
        SimpleNamespace(slots={n: _slot() for n in slots}),  # type: ignore[arg-type]
        UUID(int=1),
        None,  # type: ignore[arg-type]
        asyncio.Event(),
        pace,  # type: ignore[arg-type]
        graph,
        lambda: b"",
        SimpleNamespace(use=use, tell=print, held_are=print),  # type: ignore[arg-type]
        None,
        lambda: 0.0,
        lambda _rate: None,
    )


async def _asked(slots: list[int]) -> tuple[list[str], list[Any]]:
    asked: list[str] = []
    used: list[Any] = []

    async def facts() -> Facts:
        asked.append("facts")
        return Facts()

    async def categories() -> dict[tuple[str, str], str]:
        asked.append("categories")
        return CATEGORIES

    number = _number(slots, SimpleNamespace(facts=facts, categories=categories), used.append)

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


@pytest.mark.parametrize("written_meanwhile", [False, True])
def test_a_stop_that_is_being_written_is_not_lifted_by_what_was_read_before(
    written_meanwhile: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")

    async def scene() -> None:
        written = asyncio.Event()

        async def stop(*_: Any) -> bool:
            return await written.wait()

        async def share(*_: Any) -> Shared:
            if written_meanwhile:
                written.set()
                for _ in range(5):
                    await asyncio.sleep(0)
            return Shared(None, 0.0, 0.0, [], None)

        number = _number([5], None)
        number._see_to_templates = lambda: None  # type: ignore[method-assign]
        with patched([(store, "share", share), (store, "stop", stop)]):
            number.stop(judge(401, b""), b"")
            await number._once()
            assert number.stopped is not None
            written.set()
            for _ in range(5):
                await asyncio.sleep(0)
            await number._once()  # and what is read from then on counts
        assert number.stopped is None

    asyncio.run(scene())
    assert caplog.messages == ["number stopped: messages wait", "number resumed"]
