"""The pure parts of the chaos campaign: what it draws, measures and says."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from tests.campaigns.chaos.clocks import CLOCKS
from tests.campaigns.chaos.customers import Customers
from tests.campaigns.chaos.doors.native import mixed, repeats, stale
from tests.campaigns.chaos.figures import Seen, figures
from tests.campaigns.chaos.judge import accounted, api_errors, needless, unanswered
from tests.campaigns.chaos.lab import Size
from tests.campaigns.chaos.marks import Mark
from tests.campaigns.chaos.mutation import SCENARIOS
from tests.campaigns.chaos.nemeses import NEMESES
from tests.campaigns.chaos.nemesis import fault
from tests.campaigns.chaos.schedule import CLOUD, COUNTS, DOORS, LONG, NATIVE, SHORT, drawn, shared
from tests.harness.history import History


def mark(kind: str, at: float = 10.0, **more: object) -> Mark:
    return Mark(kind=kind, at=at, wall=1000.0 + at, healed=at + 1, recovered=at + 2, **more)


def seen(*arrivals: tuple[float, int, str, int], history: History | None = None) -> Seen:
    history = history or History()
    for at, slot, message_id, epoch in arrivals:
        history.sends.add(at, slot, message_id, epoch)
    return Seen(history)


def test_a_seed_draws_the_same_schedule_and_another_seed_another() -> None:
    for door in DOORS:
        assert drawn(1, LONG, door) == drawn(1, LONG, door) != drawn(2, LONG, door)
        assert len(drawn(1, LONG, door)) >= 300


def test_a_short_run_shares_its_faults_between_the_doors() -> None:
    runs = shared(1)
    assert shared(1) == runs != shared(2)
    assert 70 <= sum(map(len, runs.values())) <= 95
    assert Counter(runs[NATIVE] + runs[CLOUD]) == Counter(
        name for name, times in COUNTS.items() for _ in range(times.short)
    )
    for door, names in runs.items():
        assert len(names) >= 30
        assert all(door in COUNTS[name].doors for name in names)
    assert {n for seed in range(20) for n in shared(seed)[CLOUD]} == {*drawn(1, SHORT, CLOUD)}


def test_every_fault_of_the_schedule_is_there_and_the_figures_get_their_numbers() -> None:
    assert COUNTS.keys() - NEMESES.keys() == set(), "no nemesis has these names"
    clocks = {name for name, nemesis in NEMESES.items() if CLOCKS in nemesis.needs}
    for_mutants = {name for scenario in SCENARIOS for name in scenario.faults}
    left = NEMESES.keys() - clocks - for_mutants - COUNTS.keys()
    assert left == set(), "are never drawn: give these a line in schedule.COUNTS"
    assert COUNTS["kill-owner"][LONG] >= 100
    assert COUNTS["kill-leader-and-owner"][LONG] >= 50
    silent = ("freeze-owner", "cut-owner-database", "isolate-owner")
    assert sum(COUNTS[kind][LONG] for kind in silent) >= 100


def test_a_failover_ends_with_the_first_message_under_a_newer_epoch() -> None:
    killed = mark("kill-owner", owned={0: 3, 2: 3}, count=2)
    found = seen((10.05, 0, "late", 3), (10.1, 0, "a", 4), (10.3, 2, "b", 4), (10.4, 0, "c", 4))
    assert found.back(killed) == pytest.approx({0: 0.1, 2: 0.3})
    assert found.shards_back(killed) == pytest.approx([0.1])  # both slots are of shard 0


def test_the_figures_of_a_kill_say_whether_the_goal_is_met() -> None:
    marks = [mark("kill-owner", owned={0: 1}, count=1)]
    slow = seen((10.6, 0, "a", 2))
    (shards, slots) = figures(slow, marks, History())
    assert (shards.n, shards.met, slots.met) == (1, False, None)
    assert shards.most == pytest.approx(600)


def test_a_wait_is_from_the_request_to_the_arrival_and_belongs_to_its_slot() -> None:
    history = History()
    history.on_answer("1", "a", began=10.0, now=10.2)
    history.on_answer("1", "b", began=19.0, now=19.1)
    found = seen((10.5, 7, "a", 1), (19.2, 7, "b", 1), history=history)
    assert found.waits(10.0, 11.0) == pytest.approx({7: 0.5})


def test_all_slots_flow_when_the_last_of_them_does() -> None:
    found = seen(*((20.0 + slot / 100, slot, str(slot), 1) for slot in range(32)))
    assert found.flowing(19.0) == pytest.approx(1.31)
    assert found.flowing(20.005) is None


def test_a_request_without_an_answer_is_excused_by_the_death_of_a_webapp_only() -> None:
    history = History()
    history.unknown.append((10.5, "t1.", "reset"))
    assert unanswered(history, [mark("kill-webapp")]) == []
    assert unanswered(history, [mark("kill-owner")]) == [
        "API: 1 requests had no answer at kill-owner: reset"
    ]
    assert unanswered(history, []) == ["API: 1 requests had no answer at no fault: reset"]
    history.errors.append((10.5, 503, "not accepted"))
    assert len(api_errors(history)) == 1


async def test_a_row_belongs_to_a_request_that_got_an_error_or_no_answer_as_well() -> None:
    async def rows(*_given: Any, **_more: Any) -> list[dict[str, Any]]:
        bodies = (f'{{"text":{{"body":"t{n}."}}}}' for n in range(3))
        return [{"id": bytes(20), "body": body} for body in bodies]

    lab: Any = SimpleNamespace(database=SimpleNamespace(sql=rows))
    history = History()
    history.unknown.append((10.5, "t0.", "reset"))
    history.refused.add("t1.")
    (said,) = await accounted(lab, history)
    assert said.startswith("1 rows that no request accounts for")
    history.refused.add("t2.")
    assert await accounted(lab, history) == []


def test_a_small_load_comes_in_no_bursts_or_slots_would_have_nothing_to_show_for_a_while() -> None:
    assert [Size(rate=rate).burst for rate in (40.0, 200.0, 600.0)] == [1, 3, 6]


def test_a_message_that_must_fail_is_missing_until_it_has() -> None:
    history = History()
    history.doomed.add("a")
    assert history.missing() == ["a"]
    history.on_status("a", "failed")
    assert history.missing() == []


def test_takeovers_are_needless_when_no_coreapp_was_harmed() -> None:
    log = [{"wall": 1010.5, "reason": "dead"}, {"wall": 1010.5, "reason": "renew"}]
    assert needless([mark("kill-postgres")], log)
    assert needless([mark("kill-owner")], log) == []
    assert needless([mark("kill-postgres", at=50.0)], log) == []


def test_an_owner_without_sessions_may_be_taken_for_dead_once() -> None:
    log = [{"wall": 1010.5, "reason": "dead"}, {"wall": 1050.5, "reason": "dead"}]
    unlucky, again, calm = (mark("end-sessions-of-owner", at=at) for at in (10.0, 50.0, 90.0))
    assert needless([unlucky, calm], log) == []
    assert len(needless([unlucky, again, calm], log)) == 2
    assert needless([unlucky, again, calm, calm, calm], log) == []


@pytest.mark.parametrize(
    ("judge", "kind", "more", "broken"),
    [
        (stale, "kill-owner", {"stale": 3}, []),  # what it sent last may be read late
        (stale, "freeze-owner", {"stale": 3}, ["I3"]),
        (repeats, "kill-owner", {"owned": {0: 1, 1: 1}, "repeats": 128}, []),  # a window a slot
        (repeats, "kill-owner", {"owned": {0: 1, 1: 1}, "repeats": 129}, ["I6"]),
    ],
)
def test_the_price_of_a_kill(
    judge: Callable[[History, list[Mark]], None], kind: str, more: Any, broken: list[str]
) -> None:
    history = History()
    judge(history, [mark(kind, **more)])
    assert [violation.number for violation in history.witnessed] == broken


def test_statuses_are_mixed_up_by_the_upstream_only_while_it_does_so() -> None:
    history = History()
    for message_id, at in (("mixed", 10.0), ("later", 90.0)):
        history.on_answer("1", message_id, began=at, now=at)
    assert mixed(history, [mark("upstream-reorders")]) == {"mixed"}
    assert mixed(history, [mark("upstream-slow")]) == set()


async def test_a_fault_that_could_not_be_done_keeps_its_victims_and_its_beginning() -> None:
    """What they left open meanwhile is excused by its mark."""

    async def owners() -> dict[str, dict[int, int]]:
        return {"webapp-1": {3: 1}}

    async def shards() -> Any:
        return SimpleNamespace(shards=4)

    async def victims(_lab: Any) -> list[str]:
        return ["webapp-1"]

    async def breaks(_lab: Any, _mark: Mark) -> None:
        raise TimeoutError

    lab: Any = SimpleNamespace(database=SimpleNamespace(owners=owners, map=shards))
    found = await fault("kill-webapp", breaks, of=[victims]).run(lab)
    assert (found.victims, found.owned) == (["webapp-1"], {3: 1})
    assert found.at <= found.healed
    assert found.wrong == ["could not be done: TimeoutError()"]


async def test_customers_of_the_last_writes_are_known() -> None:
    began, goes_on = asyncio.Event(), asyncio.Event()
    known: list[int] = []

    async def write(count: int) -> None:
        began.set()
        await goes_on.wait()  # the simulator has them, and its answer is on its way
        known.append(count)

    async def fetch() -> None: ...

    business: Any = SimpleNamespace(from_new_customers=write)
    arrivals: Any = SimpleNamespace(fetch=fetch)
    customers = Customers(business, arrivals, 20)
    await began.wait()
    ending = asyncio.create_task(customers.end())
    await asyncio.sleep(0)
    goes_on.set()
    await ending
    assert known == [20]
