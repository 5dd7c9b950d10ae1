"""Clocks that are set, an owner that cannot write, statements that fail, slow commits."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

from tests.campaigns.chaos.clocks import CLOCKS, SEEN_SECONDS
from tests.campaigns.chaos.lab import PROMISED_SECONDS, Lab
from tests.campaigns.chaos.marks import Mark
from tests.campaigns.chaos.nemeses.process import kill
from tests.campaigns.chaos.nemesis import an_owner, nemesis
from tests.campaigns.chaos.network import LINK
from warouter.store.locks import ALIVE

HOURS = (-3 * 3600.0, -60.0, 60.0, 3 * 3600.0)
LOOK_SECONDS = 0.1
_NOT_BEATING = """
select pg_terminate_backend(pid) from pg_stat_activity a
 where datname = current_database() and application_name like 'wa:%:localhost:' || $1
   and not exists (select from pg_locks l
                    where l.pid = a.pid and l.locktype = 'advisory' and l.classid = $2)"""
# Installed once; what they do is a row. An error or a wait stands for what a disk may do.
_HARDSHIP = """
create table if not exists public.hardship (fails float8, seconds float8);
insert into public.hardship select 0, 0 where not exists (select from public.hardship);
create or replace function public.befalls() returns trigger language plpgsql security definer as $$
declare
    h public.hardship := (select h from public.hardship h);
begin
    if random() < h.fails then
        raise exception 'chaos: no space left' using errcode = '53100';
    end if;
    perform pg_sleep(h.seconds);
    return null;
end $$;
create or replace trigger hardship after insert on message
    for each statement execute function public.befalls();
create or replace trigger hardship after insert on event
    for each statement execute function public.befalls();
create or replace trigger hardship after update on send_cursor
    for each statement execute function public.befalls();
create or replace trigger hardship after insert on owner_log
    for each statement execute function public.befalls();
"""


@nemesis(CLOCKS, of=[an_owner])
async def step_database_clock(lab: Lab, mark: Mark) -> None:
    """Its clock is set while recipients are parked, an owner is killed, and it is set right."""
    async with lab.switched(**lab.door.parks):
        await asyncio.sleep(1.0)
        ahead = lab.random.choice(HOURS)
        lab.hosts.clock("postgres", ahead)
    await asyncio.sleep(SEEN_SECONDS)
    (row,) = await lab.database.sql("select extract(epoch from clock_timestamp())::float8 as now")
    if abs(row["now"] - time.time() - ahead) > SEEN_SECONDS + PROMISED_SECONDS:
        mark.wrong.append("the clock was not set")
    await kill(lab, mark)
    lab.hosts.clock("postgres", 0.0)
    await asyncio.sleep(SEEN_SECONDS)


async def _anybody(lab: Lab) -> list[str]:
    role = lab.random.choice(("coreapp", "master", "webapp"))
    return await an_owner(lab) if role == "coreapp" else [lab.running(role)[0].name]


@nemesis(CLOCKS, of=[_anybody])
async def step_node_clock(lab: Lab, mark: Mark) -> None:
    """The clock of a coreapp, a master or a webapp is set, and set right."""
    for ahead in (lab.random.choice(HOURS), 0.0):
        lab.hosts.clock(*mark.victims, ahead)
        await asyncio.sleep(SEEN_SECONDS)


@nemesis(LINK, of=[an_owner])
async def cannot_write(lab: Lab, mark: Mark) -> None:
    """pg_hba.conf refuses an owner's address: it beats on and writes nothing, others can."""
    (name,) = mark.victims
    server = lab.cluster.postgres
    assert server is not None
    rules = server.folder / "pg_hba.conf"
    before = rules.read_text()
    try:
        rules.write_text(f"host all all {lab.network.database_host(name)}/32 reject\n{before}")
        await lab.database.sql("select pg_reload_conf()")
        await asyncio.sleep(0.2)
        await lab.database.sql(_NOT_BEATING, name, ALIVE)
        await _owns_nothing(lab, name, mark)
    finally:
        rules.write_text(before)
        await lab.database.sql("select pg_reload_conf()")


@nemesis()
async def failing_statements(lab: Lab, _mark: Mark) -> None:
    """A fifth of what is written fails, as on a full disk."""
    async with _hardship(lab, fails=0.2):
        await asyncio.sleep(2.5)


@nemesis(of=[an_owner])
async def slow_commits(lab: Lab, mark: Mark) -> None:
    """What is written takes more than a second, and an owner is killed meanwhile."""
    async with _hardship(lab, seconds=1.2):
        await asyncio.sleep(1.0)
        await kill(lab, mark)


async def _owns_nothing(lab: Lab, name: str, mark: Mark) -> None:
    """Wait until it owns no slot but those that left an owner in trouble within the last minute.

    The leader lets those rest: a slot moves for trouble once a minute at most.
    """
    (row,) = await lab.database.sql("select moved_lately() as slots")
    for _ in range(int(PROMISED_SECONDS / LOOK_SECONDS)):
        if not (await lab.database.owners()).get(name, {}).keys() - set(row["slots"]):
            return
        await asyncio.sleep(LOOK_SECONDS)
    mark.wrong.append(f"I15: {name} cannot write and owns its slots")


@contextlib.asynccontextmanager
async def _hardship(lab: Lab, fails: float = 0.0, seconds: float = 0.0) -> AsyncIterator[None]:
    await lab.database.script(_HARDSHIP)
    await lab.database.sql("update public.hardship set fails = $1, seconds = $2", fails, seconds)
    try:
        yield
    finally:
        await lab.database.sql("update public.hardship set fails = 0, seconds = 0")
