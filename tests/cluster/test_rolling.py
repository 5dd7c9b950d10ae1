"""Processes that are told to stop: nobody who uses the API notices.

Each of them in turn under load is in ``test_upgrade.py``, changes of size are in the campaign.
"""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from math import inf
from typing import Any, NamedTuple

import pytest
import pytest_asyncio

from tests.cluster.conftest import CALM, ONE, own_port, running, unharmed
from tests.harness import mutants
from tests.harness.business import Business
from tests.harness.facts import Facts
from tests.harness.frozen import frozen
from warouter.lab.demo.gaps import Arrival, longest_gap
from warouter.local.cluster import Cluster
from warouter.local.options import Placement, here
from warouter.local.process import Process

pytestmark = pytest.mark.asyncio(loop_scope="module")

EXIT_SECONDS = 5.0  # promised for every process told to stop by SIGTERM
PAUSE_SECONDS = float(CALM["WAROUTER_HOLD"])  # far above what is measured: clients are held so long
BODY = b'{"to":"4915112345678","type":"text","text":{"body":"hello"}}'

LACKS = {"webapp-1": "queue_is_reset", "webapp-2": "leave_at_once"}


def lacking(name: str, _role: str) -> Placement:
    """Webapps of builds that lack a mechanism, each another one."""
    return Placement(program=mutants.program(LACKS[name])) if name in LACKS else Placement()


class Site(NamedTuple):
    """A cluster and a client of its API; ``found``: its webapps lack what tests look for."""

    cluster: Cluster
    business: Business
    found: bool


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def shared(request: pytest.FixtureRequest) -> AsyncIterator[Site]:
    """Nobody dies here, so that a lease may be long: who waits for its end is found out."""
    place = lacking if request.param == "mutant" else here
    environment = {"WAROUTER_LEASE": "9", "WAROUTER_HOLD": "60"}
    options = {**ONE, "webapps": 2, "masters": 2, "environment": environment, "place": place}
    async with running(rate=100.0, **options) as (cluster, business):
        yield Site(cluster, business, place is lacking)


@pytest_asyncio.fixture(loop_scope="module")
async def site(shared: Site) -> AsyncIterator[Site]:
    """Whoever a test tells to stop runs again afterwards."""
    yield shared
    for process in shared.cluster.processes.values():
        if not process.alive:
            await shared.cluster.again(process)


PRODUCT, MUTANT = (
    pytest.param(name, marks=pytest.mark.xdist_group(f"rolling-{name}"))
    for name in ("product", "mutant")
)
product = pytest.mark.parametrize("shared", [PRODUCT], indirect=True)
both = pytest.mark.parametrize("shared", [PRODUCT, MUTANT], indirect=True)


