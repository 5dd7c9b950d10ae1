"""Which upstream a database has: a fact of the database, not of each process.

Coreapps that are set to another one do not start, and leaders name only those that match, so no
message is sent, and settled, at the wrong place. With the Cloud API a build that does not know it
must not run either: it would send again what is out.
"""

from __future__ import annotations

from typing import NamedTuple

from warouter.cluster.shardmap import SIMULATOR
from warouter.errors import CommandError
from warouter.store.database import Connection, Source
from warouter.store.migrate import migrations
from warouter.store.nodes import live_incarnations

_READ = "select upstream from format"
_SET = "update format set upstream = $1"
_SWITCH = "select unsettled, parked, doubtful, held from switch_upstream($1, $2)"
_NODES = "select incarnation, name, role, upstream from node order by role, name"
_RUNS_WITH = "update schema_migration set runs_with = $2 where version = $1"
# Of the Cloud API's time: what only builds that know it treat as it wants to be. Kinds above 7 say
# what their sender asked for.
_LEFT = """
select exists (select from send_issue)
    or exists (select from parked_message where kind > 7)
    or exists (select from send_cursor c join message m on m.slot = c.slot and m.seq > c.mark
                where m.kind > 7
                  and not exists (select from generate_series(1, cardinality(c.ranges), 2) i
                                   where m.seq between c.ranges[i] and c.ranges[i + 1]))"""
_HEARD = "select exists (select from send_issue) or exists (select from cloud_inbox)"


class Switched(NamedTuple):
    """What a switch has found, and whether it was made.

    ``unsettled`` messages were not sent, or not settled, by the old upstream, and ``parked`` of
    them are parked; beside them ``doubtful`` ones may have been taken by it, and ``held`` ones wait
    for an operator. ``restart`` are the webapps and coreapps that are set to another upstream.
    ``shut_out``: no older build may run.
    """

    done: bool
    unsettled: int
    parked: int
    doubtful: int
    held: int
    restart: list[str]
    shut_out: bool


async def read_upstream(source: Source) -> str:
    """`simulator`, or `cloud:` and the id of a phone number."""
    upstream: str = await source.fetchval(_READ)
    return upstream


async def heard_of_the_cloud(source: Source) -> bool:
    """Messages are held, or webhooks are in the inbox: also an owner with another upstream reads
    them.
    """
    found: bool = await source.fetchval(_HEARD)
    return found


async def set_upstream(connection: Connection, upstream: str) -> None:
    """Give a database, in which nobody has been yet, its upstream."""
    async with connection.transaction():
        await connection.execute(_SET, upstream)
        await _shut_out(connection, upstream)


async def switch(connection: Connection, upstream: str, *, force: bool) -> Switched:
    """Change the upstream, if no message of the old one is left, or by ``force``.

    All slots lose their owners. CommandError while a process lives that does not know of upstreams.
    """
    async with connection.transaction():
        found = await connection.fetchrow(_SWITCH, upstream, force)
        assert found is not None
        unsettled, parked, doubtful, held = found
        done = force or not (unsettled or doubtful or held)
        alive = await live_incarnations(connection)
        nodes = [row for row in await connection.fetch(_NODES) if row["incarnation"] in alive]
        if old := [row["name"] for row in nodes if row["upstream"] is None]:
            raise CommandError(
                f"Processes of an older build run here ({', '.join(old)}): restart them with this"
                " build first."
            )
        shut_out = await _shut_out(connection, upstream) if done else False
    senders = [row for row in nodes if row["role"] != "master"]
    restart = [row["name"] for row in senders if row["upstream"] != upstream]
    return Switched(done, unsettled, parked, doubtful, held, restart, shut_out)


async def admit_older(connection: Connection) -> bool:
    """Let older builds in again, if what kept them out has ended; False if it has not."""
    async with connection.transaction():
        return not await _shut_out(connection, await read_upstream(connection))


async def _shut_out(connection: Connection, upstream: str) -> bool:
    """Note which builds may run: with the Cloud API, and while something of it is left, none that
    is older than this one. Returns whether it is so.
    """
    files = migrations()
    rows = {file.version: file.runs_with for file in files}
    shut_out = upstream != SIMULATOR or bool(await connection.fetchval(_LEFT))
    if shut_out:
        rows[files[-1].version] = files[-1].version
    await connection.executemany(_RUNS_WITH, list(rows.items()))
    return shut_out
