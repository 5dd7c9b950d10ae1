"""PostgreSQL that dies, restarts, stalls, or ends sessions; a snapshot that somebody keeps."""

from __future__ import annotations

import asyncio
import signal
import time

from tests.campaigns.chaos.lab import Lab
from tests.campaigns.chaos.machine import children_of
from tests.campaigns.chaos.marks import Mark
from tests.campaigns.chaos.nemesis import Act, a_webapp, an_owner, fault, nemesis, repeated
from tests.harness.frozen import frozen

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


def bounce(how: signal.Signals) -> Act:
    """The server ends by this signal, and is started again at once."""

    async def bounced(lab: Lab, mark: Mark) -> None:
        server = lab.cluster.postgres
        assert server is not None
        await asyncio.to_thread(server.stop, how)
        await asyncio.to_thread(server.start)
        mark.accepts = time.monotonic()

    return bounced


async def end_sessions(lab: Lab, mark: Mark) -> None:
    """pg_terminate_backend of all that the victim has, while it lives."""
    await lab.database.sql(_SESSIONS, *mark.victims)


async def end_lock_holder(lab: Lab, _mark: Mark) -> None:
    """The session that holds the leader's lock."""
    await lab.database.sql(_LEADER_LOCK)


FAULTS = (
    fault("kill-postgres", bounce(signal.SIGKILL)),
    fault("restart-postgres", bounce(signal.SIGINT)),  # a fast shutdown
    fault("end-sessions-of-owner", repeated(3, end_sessions, pause=0.3), of=[an_owner]),
    fault("end-sessions-of-webapp", end_sessions, of=[a_webapp]),
    fault("end-leader-session", repeated(3, end_lock_holder, pause=0.3)),
)


@nemesis()
async def stall_postgres(lab: Lab, mark: Mark) -> None:
    """Every process of the server stands still for 2 s."""
    server = lab.cluster.postgres
    assert server is not None
    with frozen([server.pid, *children_of(server.pid)]):
        await asyncio.sleep(2.0)
    mark.accepts = time.monotonic()


@nemesis(of=[an_owner])
async def stall_statements(lab: Lab, mark: Mark) -> None:
    """What an owner had sent to the database is executed after its slots were taken over."""
    (name,) = mark.victims
    with frozen([row["pid"] for row in await lab.database.sql(_BACKENDS, name)]):
        await asyncio.sleep(_LAST_STATEMENTS_SECONDS)
        lab.process(name).kill(signal.SIGKILL)
        await asyncio.sleep(_LEASE_AND_MORE_SECONDS)
