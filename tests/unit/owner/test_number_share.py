"""What each coreapp asks Meta, and what one of them asks for all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from tests.harness.cloud_number import some_number
from tests.harness.patch import patched
from warouter.errors import OutcomeUnknown
from warouter.flow.share import FRESH_SECONDS
from warouter.owner.cloud.facts.templates import KnownTemplates
from warouter.owner.cloud.rate import number_share
from warouter.owner.cloud.rate.number_share import NumberShare
from warouter.owner.cloud.rate.stop import NumberStop
from warouter.store.cloud import number as store
from warouter.store.cloud.number import Shared, Stop
from warouter.upstream.cloud.answers import judge
from warouter.upstream.cloud.graph.failed import CallRefused

CATEGORIES = {("promo", "en"): "MARKETING"}


def _slot() -> Any:
    return SimpleNamespace(lanes=SimpleNamespace(waiting=0), issues={})


class _Number:
    """A number with its parts."""

    def __init__(
        self,
        slots: list[int],
        graph: Any,
        use: Callable[[Any], None] = print,
        *,
        clock: Callable[[], float] = lambda: 0.0,
        began: list[float] | None = None,
        token: bytes = b"",
        describe: Callable[[], Any] = lambda: None,
    ) -> None:
        began = [] if began is None else began
        self.pace: Any = SimpleNamespace(of=some_number(), begun=0, rate=1.0, stop=None)
        self.pace.grant = lambda rate: setattr(self.pace, "rate", rate)
        self.pace.resumed = lambda: setattr(self.pace, "stop", None)
        self.ownership: Any = SimpleNamespace(slots={n: _slot() for n in slots})
        session: Any = SimpleNamespace(
            incarnation=UUID(int=1), registered=asyncio.Event(), fetch=None
        )
        self.secrets: Any = SimpleNamespace(token_hash=lambda _of: token)
        connections: Any = SimpleNamespace(size=lambda _rate: None, warm_up=began.append)
        self.stop = NumberStop(session.fetch, self.pace, graph, self.secrets, clock)
        self.templates = KnownTemplates(self.pace.of, session.fetch, graph, clock)
        vars(self.templates)["use"] = use
        described: Any = SimpleNamespace(see_to=describe)
        parts = self.stop, self.templates, described
        self.number = NumberShare(self.ownership, session, self.pace, connections, *parts, clock)

    def knows_templates(self) -> None:
        vars(self.templates)["see_to"] = lambda: None

    @property
    def stopped(self) -> Stop | None:
        return self.stop.now

    async def once(self) -> None:
        await self.number._once()


@pytest.mark.parametrize(
    ("slots", "asks"),
    [([], {"categories"}), ([5], {"categories"}), ([0, 5], {"categories", "facts"})],
)
async def test_every_coreapp_knows_the_templates_and_one_describes_the_number(
    slots: list[int], asks: set[str]
) -> None:
    asked: list[str] = []
    used: list[Any] = []

    async def categories(_of: object) -> dict[tuple[str, str], str]:
        asked.append("categories")
        return CATEGORIES

    async def share(*_: Any) -> Shared:
        return Shared(None, 0.0, [], None)

    graph = SimpleNamespace(categories=categories)
    asking = _Number(slots, graph, used.append, describe=lambda: asked.append("facts"))
    with patched([(store, "share", share)]):
        await asking.once()
    await _turns()
    assert set(asked) == asks
    assert used == [CATEGORIES]


@pytest.mark.parametrize("written_meanwhile", [False, True])
async def test_a_stop_that_is_being_written_is_not_lifted_by_what_was_read_before(
    written_meanwhile: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    written = asyncio.Event()

    async def stop(*_: Any) -> bool:
        return await written.wait()

    async def share(*_: Any) -> Shared:
        if written_meanwhile:
            written.set()
            await _turns()
        return Shared(None, 0.0, [], None)

    stopping = _Number([5], SimpleNamespace(probe=_refused))
    stopping.knows_templates()
    with patched([(store, "share", share), (store, "stop", stop)]):
        stopping.stop.stop(judge(401, b""), b"")
        await stopping.once()
        assert stopping.stopped is not None
        written.set()
        await _turns()
        await stopping.once()  # and what is read from then on counts
    assert stopping.stopped is None
    assert caplog.messages == ["number stopped: messages wait", "number resumed"]


async def test_a_stop_that_could_not_be_stored_is_stored_again_and_lasts() -> None:
    failures = [OutcomeUnknown("no session"), asyncpg.PostgresError("too slow")]
    stored: list[Stop] = []

    async def stop(_fetch: Any, _number: int, why: Stop) -> bool:
        if failures:
            raise failures.pop()
        stored.append(why)
        return True

    async def share(*_: Any) -> Shared:
        return Shared(None, 0.0, [], stored[-1] if stored else None)

    stopping = _Number([5], SimpleNamespace(probe=_refused))
    stopping.knows_templates()
    with patched([(store, "share", share), (store, "stop", stop)]):
        stopping.stop.stop(judge(401, b""), b"")
        for _ in range(4):
            await _turns()
            await stopping.once()
            assert stopping.stopped is not None
        assert len(stored) == 1
        stored.clear()  # somebody else found that all is well with this token
        await stopping.once()
        assert stopping.stopped is None


async def test_a_stop_is_of_a_token_and_ends_with_success_by_that_token_alone() -> None:
    """Of two owners one has the renewed token, and the number is well for that."""
    stops: dict[bytes, Stop] = {}

    async def stop(_fetch: Any, _number: int, why: Stop) -> bool:
        stops[why.token_hash] = why
        return True

    async def resume(_fetch: Any, _number: int, token: bytes) -> None:
        stops.pop(token, None)

    async def share(_fetch: Any, _incarnation: UUID, *of_it: Any) -> Shared:
        _of, _demand, token = of_it
        return Shared(None, 0.0, [], stops.get(token))

    graph = SimpleNamespace(probe=_refused)
    old = _Number([5], graph, token=b"old")
    new = _Number([0], SimpleNamespace(probe=_well), token=b"new")
    for each in (old, new):
        each.knows_templates()
    with patched([(store, "share", share), (store, "stop", stop), (store, "resume", resume)]):
        old.stop.stop(judge(401, b""), b"old")
        for _ in range(3):
            for each in (old, new):
                await each.once()
                await _turns()
        assert (old.stopped is not None, new.stopped) == (True, None)
        graph.probe, old.stop._probe_due = _well, 0.0
        await old.once()
        await _turns()
        assert (old.stopped, stops) == (None, {})


async def test_a_token_that_comes_with_a_probe_ends_no_stop_of_the_former_one() -> None:
    """Another owner may still have that. Seed 158 of the Cloud API."""
    resumed: list[bytes] = []

    async def resume(_fetch: Any, _number: int, token: bytes) -> None:
        resumed.append(token)

    async def probe(_of: object) -> None:
        stopping.secrets.token_hash = lambda _of: b"new"

    stopping = _Number([5], SimpleNamespace(probe=probe), token=b"old")
    with patched([(store, "resume", resume)]):
        stopping.stop.read(Stop(190, "", b"old"), stopping.stop.changes)
        await _turns()
    assert resumed == []


async def _refused(_of: object) -> None:
    raise CallRefused("refused", judge(401, b""))


async def _well(_of: object) -> None:
    """Meta has answered."""


async def _turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


class _Shares:
    """What a coreapp with half of the slots says that it wants."""

    def __init__(self) -> None:
        self.now = 0.0
        self.began: list[float] = []
        self.said: list[float] = []
        slots = list(range(1, 17))
        self.parts = _Number(slots, None, clock=lambda: self.now, began=self.began)
        self.parts.knows_templates()
        self.number, self.pace = self.parts.number, self.parts.pace

    async def share(self, *args: Any) -> Shared:
        self.said.append(args[3])
        return Shared(80, 0.0, [], None)

    async def after(self, seconds: float, begun: int) -> None:
        """It shares again, and has begun so many requests in between."""
        self.now += seconds
        self.pace.begun += begun
        with patched([(store, "share", self.share)]):
            await self.number._once()


async def test_a_new_owner_begins_with_its_predecessors_share_of_the_rate() -> None:
    here = _Shares()
    for slot in here.parts.ownership.slots.values():
        here.number.opened(slot)
    await asyncio.sleep(0)
    assert here.parts.stop.share_now.is_set()
    assert here.began == [38.0] == [here.pace.rate]  # half of 95 % of the level
    await here.after(0.0, 0)
    await here.after(1.0, 30)
    assert here.said == [38.0, 30.0]


async def test_a_demand_is_of_a_second_however_long_ago_the_last_one_was_said() -> None:
    here = _Shares()
    await here.after(1.0, 30)
    await here.after(2.0, 60)
    assert here.said == [30.0, 30.0]


async def test_an_owner_that_sent_since_its_last_share_does_not_rest() -> None:
    here = _Shares()
    await here.after(1.0, 30)
    assert not here.number._busy()
    here.pace.begun += 1
    assert here.number._busy()
    assert number_share.REST_SECONDS < FRESH_SECONDS, "others would take the part of one that rests"
