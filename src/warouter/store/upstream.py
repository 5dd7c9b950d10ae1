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
_SWITCH = "select unsettled, doubtful from switch_upstream($1, $2)"
_NODES = "select incarnation, name, role, upstream from node order by role, name"
_RUNS_WITH = "update schema_migration set runs_with = $2 where version = $1"


class Switched(NamedTuple):
    """What a switch has found, and whether it was made.

    ``unsettled`` messages were not sent, or not settled, by the old upstream, ``doubtful`` ones may
    have been taken by it. ``restart`` are the coreapps that are set to another upstream.
    """

    done: bool
    unsettled: int
    doubtful: int
    restart: list[str]


async def read_upstream(source: Source) -> str:
    """`simulator`, or `cloud:` and the id of a phone number."""
    upstream: str = await source.fetchval(_READ)
    return upstream


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
        unsettled, doubtful = found
        done = force or not (unsettled or doubtful)
        alive = await live_incarnations(connection)
        nodes = [row for row in await connection.fetch(_NODES) if row["incarnation"] in alive]
        if old := [row["name"] for row in nodes if row["upstream"] is None]:
            raise CommandError(
                f"Processes of an older build run here ({', '.join(old)}): restart them with this"
                " build first."
            )
        if done:
            await _shut_out(connection, upstream)
    coreapps = [row for row in nodes if row["role"] == "coreapp"]
    restart = [row["name"] for row in coreapps if row["upstream"] != upstream]
    return Switched(done, unsettled, doubtful, restart)


async def _shut_out(connection: Connection, upstream: str) -> None:
    """Note which builds may run: with the Cloud API none that is older than this one."""
    files = migrations()
    rows = {file.version: file.runs_with for file in files}
    if upstream != SIMULATOR:
        rows[files[-1].version] = files[-1].version
    await connection.executemany(_RUNS_WITH, list(rows.items()))
