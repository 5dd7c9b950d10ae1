"""`warouter sizing --upstream cloud`: Graph connections, webhooks, levels, and more CPU."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from warouter._hash import SHARD_COUNTS
from warouter.cli import cli
from warouter.cloud_variables import CloudVariables
from warouter.config import load
from warouter.errors import CommandError
from warouter.sizing.cloud import CLOUD, CloudCapacity, CloudNeeds, cloud_plan
from warouter.sizing.costs import CLOUD_COSTS, Cpu, busy
from warouter.sizing.plan import Plan, plan

GUIDE = (Path(__file__).parents[2] / "docs" / "scaling.md").read_text()

NEEDS = ("connections", "memory_mib", "webhooks_per_s")
GROWING = ("shards", "webapps", "machines", "cpu_cores", "postgres_cores", "memory_mib")
GROWING += ("wal_gib_per_day", "journal_gib_per_day", "wal_mib_per_s")

rates = st.floats(0.1, 10_000)
shard_counts = st.none() | st.sampled_from(SHARD_COUNTS)
capacities = st.builds(CloudCapacity, st.floats(1, 2_000), st.integers(3, 4_096))


def planned(
    rate: float, shards: int | None, spares: int, capacity: CloudCapacity
) -> tuple[Plan, CloudNeeds] | None:
    try:
        return cloud_plan(rate, shards, spares=spares, capacity=capacity)
    except CommandError:
        return None


def sizing(*arguments: str, **environment: str) -> Result:
    return CliRunner(env=environment).invoke(cli, ["sizing", *arguments])


@given(rates, rates, shard_counts, st.integers(1, 32), capacities)
def test_more_messages_never_need_less_of_anything(
    one: float, other: float, shards: int | None, spares: int, capacity: CloudCapacity
) -> None:
    less, more = (planned(rate, shards, spares, capacity) for rate in sorted((one, other)))
    if more is None:
        return  # and if the greater is possible, the smaller is
    assert less is not None
    for name in GROWING:
        assert getattr(less[0], name) <= getattr(more[0], name), name
    assert sum(less[0].connections.values()) <= sum(more[0].connections.values())
    for name in NEEDS:
        assert getattr(less[1], name) <= getattr(more[1], name), name


@given(rates, shard_counts, st.integers(1, 32), capacities)
def test_an_owner_has_the_connections_for_its_messages_also_while_a_machine_is_gone(
    rate: float, shards: int | None, spares: int, capacity: CloudCapacity
) -> None:
    if (found := planned(rate, shards, spares, capacity)) is None:
        return
    cluster, needs = found
    alive = cluster.coreapps - math.ceil(cluster.coreapps / 3)
    busiest = math.ceil(cluster.shards / alive) * rate / cluster.shards
    assert busiest * capacity.answer_ms / 1000 <= (capacity.connections - 2) * (1 + 1e-9)
    assert busy(CLOUD_COSTS.coreapp, busiest, 1) <= 0.7 * (1 + 1e-9)
    assert rate * capacity.answer_ms / 1000 <= needs.connections <= cluster.shards * 4_096
    assert needs.connections_each <= capacity.connections


def test_a_thousand_messages_cost_more_than_by_the_native_door() -> None:
    native, (cloud, needs) = plan(1_000), cloud_plan(1_000)
    assert cloud.cpu_cores > native.cpu_cores
    assert cloud.wal_gib_per_day > native.wal_gib_per_day
    assert cloud.memory_mib == native.memory_mib + needs.memory_mib
    assert (needs.connections, needs.webhooks_per_s) == (342, 3_000)
    assert (cloud.first, cloud.limits["upstream_rate"]) == ("upstream_rate", 1_500)


def test_slow_answers_and_few_connections_take_more_shards() -> None:
    assert cloud_plan(1_000, capacity=CloudCapacity(600))[0].shards > 1
    assert cloud_plan(1_000, capacity=CloudCapacity(connections=64))[0].shards > 8


@pytest.mark.parametrize(
    ("rate", "sentence"), [(76, ""), (77, "must have Meta's level HIGH"), (951, "several numbers")]
)
def test_a_rate_above_the_number_s_level_is_warned_of(rate: float, sentence: str) -> None:
    _, needs = cloud_plan(rate)
    assert sentence in " ".join(needs.warnings)
    assert bool(needs.warnings) == bool(sentence)


def test_the_upstream_and_its_connections_are_those_of_the_environment() -> None:
    done = sizing("--rate", "900", WAROUTER_UPSTREAM="cloud", WAROUTER_CLOUD_CONNECTIONS="1024")
    rows = {line[:22].strip(): line[22:].split() for line in done.output.splitlines()}
    assert rows["Graph connections"] == ["308:", "308", "of", "1,024", "an", "owner"]
    assert rows["webhooks from Meta"][0] == "2,700/s,"
    assert "Warning: The number must have Meta's level HIGH" in done.output
    assert "connections of the owners to the Graph API" in done.output
    again = sizing("--rate", "900", "--upstream", "simulator", WAROUTER_UPSTREAM="cloud")
    assert "Graph" not in again.output


def test_json_has_the_needs_and_the_costs() -> None:
    done = sizing("--rate", "300", "--upstream", "cloud", "--upstream-ms", "100", "--json")
    said = msgspec.json.decode(done.output)
    cluster, needs = cloud_plan(300, capacity=CloudCapacity(100))
    assert said["plan"] == msgspec.to_builtins(cluster)
    assert said["cloud"] == msgspec.to_builtins(needs)
    assert said["costs"] == msgspec.to_builtins(CLOUD_COSTS)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--upstream", "native"], "'native' is not one of"),
        (["--upstream", "cloud", "--upstream-rate", "250"], "--upstream-rate is not for the Cloud"),
        (["--upstream", "cloud", "--upstream-ms", "0"], "must be greater than 0"),
        (["--upstream", "cloud", "--upstream-ms", "nan"], "must be greater than 0"),
        (["--upstream", "cloud", "--cloud-connections", "2"], "must be greater than 2"),
        (["--upstream", "cloud", "--cloud-connections", "0"], "not in the range"),
        (["--upstream", "cloud", "--upstream-ms", "60000"], "No cluster sends"),
        (["--upstream", "cloud", "--shards", "1", "--upstream-ms", "900"], "Ask for 2 shards"),
    ],
)
def test_bad_input_ends_in_one_sentence(arguments: list[str], sentence: str) -> None:
    done = sizing("--rate", "1000", *arguments)
    assert done.exit_code != 0
    assert sentence in (done.output or str(done.exception))


def test_the_defaults_are_those_of_the_product() -> None:
    assert load({}).upstream == "simulator"
    fields = {field.name: field.default for field in msgspec.structs.fields(CloudVariables)}
    assert CLOUD.connections == fields["cloud_connections"]


# docs/scaling.md


def row(rate: int) -> str:
    found, needs = cloud_plan(rate)
    cells = (
        f"{rate}",
        f"{found.machines} of {found.cores} cores",
        f"{found.webapps}",
        f"{found.shards} + {found.spares}",
        f"{sum(found.connections.values())}",
        f"{found.cpu_cores:.2f} cores",
        f"{found.postgres_cores}",
        f"{found.memory_mib / 1024:.1f} GiB",
        f"{needs.connections}",
        f"{needs.webhooks_per_s:,.0f}/s",
        f"{found.wal_mib_per_s:,.1f} MiB/s, {found.wal_gib_per_day:,.0f} GiB",
        f"{found.journal_gib_per_day:,.0f} GiB",
    )
    return "| " + " | ".join(cells) + " |"


def cpu_of(cpu: Cpu) -> str:
    return f"{cpu.full_us:g} µs, and up to {cpu.thin_us:,.0f} µs or {cpu.thin_cores:.0%} of a core"


def test_the_guide_has_the_plans_and_the_costs() -> None:
    c = CLOUD_COSTS
    said = [
        *(row(rate) for rate in (75, 900)),
        *(f"| {cpu_of(cpu)} | `bench.cloud`" for cpu in (c.webapp, c.coreapp, c.postgres)),
        f"| {c.webapp_connections}, {c.coreapp_connections}, {c.master_connections} | `pg_stat",
        f"commits | {c.rows} | counted",
        f"| {c.graph_kib:g} KiB | `bench.cloud`",
        f"| {c.wal_bytes:,.0f} bytes | `pg_current_wal_lsn()`",
        f"| {c.journal_bytes:,.0f} bytes | `pg_total_relation_size()`",
        f"{CLOUD.upstream.rate:,.0f} messages/s",
    ]
    assert [text for text in said if text not in GUIDE] == []
