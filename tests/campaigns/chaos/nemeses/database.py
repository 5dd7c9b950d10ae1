"""PostgreSQL that dies, restarts, stalls, or ends sessions; a snapshot that somebody keeps."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time

from tests.campaigns.chaos.lab import Lab, children_of
from tests.campaigns.chaos.marks import Mark
from tests.campaigns.chaos.nemesis import a_webapp, an_owner, nemesis

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


@nemesis()
async def kill_postgres(lab: Lab, mark: Mark) -> None:
    """SIGKILL of the postmaster; it is started again at once."""
    await _bounce(lab, mark, signal.SIGKILL)


@nemesis()
async def restart_postgres(lab: Lab, mark: Mark) -> None:
    """A fast shutdown and a start."""
    await _bounce(lab, mark, signal.SIGINT)


@nemesis()
async def stall_postgres(lab: Lab, mark: Mark) -> None:
    """Every process of the server stands still for 2 s."""
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


@nemesis(of=[an_owner])
async def end_sessions_of_owner(lab: Lab, mark: Mark) -> None:
    """pg_terminate_backend of all sessions of a living owner, three times."""
    for _ in range(3):
        await end_sessions(lab, *mark.victims)
        await asyncio.sleep(0.3)


@nemesis(of=[a_webapp])
async def end_sessions_of_webapp(lab: Lab, mark: Mark) -> None:
    """The same of a webapp."""
    await end_sessions(lab, *mark.victims)


@nemesis()
async def end_leader_session(lab: Lab, _mark: Mark) -> None:
    """The session that holds the leader's lock, three times."""
    for _ in range(3):
        await lab.sql(_LEADER_LOCK)
        await asyncio.sleep(0.3)


@nemesis(of=[an_owner])
async def stall_statements(lab: Lab, mark: Mark) -> None:
    """What an owner had sent to the database is executed after its slots were taken over."""
    (name,) = mark.victims
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


async def end_sessions(lab: Lab, name: str) -> None:
    """All that this process has."""
    await lab.sql(_SESSIONS, name)


def _signal(pid: int, number: signal.Signals) -> None:
    """A backend may have ended since it was listed."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


async def _bounce(lab: Lab, mark: Mark, how: signal.Signals) -> None:
    server = lab.cluster.postgres
    assert server is not None
    await asyncio.to_thread(server.stop, how)
    await asyncio.to_thread(server.start)
    mark.accepts = time.monotonic()
