"""`warouter sizing`: what a cluster needs grows with what is asked, and docs/scaling.md says it."""

from __future__ import annotations

import math
from math import inf
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from warouter._hash import SHARD_COUNTS
from warouter.cli import cli
from warouter.errors import CommandError
from warouter.sizing.capacity import (
    LOAD,
    UpstreamCapacity,
    carried,
    one_coreapp,
    one_webapp,
    one_writer,
    windows,
)
from warouter.sizing.costs import COSTS, Costs, Cpu, busy, most
from warouter.sizing.original import original_for, rds_class
from warouter.sizing.plan import Plan, plan

GUIDE = (Path(__file__).parents[2] / "docs" / "scaling.md").read_text()

GROWING = ("shards", "webapps", "coreapps", "machines", "cpu_cores", "postgres_cores")
GROWING += ("memory_mib", "wal_gib_per_day", "journal_gib_per_day", "wal_mib_per_s")

rates = st.floats(0.1, 100_000)
shard_counts = st.sampled_from(SHARD_COUNTS)
upstreams = st.builds(UpstreamCapacity, st.floats(1, 10_000) | st.just(inf), st.floats(0, 200))


def planned(
    rate: float, shards: int | None, spares: int, cores: int, up: UpstreamCapacity
) -> Plan | None:
    try:
        return plan(rate, shards, spares=spares, cores=cores, upstream=up)
    except CommandError:
        return None


@given(rates, rates, st.none() | shard_counts, st.integers(1, 32), st.integers(1, 64), upstreams)
def test_more_messages_never_need_less(
    one: float, other: float, shards: int | None, spares: int, cores: int, up: UpstreamCapacity
) -> None:
    less, more = sorted((one, other))
    small, great = (planned(rate, shards, spares, cores, up) for rate in (less, more))
    if great is None:
        return  # and if the greater is possible, the smaller is
    assert small is not None
    for name in GROWING:
        assert getattr(small, name) <= getattr(great, name), name
    assert sum(small.connections.values()) <= sum(great.connections.values())


@given(rates, st.none() | shard_counts, st.integers(1, 32), st.integers(1, 64), upstreams)
def test_a_plan_holds(
    rate: float, shards: int | None, spares: int, cores: int, up: UpstreamCapacity
) -> None:
    found = planned(rate, shards, spares, cores, up)
    if found is None:
        return
    assert found.shards == shards or (shards is None and found.shards in SHARD_COUNTS)
    assert found.coreapps >= found.shards + 1
    # Nothing of it is over what it was planned for, also when one machine of three is gone.
    assert rate <= min(found.limits.values()) * (1 + 1e-9)
    assert found.first in found.limits
    left = found.coreapps - math.ceil(found.coreapps / 3)
    busiest = math.ceil(found.shards / left) * rate / found.shards
    assert busy(COSTS.coreapp, busiest, 1) <= 0.7 * (1 + 1e-9)
    assert busiest <= up.rate * (1 + 1e-9)
    webapps = found.webapps - math.ceil(found.webapps / 3)
    assert busy(COSTS.webapp, rate / webapps, 1) <= 0.7 * (1 + 1e-9)
    assert (found.machines - 1) * cores * 0.7 >= found.cpu_cores - 1e-9


cpus = st.builds(
    Cpu,
    full_us=st.floats(1, 1_000),
    thin_us=st.floats(0, 10_000),
    thin_cores=st.floats(0, 0.5),
)


@given(cpus, st.floats(0.01, 100), st.integers(1, 40))
def test_the_highest_rate_fills_just_its_cores(cpu: Cpu, cores: float, processes: int) -> None:
    assert busy(cpu, most(cpu, cores, processes), processes) == pytest.approx(cores)


def test_few_messages_in_many_shards_cost_more_each() -> None:
    """As measured: 480/s over 32 shards take as much of coreapps as thousands over one."""
    assert busy(COSTS.coreapp, 480, 32) == pytest.approx(1.1, rel=0.05)
    assert busy(COSTS.coreapp, 480, 32) > busy(COSTS.coreapp, 20_000, 1)
    assert plan(4_000, 32).machines > plan(4_000, 1).machines


@given(st.integers(1, 32), upstreams)
def test_more_shards_never_carry_less(spares: int, up: UpstreamCapacity) -> None:
    carries = [carried(shards, spares, up) for shards in SHARD_COUNTS]
    assert carries == sorted(carries)


def test_costs_decide() -> None:
    dear = Costs(coreapp=Cpu(full_us=200, thin_us=2_000, thin_cores=0.1))
    dear_webapp = Costs(webapp=Cpu(full_us=400, thin_us=0, thin_cores=0))
    assert plan(20_000, costs=dear).shards > plan(20_000).shards
    assert plan(20_000, costs=dear_webapp).webapps > plan(20_000).webapps
    assert plan(2_000, 1, costs=dear).first == "coreapp_cpu"
    assert plan(2_000, costs=Costs(writer_rows_per_s=4_000)).first == "owner_commits"
    assert plan(1_000, upstream=UpstreamCapacity(250, 50)).first == "upstream_rate"
    assert plan(30_000, upstream=UpstreamCapacity(inf, 50)).limits["upstream_answers"] == 40_960


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--rate", "nan"], "--rate must be a finite number greater than 0"),
        (["--rate", "inf"], "--rate must be a finite number greater than 0"),
        (["--rate", "0"], "--rate must be a finite number greater than 0"),
        (["--rate", "many"], "not a valid float"),
        ([], "Missing option '--rate'"),
        (["--rate", "5", "--shards", "3"], "not one of"),
        (["--rate", "5", "--spares", "0"], "--spares"),
        (["--rate", "5", "--cores", "0"], "--cores"),
        (["--rate", "5", "--upstream-rate", "0"], "--upstream-rate must be greater than 0"),
        (["--rate", "5", "--upstream-rate", "nan"], "--upstream-rate must be greater than 0"),
        (["--rate", "5", "--upstream-ms", "-1"], "--upstream-ms must be 0 or more"),
        (["--rate", "1e9"], "One cluster serves one number"),
        (["--rate", "100000", "--upstream-ms", "50"], "40,960/s"),
        (["--rate", "1000", "--shards", "2", "--upstream-rate", "250"], "Ask for 8 shards"),
        (["--rate", "8000", "--upstream-rate", "250"], "Plan --spares 17"),
    ],
)
def test_bad_input_ends_in_one_sentence(arguments: list[str], sentence: str) -> None:
    done = CliRunner().invoke(cli, ["sizing", *arguments])
    assert done.exit_code != 0
    said = done.output if done.output else str(done.exception)
    assert sentence in said


