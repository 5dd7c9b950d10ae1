"""What each coreapp asks Meta, and what one of them asks for all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from tests.harness.patch import patched
from warouter.flow.share import FRESH_SECONDS
from warouter.owner.cloud import number
from warouter.owner.cloud.number import Number
from warouter.store.cloud import number as store
from warouter.store.cloud.number import Shared
from warouter.upstream.cloud.answers import judge

CATEGORIES = {("promo", "en"): "MARKETING"}


def _slot() -> Any:
    return SimpleNamespace(lanes=SimpleNamespace(waiting=0), issues={})


def _number(
    slots: list[int],
    graph: Any,
    use: Callable[[Any], None] = print,
    *,
    clock: Callable[[], float] = lambda: 0.0,
    began: list[float] | None = None,
    describe: Callable[[], Any] = lambda: None,
) -> Number:
    began = [] if began is None else began
    pace = SimpleNamespace(begun=0, rate=1.0, stop=None)
    pace.grant = lambda rate: setattr(pace, "rate", rate)
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
        clock,
        lambda _rate: None,
        began.append,
        describe,
    )


async def _asked(slots: list[int]) -> tuple[list[str], list[Any]]:
    asked: list[str] = []
    used: list[Any] = []

    async def describe() -> None:
        asked.append("facts")

    async def categories() -> dict[tuple[str, str], str]:
        asked.append("categories")
        return CATEGORIES

    graph = SimpleNamespace(categories=categories)
    asking = _number(slots, graph, used.append, describe=describe)

    async def share(*_: Any) -> Shared:
        return Shared(None, 0.0, 0.0, [], None)

    with patched([(store, "share", share)]):
        await asking._once()
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

        stopping = _number([5], None)
        stopping._see_to_templates = lambda: None  # type: ignore[method-assign]
        with patched([(store, "share", share), (store, "stop", stop)]):
            stopping.stop(judge(401, b""), b"")
            await stopping._once()
            assert stopping.stopped is not None
            written.set()
            for _ in range(5):
                await asyncio.sleep(0)
            await stopping._once()  # and what is read from then on counts
        assert stopping.stopped is None

    asyncio.run(scene())
    assert caplog.messages == ["number stopped: messages wait", "number resumed"]


class _Shares:
    """What a coreapp with half of the slots says that it wants."""

    def __init__(self) -> None:
        self.now = 0.0
        self.began: list[float] = []
        self.said: list[float] = []
        self.number = _number(list(range(1, 17)), None, clock=lambda: self.now, began=self.began)
        self.number._see_to_templates = lambda: None  # type: ignore[method-assign]

    async def share(self, *args: Any) -> Shared:
        self.said.append(args[2])
        return Shared(80, 0.0, 0.0, [], None)

    async def after(self, seconds: float, begun: int) -> None:
        """It shares again, and has begun so many requests in between."""
        self.now += seconds
        self.number._pace.begun += begun
        with patched([(store, "share", self.share)]):
            await self.number._once()


def test_who_takes_slots_over_wants_what_their_owner_had_before_it_knows_more() -> None:
    async def scene() -> None:
        here = _Shares()
        for slot in here.number._ownership.slots.values():
            here.number.opened(slot)
        await asyncio.sleep(0)
        assert here.number._at_once.is_set()
        assert here.began == [38.0] == [here.number._pace.rate]  # half of 95 % of the level
        await here.after(0.0, 0)
        await here.after(1.0, 30)
        assert here.said == [38.0, 30.0]

    asyncio.run(scene())


def test_a_demand_is_of_a_second_however_long_ago_the_last_one_was_said() -> None:
    async def scene() -> None:
        here = _Shares()
        await here.after(1.0, 30)
        await here.after(2.0, 60)
        assert here.said == [30.0, 30.0]

    asyncio.run(scene())


def test_who_sent_since_it_shared_does_not_rest_though_all_has_ended() -> None:
    async def scene() -> None:
        here = _Shares()
        await here.after(1.0, 30)
        assert not here.number._busy()
        here.number._pace.begun += 1
        assert here.number._busy()

    asyncio.run(scene())
    assert number.REST_SECONDS < FRESH_SECONDS, "others would take the part of one that rests"