async def stopped(process: Process) -> float:
    """Told to stop; it must end by itself. The seconds that it took: the campaign judges them."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    code = await process.stop()
    took = loop.time() - began
    assert code == 0, (process.name, code, took)  # before it would have been killed
    if took > EXIT_SECONDS:
        print(f"{process.name}: exit after {took:.2f} s, promised are {EXIT_SECONDS:g}")
    return took


def drain_was_cut(business: Business) -> bool:
    """An owner said that it waited for answers in vain, as on a machine that stands still."""
    processes = business.cluster.processes.values()
    return any(
        "handover wait timed out" in p.log.read_text() for p in processes if p.role == "coreapp"
    )


async def unnoticed(business: Business) -> None:
    """Nobody who uses the API has noticed, nor had the upstream to drop a repeat."""
    await unharmed(business)
    record = await business.record()
    assert record["repeats"] == 0 or drain_was_cut(business)
    arrivals = [Arrival(*arrival) for arrival in record["arrivals"]]
    pause = longest_gap(arrivals, business.busy_slots, -inf, inf)
    print(f"longest pause of a slot: {pause:.3f} s")
    assert pause
    assert pause < PAUSE_SECONDS


@product
async def test_a_leader_told_to_stop_lets_the_next_one_lead_at_once(site: Site) -> None:
    async with Facts(site.cluster) as facts:
        leader = await facts.leader()
        loop = asyncio.get_running_loop()
        await stopped(leader)
        began = loop.time()
        while (new := await facts.leader()) is leader:
            await facts.hint(0.02)
        print(f"the next leader after {loop.time() - began:.3f} s")
        assert new.alive
        # Far below a lease, after which it would have been taken for dead.
        assert loop.time() - began < 5.0


@both
async def test_queued_connections_are_answered_before_the_port_closes(site: Site) -> None:
    """A closed listening socket resets what is queued, though another webapp has the port too."""
    cluster = site.cluster
    webapps = [cluster.processes[name] for name in LACKS]
    for webapp in webapps:
        webapp.kill(signal.SIGSTOP)  # so that connections are queued, and nobody accepts them
    # More than are accepted in the turns of the loop until it has heard its SIGTERM.
    queued = [await asyncio.open_connection("127.0.0.1", cluster.port) for _ in range(240)]
    for _, writer in queued:
        writer.write(request(site.business))
    stopping = asyncio.create_task(stopped(webapps[0]))
    await asyncio.sleep(0)  # its SIGTERM is sent and waits for the process to go on
    for webapp in webapps:
        webapp.kill(signal.SIGCONT)
    answers = [await answer(reader) for reader, _ in queued]
    last = sum(a is None or a.last for a in answers)
    assert 0 < last < len(queued)  # some were queued at the one that stopped, some at the other
    assert (None in answers) == site.found
    assert {a.status for a in answers if a} == {201}
    await stopping
    for _, writer in queued:
        writer.close()


@both
async def test_a_connection_that_is_kept_alive_is_told_to_close(site: Site) -> None:
    webapp, port = site.cluster.processes["webapp-2"], own_port(site.cluster, 2)
    busy = await asyncio.open_connection("127.0.0.1", port)
    idle = await asyncio.open_connection("127.0.0.1", port)
    for reader, writer in (busy, idle):
        writer.write(request(site.business))
        first = await answer(reader)
        assert first
        assert (first.status, first.last) == (201, False)
    stopping = asyncio.create_task(stopped(webapp))
    await until_refused(port)
    # A request that was on its way when the webapp was told to stop.
    busy[1].write(request(site.business))
    second = await answer(busy[0])
    if site.found:
        assert second is None
    else:
        assert second
        assert (second.status, second.last) == (201, True)
        assert await busy[0].read() == await idle[0].read() == b""
    await stopping
    for _, writer in (busy, idle):
        writer.close()


@product
async def test_held_requests_are_answered_before_a_webapp_ends(site: Site) -> None:
    """No coreapp is left, so the request waits for its shard: an answer, and no reset."""
    cluster = site.cluster
    async with Facts(cluster) as facts:
        await stopped(cluster.processes["coreapp-1"])
        await facts.until(lambda m: all(s.owner is None for s in m.slots))
        reader, writer = await asyncio.open_connection("127.0.0.1", own_port(cluster, 1))
        writer.write(request(site.business))
        stopping = asyncio.create_task(stopped(cluster.processes["webapp-1"]))
        last = await answer(reader)
        assert last
        assert (last.status, last.last) == (503, True)
        assert last.body["errors"][0]["code"] == 1011
        await stopping
        writer.close()


@product
async def test_a_database_that_hangs_keeps_no_process_from_ending(shared: Site) -> None:
    """The last one: nobody runs afterwards."""
    cluster, business, _ = shared
    assert cluster.postgres is not None
    async with Facts(cluster) as facts:
        business.start()
        await business.more(100)
        rows = await facts.connection.fetch("select pid from pg_stat_activity")
        with frozen([cluster.postgres.pid, *(row["pid"] for row in rows)]):
            for role in ("webapp", "coreapp", "master"):
                some = [p for p in cluster.processes.values() if p.role == role]
                for process, took in zip(some, await together(some), strict=True):
                    print(f"{process.name}: exit after {took:.2f} s")
                business.end()  # nothing listens any more
        # What was open was answered: afterwards nothing listens any more.
        assert {status for _, status, _ in business.history.errors} <= {503}
        unknown = [why for _, _, why in business.history.unknown]
        assert [why for why in unknown if "ConnectorError" not in why] == []


async def together(processes: list[Process]) -> list[float]:
    return await asyncio.gather(*(stopped(p) for p in processes))


def request(business: Business) -> bytes:
    lines = [
        "POST /v1/messages HTTP/1.1",
        "Host: x",
        f"Authorization: {business.headers['Authorization']}",
        f"Content-Length: {len(BODY)}",
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + BODY


class Answer(NamedTuple):
    status: int
    body: Any
    last: bool  # it says that the connection ends with it


async def answer(reader: asyncio.StreamReader) -> Answer | None:
    """The answer, or None if the connection was closed or reset instead."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.split("content-length: ")[1].split("\r\n")[0])
        body = json.loads(await reader.readexactly(length))
    except (ConnectionError, asyncio.IncompleteReadError):
        return None
    return Answer(int(head.split(" ")[1]), body, "connection: close" in head)


async def until_refused(port: int) -> None:
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            return
        writer.close()
        await asyncio.sleep(0.01)
