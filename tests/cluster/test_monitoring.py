"""Metrics, stats and support of a real cluster, and no secret in anything it says (S19, S20)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio

from tests.cluster.conftest import running
from tests.harness import exposition
from tests.harness.business import Business
from tests.harness.canaries import CANARIES, found_in, has_no_core, provoke, said_by
from tests.harness.facts import Facts
from tests.harness.monitoring import metrics_asked_for
from tests.harness.wait import PATIENCE, soon
from warouter.local.cluster import Cluster
from warouter.store.migrations import migrations

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("monitoring")]

KEY = CANARIES["api key"]
PAGES = ("/metrics", "/v1/stats/app", "/v1/stats/db")
ALL = (*PAGES, "/v1/metrics", "/v1/stats/app/internal", "/v1/stats/db/internal")
# Their names are the product's, whatever promtool thinks of them.
PRODUCT = (
    *("api_requests_duration_ms", "callback_requests", "endpoint_requests"),
    "web_connections",
)


class Scrape:
    """One reading of pages: by name, and labels without ``node`` in their order."""

    def __init__(self, values: list[exposition.Sample]) -> None:
        self.values = values
        self.names = {value.name for value in values}

    def sum(self, name: str, **labels: str) -> float:
        return sum(
            v.value for v in self.values if v.name == name and labels.items() <= v.labels.items()
        )

    def of(self, name: str) -> dict[str, float]:
        return {v.labels["node"]: v.value for v in self.values if v.name == name}


class Unready(Exception):
    """A page was answered 503."""


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def business() -> AsyncIterator[Business]:
    environment = {
        "WA_API_KEY": KEY,
        "WA_DB_PASSWORD": CANARIES["database password"],
        "WAROUTER_LOG_LEVEL": "DEBUG",
    }
    async with running(webapps=2, environment=environment) as (_, business):
        yield business


async def text_of(business: Business, path: str, url: str = "") -> str:
    headers = {"Authorization": f"Apikey {KEY}"}
    address = f"{url or business.cluster.url}{path}?format=prometheus"
    async with business.http.get(address, headers=headers) as answer:
        if answer.status == 503:
            raise Unready(await answer.text())
        assert answer.status == 200, (path, await answer.text())
        return await answer.text()


async def scrape(business: Business, url: str = "", pages: tuple[str, ...] = PAGES) -> Scrape:
    texts = [await text_of(business, page, url) for page in pages]
    return Scrape([value for text in texts for value in exposition.read(text)])


async def until(
    business: Business, holds: Callable[[Scrape], bool], pages: tuple[str, ...] = PAGES
) -> Scrape:
    """Processes report every five seconds, so what has happened is seen a moment later."""
    seen = Scrape([])
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                with contextlib.suppress(Unready):
                    seen = await scrape(business, pages=pages)
                    if holds(seen):
                        return seen
                await asyncio.sleep(0.1)
    except TimeoutError:
        shown = [v for v in seen.values if not v.name.startswith("warouter_process")]
        raise AssertionError(f"the last reading: {shown}") from None


async def test_the_figures_of_a_cluster_under_traffic(business: Business) -> None:
    """The first one: whoever has died since has forgotten what it counted."""
    business.start(8)
    await business.more(100)
    await business.stop()
    await business.inject(5)
    await business.all_called_back()
    acked = business.history.accepted
    seen = await until(
        business,
        lambda s: (
            s.sum("endpoint_requests", method="POST_v1_messages", result="201") == acked
            and s.sum("callback_queue_size") == s.sum("pending_outgoing_messages") == 0
            and s.sum("callback_requests", type="inbound_message", result="success") > 0
            and s.sum("warouter_callback_events_total", type="inbound_message") == 5
            and s.sum("warouter_messages_answered_total") >= acked
            and s.sum("warouter_messages_unsettled") == 0
            # One that was asked for nothing has said so of a time before its links.
            and set(s.of("warouter_link_connected").values()) == {3}
        ),
    )
    assert seen.sum("warouter_messages_appended_total") == acked
    assert seen.sum("db_messages") == acked
    assert seen.sum("db_message_receipts") >= 3 * acked
    assert seen.sum("warouter_slots_owned") == 32
    assert seen.sum("warouter_master_leads") == seen.sum("warouter_leading_masters") == 1
    assert seen.sum("warouter_shards") == 2
    assert seen.sum("warouter_slots_unowned") == 0
    roles = {f"localhost:{name}": p.role for name, p in business.cluster.processes.items()}
    nodes = {node for node, role in roles.items() if role != "simulator"}
    assert set(seen.of("warouter_build_info")) == set(seen.of("warouter_node_alive")) == nodes
    assert set(seen.of("warouter_node_alive").values()) == {1}
    assert set(seen.of("web_uptime")) == {n for n, role in roles.items() if role == "webapp"}
    assert set(seen.of("warouter_database_up").values()) == {1}
    assert all(value > 1e6 for value in seen.of("warouter_process_resident_memory_bytes").values())
    # Whatever dashboard and rules ask for is there, but for what the Cloud API brings about.
    asked = {name for name in metrics_asked_for() if not name.startswith("warouter_cloud_")}
    assert asked <= seen.names
    for path in ALL:
        await check_format(business, path)
    await check_support(business)


async def check_format(business: Business, path: str) -> None:
    """Both forms say the same."""
    text = await text_of(business, path)
    content: Any = await business.call("GET", path)
    keys = ["metrics"] if path.endswith("metrics") else path.split("/")[2:]
    for key in keys:
        content = content[key]
    assert set(content) == {value.name for value in exposition.read(text)}


@pytest.mark.program("promtool")
async def test_promtool_has_nothing_to_say_of_ours(business: Business) -> None:
    await until(business, lambda s: "warouter_build_info" in s.names, ALL)
    for path in ALL:
        said = exposition.promtool_complaints(await text_of(business, path))
        assert [line for line in said if not line.startswith(PRODUCT)] == []


async def check_support(business: Business) -> None:
    nodes = (await business.call("GET", "/v1/support"))["support"]
    shards = sorted(str(node["shards"]) for node in nodes.values())
    assert shards == ["[[-1, -1]]", "[[0, 0]]", "[[1, 1]]", "[]", "[]"]
    for node in nodes.values():
        assert node["debug_info"] == "16315550000"
        assert node["os_name"]
        assert node["free_space_data"] > 0
        assert node["schema"]["message"] == migrations()[-1].version
        assert "WA_API_KEY_FILE=***" in node["env"]  # where `warouter up` keeps it
        assert node["socket_conn"] == ("UP" if node["role"] == "coreapp" else "UNK")


async def test_deaths_are_seen(business: Business) -> None:
    cluster = business.cluster
    async with Facts(cluster) as facts:
        before = await scrape(business)
        taken = before.sum("warouter_owner_changes_total", reason="dead")
        victim = await facts.process_of((await facts.map()).slots[0].owner)
        victim.kill(signal.SIGKILL)
        await until(
            business,
            lambda s: (
                s.sum("warouter_owner_changes_total", reason="dead") == taken + 16
                and s.sum("warouter_slots_owned") == 32
            ),
        )
        masters = [p for p in cluster.processes.values() if p.role == "master"]
        for master in masters:
            master.kill(signal.SIGSTOP)
        await until(business, lambda s: s.sum("warouter_leading_masters") == 0)
        for master in masters:
            master.kill(signal.SIGCONT)
        await until(business, lambda s: s.sum("warouter_leading_masters") == 1)


# ---------------------------------------------------------------- secrets


async def test_no_secret_is_told(business: Business) -> None:
    cluster = business.cluster
    refused = await provoke(business)
    business.start(4)
    await business.more(20)
    # What goes wrong is logged too: the webhook, the database, an owner.
    business.refuse = 0.5
    async with Facts(cluster) as facts:
        keys = [
            row[0]
            for row in await facts.connection.fetch(
                "select link_key from node where link_key is not null"
            )
        ]
        victim = await facts.process_of((await facts.map()).slots[0].owner)
        victim.kill(signal.SIGKILL)
        await business.more(20)
    await business.stop()
    assert cluster.postgres is not None
    await asyncio.to_thread(cluster.postgres.stop)
    async with business.http.get(cluster.url + "/v1/health", headers=business.headers) as answer:
        assert answer.status in (401, 503)
    await asyncio.to_thread(cluster.postgres.start)
    await until(business, lambda s: s.sum("warouter_slots_owned") == 32)
    pages = {f"{path} for key": (await text_of(business, path)).encode() for path in ALL}
    pages |= {
        f"{path} for admin": json.dumps(await business.call("GET", path)).encode()
        for path in ("/v1/support", "/v1/health", "/v1/settings/application")
    }

    token = business.headers["Authorization"].removeprefix("Bearer ")
    secrets = {**CANARIES, "admin's password": cluster.password, "token": token}
    told = {name: value.encode() for name, value in secrets.items()}
    told |= {f"link key {n}": key.hex().encode() for n, key in enumerate(keys)}
    places = said_by(cluster.folder) | pages
    assert sum(place.endswith(".log") for place in places) >= 7
    assert found_in(places, told.items()) == set()
    # What a client said is quoted back to itself at most, and never a secret.
    quoted = [each for each in told.items() if each[0] not in ("text", "recipient")]
    assert found_in({"refusals": b"\n".join(refused)}, quoted) == set()
    await check_processes(cluster)


async def check_processes(cluster: Cluster) -> None:
    processes = [p for p in cluster.processes.values() if p.role != "simulator"]
    # One that was restarted a moment ago may be at its imports still.
    await soon(lambda: all(has_no_core(process.pid) for process in processes))
    for process in processes:
        for line in process.log.read_text().splitlines():
            # One event a line; a start without a database says one sentence to whoever started it.
            assert line.startswith("Error: ") or json.loads(line)["event"], process.name
