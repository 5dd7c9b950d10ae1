"""Coreapps that beat and cannot write their journals: their slots move to one that can.

Each coreapp has a database role of its own; the faults are PostgreSQL's: a right is taken away, a
second connection is refused by the role's limit, or by ``pg_hba.conf``.
"""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from pathlib import Path

import asyncpg

from tests.cluster.conftest import CALM, Start, lived_through
from tests.harness.facts import Facts
from warouter.local.cluster import Cluster
from warouter.local.process import Process

_CANNOT = "select count(*) from beat b join node using (incarnation) where name = '{}' and {}"


async def test_who_cannot_write_owns_nothing(start: Start) -> None:
    life = lived_through(start, shards=2, coreapps=4, environment=CALM)
    async with life as (cluster, business, facts):
        await _roles(cluster, facts)
        business.start()
        await business.more(100)
        owners = await _owners(facts)
        before = await facts.connection.fetchval(
            "select count(*) from owner_log where from_incarnation = any ($1)", owners
        )
        first, second = [await facts.process_of(owner) for owner in owners]
        lame = next(p for p in _coreapps(cluster) if p not in (first, second))

        # A spare without a right is none: it is not given what moves next.
        await _without_a_right(facts, lame)
        await _said(facts, lame)
        await _refused_by_hba(facts, first)
        moved = await facts.until(lambda m: m.slots[0].owner != owners[0])
        heir = await facts.process_of(moved.slots[0].owner)
        assert heir not in (first, second, lame)
        await business.more(100)

        # The next one has a single connection left: the one of its beats.
        await _at_its_limit(facts, second)
        await facts.until(lambda m: m.slots[1].owner != owners[1])
        await facts.until(lambda m: m.settled)
        assert {await facts.process_of(s.owner) for s in (await facts.map()).slots} == {heir}
        await business.more(200)
        log = await facts.connection.fetch(
            "select reason from owner_log where from_incarnation = any ($1) order by id", owners
        )
        moves = Counter(row["reason"] for row in log[before:])
        assert moves.keys() <= {"journal", "renew"}
        assert moves["journal"] == 32
        assert all(p.restarts == 1 for p in _coreapps(cluster))  # by _roles, and by nothing else


def _coreapps(cluster: Cluster) -> list[Process]:
    return [p for p in cluster.processes.values() if p.role == "coreapp"]


def _role(process: Process) -> str:
    return process.name.replace("-", "_")


async def _roles(cluster: Cluster, facts: Facts) -> None:
    """Give each coreapp a role of its own, and start it anew with that."""
    schema = cluster.settings.db_schema
    run = facts.connection.execute
    for process in _coreapps(cluster):
        role = _role(process)
        await run(f"create role {role} login in role pg_signal_backend")
        await run(f"grant usage on schema {schema} to {role}")
        for kind in ("tables", "sequences", "functions"):
            await run(f"grant all on all {kind} in schema {schema} to {role}")
    await run(f"revoke execute on all functions in schema {schema} from public")
    for process in _coreapps(cluster):
        process.environment["WA_DB_USERNAME"] = _role(process)
        process.kill(signal.SIGKILL)
    await facts.until_some(
        "select count(*) = 4 from node n join beat using (incarnation) where role = 'coreapp' and"
        " exists (select 1 from pg_stat_activity a where usename like 'coreapp%' and"
        " a.application_name like 'wa:' || replace(n.incarnation::text, '-', '') || '%')"
    )
    await facts.until(
        lambda m: m.settled and len({s.owner for s in m.slots}) == 2 and m.slots[0].epoch > 1
    )
    await _joined(facts)


async def _joined(facts: Facts) -> None:
    """Until both owners are of the new roles."""
    await facts.until_some(
        "select count(*) = 32 from slot s where successor is null and exists (select 1 from"
        " pg_stat_activity a where usename like 'coreapp%' and a.application_name like"
        " 'wa:' || replace(s.owner::text, '-', '') || '%')"
    )


async def _owners(facts: Facts) -> list[object]:
    """Those of slot 0 and slot 1."""
    return [slot.owner for slot in (await facts.map()).slots[:2]]


async def _said(facts: Facts, process: Process) -> None:
    await facts.until_some(_CANNOT.format(f"localhost:{process.name}", "not journal_ok"))


async def _without_a_right(facts: Facts, process: Process) -> None:
    functions = await facts.connection.fetch(
        "select oid::regprocedure::text as f from pg_proc where proname = 'append_messages'"
    )
    for row in functions:
        await facts.connection.execute(
            f"revoke execute on function {row['f']} from {_role(process)}"
        )


async def _refused_by_hba(facts: Facts, process: Process) -> None:
    hba = Path(await facts.connection.fetchval("show hba_file"))
    await asyncio.to_thread(_refuse, hba, _role(process))
    await facts.connection.execute("select pg_reload_conf()")
    await _journals_ended(facts.connection, process)


def _refuse(hba: Path, role: str) -> None:
    refusal = f"local all {role} reject\nhost all {role} all reject\n"
    hba.write_text(refusal + hba.read_text())


async def _at_its_limit(facts: Facts, process: Process) -> None:
    await facts.connection.execute(f"alter role {_role(process)} connection limit 1")
    await _journals_ended(facts.connection, process)


async def _journals_ended(connection: asyncpg.Connection, process: Process) -> None:
    """All sessions of the process but that of its beats, which holds the lock of the living."""
    await connection.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity a where usename = $1 and not exists"
        " (select 1 from pg_locks l where l.pid = a.pid and locktype = 'advisory' and objsubid = 2"
        " and mode = 'ExclusiveLock')",
        _role(process),
    )
