"""docs/benchmarks.md shows what the results say; the arithmetic of the benchmarks."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest

from bench.budget import COREAPP, WEBAPP
from bench.cloud.poster import LARGEST, Order, Sent, requests
from bench.cloud.storm import Kill, stood
from bench.e2e.turns import Turns, in_turn, medians
from bench.hook import LAST_IS_ENOUGH, Ledger
from bench.idle.delays import delays, percentiles
from bench.idle.window import by_kind
from bench.report.cloud import GOALS
from bench.report.form import number
from bench.report.load import Goal
from bench.report.page import BLOCKS, PAGE, begin, page, pictures
from bench.report.sizing import cloud_costs, costs
from tests.campaigns.chaos.doors.requests import Request
from tests.harness.receiver import Post
from warouter._hash import slot_of
from warouter.sizing.costs import Cpu, busy

SOURCE = Path(__file__).parents[2] / "src"


def test_the_tables_of_the_page_are_those_of_the_results() -> None:
    text = PAGE.read_text()
    assert [name for name in BLOCKS if begin(name) not in text] == []
    assert page(text) == text, "python -m bench.report writes them"


def test_the_plots_are_those_of_the_results() -> None:
    names = [name for name, made in pictures().items() if (PAGE.parent / name).read_text() != made]
    assert names == [], "python -m bench.report writes them"


def test_a_callback_is_late_from_when_its_status_was_due() -> None:
    taken = {"a": 10.0, "b": 20.0}
    heard = {"a sent": 10.5, "a read": 12.25, "b sent": 20.75, "c sent": 1.0}
    found = delays(taken, heard, {"sent": 0.25, "read": 2.0})
    assert sorted(found) == [0.25, 0.25, 0.5]
    assert percentiles(found) == {"p50": 250.0, "p99": 500.0}
    assert percentiles([]) == {"p50": 0.0, "p99": 0.0}


def test_generator_and_simulator_are_no_cost_of_the_product() -> None:
    found = by_kind({"coreapp-1": 1.0, "coreapp-2": 2.0, "postgres": 4, "load": 8, "simulator": 16})
    assert found == {"coreapp": 3, "postgres": 4, "load": 8, "simulator": 16, "product": 7}


def test_medians_are_taken_number_by_number_and_of_others_the_worst_counts() -> None:
    turns: list[dict[str, Any]] = [
        {"cpu": {"80": 3.0}, "foreign_cores": {"80": 0.1}, "once": 1},
        {"cpu": {"80": 1.0}, "foreign_cores": {"80": 0.9}},
        {"cpu": {"80": 2.0}, "foreign_cores": {"80": 0.2}},
    ]
    assert medians(turns) == {"cpu": {"80": 2.0}, "foreign_cores": {"80": 0.9}}


async def test_every_second_time_the_sides_go_backwards_and_one_that_fails_is_wrong() -> None:
    made: list[str] = []

    def side(name: str, fails: bool) -> Any:
        async def turn() -> tuple[dict[str, Any], list[str]]:
            made.append(name)
            if fails:
                raise OSError("gone")
            return {"n": len(made)}, []

        return turn

    found = await in_turn({"this": side("this", False), "base": side("base", True)}, 2, 60.0)
    assert made == ["this", "base", "base", "this"]
    assert found.medians() == {"this": {"n": 2.5}}
    assert found.wrong == ["base: not measured (OSError: gone)"] * 2
    assert found.ratios("this", "base") == {}


def test_ratios_are_taken_within_the_turns_that_both_sides_had() -> None:
    this = {0: {"cpu": {"80": 1.0}, "n": 0}, 1: {"cpu": {"80": 30.0}}, 2: {"cpu": {"80": 4.0}}}
    base = {0: {"cpu": {"80": 2.0}, "n": 5}, 2: {"cpu": {"80": 4.0}}}
    assert Turns({"this": this, "base": base}, []).ratios("base", "this") == {"cpu": {"80": 1.5}}


def test_the_costs_for_sizing_are_those_that_make_what_was_measured() -> None:
    cpu = Cpu(full_us=30.0, thin_us=900.0, thin_cores=0.1)
    rates = {"80": 80.0, "1000": 1000.0, "full": 10_000.0}
    kinds = {"webapp": 1, "coreapp": 2, "postgres": 2}
    made = {
        name: {kind: busy(cpu, rate, n) / rate * 1000 for kind, n in kinds.items()}
        for name, rate in rates.items()
    }
    assert costs({"this": {"cpu_ms": made, "per_s": rates}}) == dict.fromkeys(kinds, cpu)
    assert costs({}) == {}
    few, many, most = (
        {"per_s": rate, "cpu_us": {kind: ms * 1000 for kind, ms in made[name].items()}}
        for name, rate in rates.items()
    )
    full = {"per_s": most["per_s"], "cpu_us": dict.fromkeys(kinds, cpu.full_us)}
    cloud = {"sustained": {"80": few, "1000": many}, "lives": full, "lives_packed": full}
    assert cloud_costs(cloud) == dict.fromkeys(kinds, cpu)
    assert cloud_costs({**cloud, "lives": None}) == {}


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (0, "0"), (0.1049, "0.105"), (5.893, "5.89"), (10.86, "10.9"), (14223, "14,223")],
)
def test_figures_have_three_digits(value: float | None, text: str) -> None:
    assert number(value) == text


def test_a_goal_is_met_at_its_bound_and_a_figure_that_is_not_there_is_neither() -> None:
    least, most = Goal("a", ("n",), least=2), Goal("b", ("n", "m"), most=2)
    assert least.row({"n": 2})[2:] == ("≥ 2", "met")
    assert least.row({"n": 1.99})[3] == "missed"
    assert most.row({"n": {"m": 2}})[2:] == ("≤ 2", "met")
    assert most.row({"n": {"m": 2.01}})[3] == "missed"
    assert most.row({})[1:] == ("-", "≤ 2", "")


def test_of_each_kill_the_longest_wait_of_who_is_not_in_doubt_counts() -> None:
    asked = {"before": 9.0, "after": 10.25, "doubted": 10.0, "elsewhere": 10.0, "later": 12.0}
    begun = {"before": 10.125, "after": 10.75, "doubted": 15.0, "elsewhere": 19.0, "later": 19.0}
    who = {name: f"4915100000{n:02d}" for n, name in enumerate(asked)}
    who["elsewhere"] = next(
        to for n in range(99) if slot_of(to := f"4915200000{n:02d}") != slot_of(who["before"])
    )
    slots = frozenset(slot_of(to) for name, to in who.items() if name != "elsewhere")
    made = [
        Request(id=name, attempt=1, recipient=who[name], begun=at, accepted=at)
        for name, at in begun.items()
        if name != "elsewhere" or slot_of(who[name]) not in slots
    ]
    kills = [Kill(10.0, slots), Kill(30.0, slots)]
    assert stood(made, asked, kills, {"doubted"}) == [0.5]


def test_every_message_has_its_three_statuses_in_order_in_small_posts() -> None:
    messages = [Sent(f"wamid.{n}", f"w1.{n}.1", f"4915100{n:04d}") for n in range(700)]
    order = Order(1, "secret", "1", "2", "15550001111", messages, 4000.0)
    posts = list(requests(order, Random(1)))
    told: dict[str, list[str]] = {}
    for count, request in posts:
        value = json.loads(request.partition(b"\r\n\r\n")[2])["entry"][0]["changes"][0]["value"]
        assert len(value["statuses"]) == count <= LARGEST
        for status in value["statuses"]:
            told.setdefault(status["id"], []).append(status["status"])
    assert told == {one.wamid: ["sent", "delivered", "read"] for one in messages}


def test_where_the_last_status_is_enough_an_earlier_one_need_not_come() -> None:
    ledger = Ledger()
    ledger.levels = LAST_IS_ENOUGH
    ledger.keep(b"a", 0.0, 0.0)
    for status in ("delivered", "read"):
        body = json.dumps({"statuses": [{"id": "a", "status": status}]}).encode()
        ledger.on_post(Post(b"POST / HTTP/1.1", body, None))  # type: ignore[arg-type]
    assert ledger.whole == 1
    assert ledger.counts()["repeated_callbacks"] == 0


def test_each_goal_of_the_cloud_api_has_a_name_and_a_place_of_its_own() -> None:
    assert len({goal.path for goal in GOALS}) == len(GOALS)


@pytest.mark.parametrize("frame", sorted({f for _, frames in (*WEBAPP, *COREAPP) for f in frames}))
def test_a_frame_of_the_cpu_budget_names_code_that_exists(frame: str) -> None:
    """One that names nothing would have its share counted for another component."""
    function, _, path = frame.rpartition(" (")
    if not path.startswith("warouter/"):
        assert path in ("aiohttp/", "asyncpg/")
        return
    assert (SOURCE / path).exists()
    assert not function or f"def {function}(" in (SOURCE / path).read_text()
