"""PostgreSQL that dies, restarts, stalls, or ends sessions; a snapshot that somebody keeps."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time

from tests.campaigns.chaos.lab import Lab, children_of
from tests.campaigns.chaos.marks import Mark
from tests.campaigns.chaos.nemesis import an_owner, begin, healed, nemesis

_SESSIONS = """
select pg_terminate_backend(pid) from pg_stat_activity
 where datname = current_database() and application_name like 'wa:%:localhost:' || $1"""
_BACKENDS = """
select pid from pg_stat_activity
 where datname = current_database() and application_name like 'wa:%:localhost:' || $1"""
_LEADER_LOCK = """
select pg_terminate_backend(pid) from pg_locks
 where locktype = 'advisory' and classid = 7701 and granted"""
_LAST_STATEMENTS_SECONDS = 0.3
_LEASE_AND_MORE_SECONDS = 3.0


@nemesis("kill-postgres")
async def kill_postgres(lab: Lab) -> Mark:
    """SIGKILL of the postmaster; it is started again at once."""
    return await _bounce(lab, "kill-postgres", signal.SIGKILL)


@nemesis("restart-postgres")
async def restart_postgres(lab: Lab) -> Mark:
    """A fast shutdown and a start."""
    return await _bounce(lab, "restart-postgres", signal.SIGINT)


@nemesis("stall-postgres")
async def stall_postgres(lab: Lab) -> Mark:
    """Every process of the server stands still for 2 s."""
    mark = await begin(lab, "stall-postgres")
    server = lab.cluster.postgres
    assert server is not None
    pids = [server.pid, *children_of(server.pid)]
    try:
        for pid in pids:
            _signal(pid, signal.SIGSTOP)
        await asyncio.sleep(2.0)
    finally:
        for pid in reversed(pids):
            _signal(pid, signal.SIGCONT)
    mark.accepts = time.monotonic()
    return healed(mark)


@nemesis("end-sessions-of-owner")
async def end_sessions_of_owner(lab: Lab) -> Mark:
    """pg_terminate_backend of all sessions of a living owner, three times."""
    name = await an_owner(lab)
    mark = await begin(lab, "end-sessions-of-owner", [name])
    for _ in range(3):
        await end_sessions(lab, name)
        await asyncio.sleep(0.3)
    return healed(mark)


@nemesis("end-sessions-of-webapp")
async def end_sessions_of_webapp(lab: Lab) -> Mark:
    """The same of a webapp."""
    name = lab.random.choice(lab.running("webapp")).name
    mark = await begin(lab, "end-sessions-of-webapp", [name])
    await end_sessions(lab, name)
    return healed(mark)


@nemesis("end-leader-session")
async def end_leader_session(lab: Lab) -> Mark:
    """The session that holds the leader's lock, three times."""
    mark = await begin(lab, "end-leader-session")
    for _ in range(3):
        await lab.sql(_LEADER_LOCK)
        await asyncio.sleep(0.3)
    return healed(mark)


@nemesis("stall-statements")
async def stall_statements(lab: Lab) -> Mark:
    """What an owner had sent to the database is executed after its slots were taken over."""
    name = await an_owner(lab)
    mark = await begin(lab, "stall-statements", [name])
    pids = [row["pid"] for row in await lab.sql(_BACKENDS, name)]
    try:
        for pid in pids:
            _signal(pid, signal.SIGSTOP)
        await asyncio.sleep(_LAST_STATEMENTS_SECONDS)
        lab.process(name).kill(signal.SIGKILL)
        await asyncio.sleep(_LEASE_AND_MORE_SECONDS)
    finally:
        for pid in pids:
            _signal(pid, signal.SIGCONT)
    return healed(mark)


async def end_sessions(lab: Lab, name: str) -> None:
    """All that this process has."""
    await lab.sql(_SESSIONS, name)


def _signal(pid: int, number: signal.Signals) -> None:
    """A backend may have ended since it was listed."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


async def _bounce(lab: Lab, kind: str, how: signal.Signals) -> Mark:
    mark = await begin(lab, kind)
    server = lab.cluster.postgres
    assert server is not None
    await asyncio.to_thread(server.stop, how)
    await asyncio.to_thread(server.start)
    mark.accepts = time.monotonic()
    return healed(mark)