def test_the_advice_helps() -> None:
    up = UpstreamCapacity(250)
    assert plan(1_000, 8, upstream=up).shards == 8
    assert plan(8_000, spares=17, upstream=up).shards == 32


def test_the_page_shows_both_sides() -> None:
    done = CliRunner().invoke(cli, ["sizing", "--rate", "250"])
    assert done.exit_code == 0
    rows = {line[:22].strip(): line[22:].split() for line in done.output.splitlines()}
    assert rows["coreapps"] == ["1", "+", "1", "spare", "32", "+", "1", "spare"]
    assert rows["database connections"][-2:] == ["about", "1,700"]
    assert "not like for like" in done.output
    assert "What limits first" in done.output


def test_json_says_the_same() -> None:
    done = CliRunner().invoke(cli, ["sizing", "--rate", "1e5", "--json"])
    said = msgspec.json.decode(done.output)
    found = plan(100_000)
    assert said["plan"]["machines"] == found.machines
    assert said["coreapps"] == found.coreapps
    assert said["connections"] == sum(said["plan"]["connections"].values())
    assert said["limits_first"] == found.first
    assert said["original"]["rate"] == 250
    assert said["original_machines"] == 33
    assert "not like for like" in said["comparison"]
    assert said["costs"] == msgspec.to_builtins(COSTS)
    assert said["cloud"] is None


# the original's tables


@pytest.mark.parametrize(
    ("rate", "nearest"), [(1, 10), (10, 10), (11, 20), (150, 160), (250, 250), (1e6, 250)]
)
def test_the_nearest_rate_that_was_supported(rate: float, nearest: int) -> None:
    assert original_for(rate).rate == nearest


def test_the_class_of_rds_is_the_least_that_is_enough() -> None:
    assert rds_class(1) == "db.m3.medium"
    assert rds_class(298) == "db.m3.medium"
    assert rds_class(299) == "db.t2.medium"
    assert rds_class(1_700) == "db.m3.2xlarge"
    assert rds_class(38_784) is None


# docs/scaling.md


def row(*cells: object) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def ours(rate: float, up: UpstreamCapacity) -> str:
    found = plan(rate, upstream=up)
    return row(
        f"{rate:,.0f}",
        f"{found.machines} of {found.cores} cores",
        found.webapps,
        f"{found.shards} + {found.spares}",
        found.masters,
        sum(found.connections.values()),
        found.postgres_cores,
        f"{found.memory_mib / 1024:.1f} GiB",
        f"{found.wal_mib_per_s:,.1f} MiB/s, {found.wal_gib_per_day:,.0f} GiB",
        f"{found.journal_gib_per_day:,.0f} GiB",
    )


def cpu_of(cpu: Cpu) -> str:
    return f"{cpu.full_us:g} µs, and up to {cpu.thin_us:,.0f} µs or {cpu.thin_cores:.0%} of a core"


def test_the_guide_has_the_plans_the_costs_with_what_measures_them_and_the_limits() -> None:
    c = COSTS
    connections = f"{c.webapp_connections}, {c.coreapp_connections}, {c.master_connections}"
    costs = {
        cpu_of(c.webapp): "make bench-e2e",
        cpu_of(c.coreapp): "make bench-e2e",
        cpu_of(c.postgres): "make bench-e2e",
        f"{c.writer_rows_per_s:,.0f} rows/s": "make bench",
        connections: "make bench-e2e",
        f"{c.idle_mib:g} and {c.busy_mib:g} MiB": "make bench-e2e",
        f"{c.wal_bytes:,.0f} bytes": "pg_current_wal_lsn()",
        f"{c.journal_bytes:,.0f} bytes": "pg_total_relation_size()",
    }
    a_core = LOAD * 1e6 / c.postgres.full_us
    each_owner = f"{c.postgres.thin_cores:.0%} of a core for each owner"
    said = [
        *(ours(rate, UpstreamCapacity()) for rate in (1e3, 1e4, 1e5)),
        *(ours(rate, UpstreamCapacity(250, 50)) for rate in (1e3, 4e3)),
        *(f"| {figure} | `{command}`" for figure, command in costs.items()),
        f"{one_webapp():,.0f} messages/s",
        f"{one_coreapp():,.0f} messages/s",
        f"{one_writer():,.0f} messages/s",
        f"{a_core:,.0f} messages/s a core, less {each_owner}",
        f"{carried(32, 1, UpstreamCapacity()):,.0f} messages/s",
        f"{windows(UpstreamCapacity(answer_ms=50)):,.0f}/s",
        "not like for like",
    ]
    assert [text for text in said if text not in GUIDE] == []
