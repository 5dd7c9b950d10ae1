"""What the first page and Failovers read of a real database, and what becomes of it as HTML."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import msgspec
import pytest
import pytest_asyncio

from warouter.config import Settings
from warouter.console.context import ConsoleContext
from warouter.console.form import Form
from warouter.console.pages import cluster, failovers
from warouter.console.render import Renderer
from warouter.console.visit import ConsoleRefusal, ReadingKey, Visitor
from warouter.metrics import Sample
from warouter.node.console import context_of
from warouter.store import locks
from warouter.store.database import application_name, connect
from warouter.store.reports import ReportBody

MASTER, A, B, C, WEBAPP = (uuid4() for _ in range(5))
NODES = {
    MASTER: ("h:master-1", "master"),
    A: ("h:coreapp-1", "coreapp"),
    B: ("h:coreapp-2", "coreapp"),
    C: ("h:coreapp-3", "coreapp"),
    WEBAPP: ("h:webapp-1", "webapp"),
}
HOSTILE = "<img src=x onerror=alert(1)>\N{RIGHT-TO-LEFT OVERRIDE}"
VISITOR = Visitor("admin", True, b"", "127.0.0.1")


class Nodes:
    """Rows of nodes, with the sessions by which they are judged."""

    def __init__(self, settings: Settings, pool: asyncpg.Pool) -> None:
        self._settings, self._pool = settings, pool
        self._sessions: dict[UUID, asyncpg.Connection] = {}

    async def register(self, incarnation: UUID, name: str, role: str) -> None:
        await self._pool.execute(
            "select register_node($1,$2,$3,'h',6250,null,null,'9.9','xxh64',1,4711,'simulator','')",
            incarnation,
            name,
            role,
        )
        own = await connect(self._settings, application_name(incarnation, name))
        await own.fetchval(
            "select pg_advisory_lock($1, hashtext($2))", locks.ALIVE, incarnation.hex
        )
        self._sessions[incarnation] = own

    async def report(self, incarnation: UUID, *samples: Sample) -> None:
        name, role = NODES[incarnation]
        body = msgspec.json.encode(ReportBody([*samples])).decode()
        await self._pool.execute(
            "select write_report($1, $2, $3, $4::jsonb)", incarnation, name, role, body
        )

    async def kill(self, incarnation: UUID) -> None:
        await self._sessions.pop(incarnation).close()

    async def close(self) -> None:
        for incarnation in list(self._sessions):
            await self.kill(incarnation)


@pytest_asyncio.fixture
async def nodes(settings: Settings, pool: asyncpg.Pool) -> AsyncIterator[Nodes]:
    """Two shards of A and B, C to spare; all report."""
    made = Nodes(settings, pool)
    for incarnation, (name, role) in NODES.items():
        await made.register(incarnation, name, role)
        await made.report(incarnation)
    await pool.execute("update term set term = 7, incarnation = $1, won_at = now()", MASTER)
    await pool.execute("update shard_map set shards = 2, version = 5")
    for slot in range(32):
        await pool.execute(
            "select change_owner($1::smallint, $2, 7, 'unowned', 0, 0)", slot, (A, B)[slot % 2]
        )
    yield made
    await made.close()


@pytest_asyncio.fixture
async def context(
    settings: Settings, pool: asyncpg.Pool, nodes: Nodes
) -> AsyncIterator[ConsoleContext]:
    made = context_of(settings, pool)
    yield made
    await made.api.close()


async def first_page(context: ConsoleContext, **query: str) -> dict[str, Any]:
    context.latest.forget()
    return await cluster.read(context, ReadingKey({}, query, True))


def shown(page: str, values: dict[str, Any]) -> str:
    """The text of the part that is streamed."""
    text = Renderer(str).live(f"pages/{page}.html", {**values, "admin": True})
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", text)))


async def test_all_is_well(context: ConsoleContext) -> None:
    values = await first_page(context)
    assert values["verdict"].sentence == (
        "All is well: 2 coreapps own the 32 slots, h:master-1 leads, and no alert is on."
    )
    assert [cell.text for cell in values["cells"]] == ["A", "B"] * 16
    states = {row.node.name: (row.letter, row.state, row.slots) for row in values["nodes"]}
    assert states["h:coreapp-1"] == ("A", "alive", "0, 2 .. 30")
    assert states["h:coreapp-3"] == ("C", "alive", "")
    assert states["h:webapp-1"] == ("", "alive", "")
    text = shown("cluster", values)
    for word in ("All is well", "h:coreapp-2", "Term", "0.7", "Map version"):
        assert word in text


async def test_a_dead_owner_shows_at_once_and_its_successor_with_the_takeover(
    context: ConsoleContext, nodes: Nodes, pool: asyncpg.Pool
) -> None:
    await nodes.kill(A)
    values = await first_page(context)
    assert all(cell.lost == (cell.slot % 2 == 0) for cell in values["cells"])
    assert [a.name for a, _ in values["alerts"]] == ["NoSpareCoreapp"]
    assert values["verdict"].level == "warn"
    for slot in range(0, 32, 2):
        await pool.execute("select change_owner($1::smallint, $2, 7, 'dead', 90, 0)", slot, C)
    await pool.execute("update slot set successor = $1 where slot = 1", C)
    values = await first_page(context)
    assert [cell.text for cell in values["cells"]][:4] == ["C", "B→C", "C", "B"]
    dead = next(row for row in values["nodes"] if row.node.incarnation == A)
    assert (dead.state, dead.level, dead.slots, dead.links) == ("dead", "bad", "", None)
    assert "dead" in shown("cluster", values)


async def test_alerts_read_the_figures_of_the_database(
    context: ConsoleContext, nodes: Nodes, pool: asyncpg.Pool
) -> None:
    await nodes.kill(MASTER)
    await pool.execute("update slot set owner = null where slot < 3")
    await pool.execute(
        "insert into message (slot, seq, id, recipient, body, accepted_at)"
        " values (4, 1, '\\x01', '49151', '{}', now() - interval '2 hours')"
    )
    await pool.execute("delete from report where incarnation = any ($1)", [WEBAPP, C])
    await pool.execute(
        "update node set started_at = now() - interval '1 minute' where incarnation = $1", WEBAPP
    )
    await nodes.report(A, Sample("warouter_upstream_connected", 0))
    values = await first_page(context)
    said = {alert.name: alert.sentence for alert, _ in values["alerts"]}
    assert said["SlotWithoutOwner"].startswith("3 of 32 slots have no owner")
    assert said["NoLeadingMaster"].startswith("No master leads")
    assert said["MessagesLate"] == "A message has been waiting for 2 h."
    # The coreapp has just been started.
    assert said["NoStats"] == "h:webapp-1 gives no figures (webstats)."
    assert said["UpstreamLost"] == "h:coreapp-1 has no connection to the upstream."
    assert all(alert.pending for alert, _ in values["alerts"])
    assert "the oldest for 2 h" in shown("cluster", values)


async def test_the_page_shows_the_owners_of_a_former_time(
    context: ConsoleContext, pool: asyncpg.Pool
) -> None:
    await pool.execute("update owner_log set at = at - interval '1 hour'")
    for slot in range(0, 32, 2):
        await pool.execute("select change_owner($1::smallint, $2, 7, 'dead', 90, 0)", slot, C)
    last = (await first_page(context))["status"].history[0]
    before = datetime.fromisoformat(last.at) - timedelta(minutes=1)
    then = await first_page(context, at=before.isoformat())
    assert [cell.text for cell in then["cells"]] == ["A", "B"] * 16
    now = await first_page(context, at=last.at)
    assert [cell.text for cell in now["cells"]] == ["C", "B"] * 16
    assert "Back to now" in shown("cluster", now)


@pytest.mark.parametrize(
    "at", ["rubbish", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"]
)
async def test_a_time_that_is_none_is_refused(context: ConsoleContext, at: str) -> None:
    with pytest.raises(ConsoleRefusal):
        await first_page(context, at=at)


async def test_a_preview_names_who_gives_and_who_gets(context: ConsoleContext) -> None:
    planned = (await first_page(context, shards="4"))["planned"]
    assert [(m.slots, m.many, m.owner, m.to) for m in planned.moves] == [
        ("3, 7 .. 31", 8, "h:coreapp-2", "h:coreapp-3")
    ]
    assert (planned.moving, planned.spares, planned.several) == (8, [], True)
    with pytest.raises(ConsoleRefusal, match="shards must be one of"):
        await first_page(context, shards="3")


async def test_shards_are_not_set_by_a_preview_that_is_out_of_date(
    context: ConsoleContext, pool: asyncpg.Pool
) -> None:
    form = Form({"shards": ["4"], "version": ["4"]})
    with pytest.raises(ConsoleRefusal, match="moved since the preview"):
        await cluster.set_shards(context, VISITOR, form)
    assert (form.subject, form.kept) == ("4 shards", {"shards": "4"})
    with pytest.raises(ConsoleRefusal, match="No number is registered"):
        await cluster.set_shards(context, VISITOR, Form({"shards": ["4"], "version": ["5"]}))


async def test_failovers_by_cause_with_their_pauses(
    context: ConsoleContext, pool: asyncpg.Pool
) -> None:
    for slot in range(0, 32, 2):
        await pool.execute("select change_owner($1::smallint, $2, 7, 'dead', 90, 0)", slot, C)
    await pool.execute(
        "update owner_log set opened_at = at + interval '40 ms' where reason = 'dead'"
    )
    values = await failovers.read(context, ReadingKey({}, {}, False))
    dead = values["rows"][0]
    assert (dead.slots, dead.source, dead.to) == ("0, 2 .. 30", "h:coreapp-1", "h:coreapp-3")
    assert (dead.reason, dead.silent_ms, dead.pause_ms, dead.planned) == ("dead", 90, 130, False)
    assert {bar.reason: (bar.moves, bar.slots) for bar in values["bars"]}["dead"] == (1, 16)
    text = shown("failovers", values)
    assert "the owner died, or fell silent" in text
    assert "not known" in text  # of those that nobody has opened
    only = await failovers.read(context, ReadingKey({}, {"reason": "unowned"}, False))
    assert {row.reason for row in only["rows"]} == {"unowned"}
    assert only["command"] == "warouter status --history 100 --reason unowned"


async def test_the_export_has_every_change_that_fits(context: ConsoleContext) -> None:
    file = await failovers.export(context, ReadingKey({}, {"node": "h:coreapp-2"}, False))
    changes = msgspec.json.decode(file.body)["history"]
    assert len(changes) == 16
    assert {change["to_node"] for change in changes} == {"h:coreapp-2"}


async def test_no_failover_says_what_to_do(context: ConsoleContext, pool: asyncpg.Pool) -> None:
    await pool.execute("delete from owner_log")
    text = shown("failovers", await failovers.read(context, ReadingKey({}, {}, False)))
    assert "No slot has changed its owner yet." in text


async def test_a_hostile_name_is_only_text(
    context: ConsoleContext, nodes: Nodes, pool: asyncpg.Pool
) -> None:
    evil = uuid4()
    await nodes.register(evil, HOSTILE, "coreapp")
    await pool.execute("select change_owner(0::smallint, $1, 7, 'dead', 1, 0)", evil)
    for page, values in (
        ("cluster", await first_page(context, shards="4")),
        ("failovers", await failovers.read(context, ReadingKey({}, {}, False))),
    ):
        text = Renderer(str).live(f"pages/{page}.html", {**values, "admin": True})
        assert "<img" not in text
        assert "&lt;img" in text
