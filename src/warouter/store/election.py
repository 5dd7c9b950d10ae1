"""The leader's session: one connection that holds the lock, confirms the term and writes.

The advisory lock keeps masters apart; the term row is the authority: every write takes the term's
lock shared, as a statement of its own, then checks (term, incarnation). When the session dies the
lock is free and this master cannot write any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from warouter.cluster.membership import Node
from warouter.cluster.patience import Patience
from warouter.cluster.plan import MovingMark, Succession, Takeover
from warouter.cluster.shardmap import ShardMap
from warouter.config import Settings
from warouter.errors import FencedError, OutcomeUnknown
from warouter.store import locks
from warouter.store.database import WRITE_SECONDS, Session
from warouter.store.nodes import SLOTS_SQL, ShardRequest, map_of

STALE_TERM = "WA002"
MOST_WRITE_SECONDS = 8.0  # however slow commits are
LOOK_SECONDS = 1.0  # a read is answered at once, or not at all
# One statement a poll, since in a quiet cluster masters cost more than what they watch: it beats as
# well where a beat is due. PostgreSQL tells of sessions at some cost, so who does not lead looks at
# none, and who leads only when a node has lost the one that beats: its lock can be had. Their names
# are only sifted here, and told apart by who looks.
_JUDGED = """
m.version, m.shards, t.term, t.incarnation as leader,
       pg_postmaster_start_time() as started, next_number(0) >> 32 as timeline,
       array(select row(n.incarnation, n.name, n.role, n.leaving, b.counter,
                        coalesce(b.upstream_ok, true), array_to_string(b.unreached, ' '),
                        coalesce(b.journal_ok, true), n.upstream)
               from node n left join beat b using (incarnation)) as nodes"""
_LOOK = f"""
select {_JUDGED},
       case when exists (
           select from node n
            where pg_try_advisory_xact_lock_shared({locks.ALIVE},
                                                   hashtext(replace(n.incarnation::text, '-', ''))))
       then array(select substr(a.application_name, 4, 32) from pg_stat_activity a
                   where a.datname = current_database()
                     and a.application_name like 'wa:%') end as sessions,
       (select row(r.id, r.shards, r.state, r.details is not null) from shard_request r
         where r.state in ('waiting', 'running')) as request, BEATEN as beaten
  from shard_map m, term t"""
_CONTEND = f"""
select {_JUDGED}, BEATEN as beaten, pg_try_advisory_lock({locks.LEADER}, 0) as locked
  from shard_map m, term t"""
_BEATEN = "exists (select from beat($1, true, '{}', true, false))"
_MOVED = "select moved_lately() as moved"
_END_LEADER = "select end_leader($1)"
_END_SLOT_HOLDERS = "select end_slot_holders($1)"
_END_DEAD = "select end_incarnations($1)"


class Poll(msgspec.Struct, frozen=True):
    """One answered poll: what a master decides from. ``beaten``: it was a beat, too."""

    map: ShardMap
    term: int
    leader: UUID | None
    nodes: dict[UUID, Node]
    sessions: frozenset[UUID]
    server: tuple[Any, int]
    request: ShardRequest | None
    beaten: bool


class LeaderSession:
    """Polls, campaigns, and writes once ``term`` is won."""

    def __init__(self, settings: Settings, incarnation: UUID, application: str) -> None:
        self._incarnation = incarnation
        self._session = Session(settings, application, lock_timeout="500ms")
        self._patience = Patience(WRITE_SECONDS, MOST_WRITE_SECONDS)
        self._map: ShardMap | None = None  # the last one that was read
        self._map_found: tuple[int, int, object] | None = None  # version, shards, server

    async def look(self, beat: bool = False) -> Poll:
        """Read the state of the cluster, and beat if asked; OutcomeUnknown without an answer."""
        state = await self._state(_LOOK, beat)
        sessions, request = state["sessions"], state["request"]
        return await self._picture(
            state,
            _incarnations(sessions) if sessions is not None else None,
            ShardRequest(*request) if request else None,
        )

    async def moved_lately(self) -> frozenset[int]:
        """The slots that left an owner in trouble a moment ago."""
        rows = await self._session.fetch(_MOVED, within=LOOK_SECONDS)
        return frozenset(rows[0]["moved"])

    async def contend(self, beat: bool = False) -> tuple[Poll, bool]:
        """Read what a follower judges by, and try the lock that keeps masters apart: True if this
        session holds it now. Raises OutcomeUnknown when the database does not answer.

        Every node counts as one that has a session: a dead one is known by its beats, or once this
        master leads.
        """
        state = await self._state(_CONTEND, beat)
        return await self._picture(state), state["locked"]

    async def try_lock(self) -> bool:
        """Try the lock that keeps masters apart; False while another master holds it."""
        rows = await self._session.fetch(
            "select pg_try_advisory_lock($1, 0) as won", locks.LEADER, within=LOOK_SECONDS
        )
        return bool(rows[0]["won"])

    async def win(self) -> int:
        """Raise the term, after which no other leader's write passes. After OutcomeUnknown
        the term row, read once the lock is held again, says if it was raised.
        """
        rows = await self._commit("select win_term($1) as term", self._incarnation)
        return int(rows[0]["term"])

    async def depose_holder(self, spared: Iterable[UUID]) -> None:
        """End the session that holds the lock: a frozen process would keep it. Not of these: each
        may be about to win.
        """
        await self._session.fetch(_END_LEADER, _names(spared), within=LOOK_SECONDS)

    async def end_sessions(self, dead: Sequence[UUID]) -> None:
        """End the remaining sessions of dead incarnations: their locks would delay a takeover."""
        await self._session.fetch(_END_DEAD, _names(dead), within=LOOK_SECONDS)

    async def end_lock_holders(self, slots: Sequence[int]) -> None:
        """End the sessions that hold these slots' locks, such as one with a hung statement."""
        await self._session.fetch(_END_SLOT_HOLDERS, list(slots), within=LOOK_SECONDS)

    async def take_over(self, term: int, moves: Sequence[Takeover], ages: Sequence[int]) -> None:
        await self._write(
            "select take_over($1,$2,$3,$4,$5,$6,$7)",
            term,
            [m.slot for m in moves],
            [m.seen_epoch for m in moves],
            [m.to for m in moves],
            [m.reason for m in moves],
            list(ages),
        )

    async def name_successors(self, term: int, moves: Sequence[Succession]) -> None:
        """Write planned moves: the successors of these slots."""
        await self._write(
            "select name_successors($1,$2,$3,$4,$5,$6,$7,$8)", term, *_columns(moves), None, None
        )

    async def mark_slots(
        self, term: int, marks: Sequence[MovingMark], request: UUID | None = None
    ) -> None:
        """Write which slots are to be quiet, and for which request for shards."""
        await self._write(
            "select mark_slots($1,$2,$3,$4,$5,$6)",
            term,
            [m.slot for m in marks],
            [m.seen_epoch for m in marks],
            [m.moving for m in marks],
            request,
        )

    async def begin_request(
        self, term: int, moves: Sequence[Succession], request: ShardRequest
    ) -> bool:
        """Write the new shard count and its planned moves in one transaction.

        False, and nothing is changed, when the request was given up meanwhile.
        """
        rows = await self._write(
            "select begin_shard_request($1,$2,$3,$4,$5,$6,$7,$8) as begun",
            term,
            *_columns(moves),
            request.id,
            request.shards,
        )
        return bool(rows[0]["begun"])

    async def end_request(self, term: int, request: UUID, state: str, details: str) -> None:
        await self._write("select end_shard_request($1,$2,$3,$4,$5)", term, request, state, details)

    async def forget_nodes(self, term: int, gone: Sequence[UUID]) -> None:
        await self._write("select forget_nodes($1,$2,$3)", term, list(gone))

    def terminate(self) -> None:
        self._session.terminate()

    async def close(self) -> None:
        """Close the connection in order, which frees the lock at once."""
        await self._session.close()

    async def _state(self, sql: str, beat: bool) -> Any:
        mine = (self._incarnation,) if beat else ()
        sql = sql.replace("BEATEN", _BEATEN if beat else "false")
        return (await self._session.fetch(sql, *mine, within=LOOK_SECONDS))[0]

    async def _picture(
        self,
        state: Any,
        sessions: frozenset[UUID] | None = None,
        request: ShardRequest | None = None,
    ) -> Poll:
        server = state["started"], state["timeline"]
        nodes = {row[0]: _node(*row) for row in state["nodes"]}
        return Poll(
            map=await self._map_of(state["version"], state["shards"], server),
            term=state["term"],
            leader=state["leader"],
            nodes=nodes,
            sessions=frozenset(nodes) if sessions is None else sessions,
            server=server,
            request=request,
            beaten=state["beaten"],
        )

    async def _map_of(self, version: int, shards: int, server: object) -> ShardMap:
        """The map of this version, which is read only if it is not the last one.

        A standby that was promoted may come to a version that its primary had had already.
        """
        found = version, shards, server
        if self._map is None or self._map_found != found:
            slots = await self._session.fetch(SLOTS_SQL, within=LOOK_SECONDS)
            self._map, self._map_found = map_of(version, shards, slots), found
        return self._map

    async def _write(self, sql: str, term: int, *rest: Any) -> list[Any]:
        try:
            return await self._commit(sql, term, self._incarnation, *rest)
        except asyncpg.PostgresError as error:
            if error.sqlstate == STALE_TERM:
                raise FencedError(str(error)) from error
            raise

    async def _commit(self, sql: str, *arguments: Any) -> list[Any]:
        clock, within = asyncio.get_running_loop().time, self._patience.seconds
        began = clock()
        try:
            rows = await self._session.fetch(sql, *arguments, within=within)
        except OutcomeUnknown:
            if clock() - began >= within:
                self._patience.ran_out()
            raise
        self._patience.answered(clock() - began)
        return rows


def _columns(moves: Sequence[Succession]) -> tuple[list[Any], ...]:
    return (
        [m.slot for m in moves],
        [m.seen_epoch for m in moves],
        [m.to for m in moves],
        [m.reason for m in moves],
    )


def _names(incarnations: Iterable[UUID]) -> list[str]:
    """The beginnings of the names of their sessions."""
    return [f"wa:{inc.hex}" for inc in incarnations]


def _incarnations(names: Sequence[str]) -> frozenset[UUID]:
    """The incarnations of these sessions; others may have a name like that, too."""
    found = set()
    for name in set(names):
        with suppress(ValueError):
            found.add(UUID(name))
    return frozenset(found)


def _node(
    incarnation: UUID,
    name: str,
    role: str,
    leaving: bool,
    counter: int | None,
    upstream_ok: bool,
    unreached: str | None,
    journal_ok: bool,
    upstream: str,
) -> Node:
    """A node as _STATE shows it: arrays of ids have no decoder within a row, so they are text."""
    far = frozenset(map(UUID, unreached.split())) if unreached else frozenset[UUID]()
    return Node(incarnation, name, role, counter, leaving, upstream_ok, far, journal_ok, upstream)
