"""PostgreSQL as the other side of a play, with a clock that the play sets."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import asyncpg
import msgspec

from tests.campaigns.simulation.plays.calls import PATIENCE, Call
from tests.campaigns.simulation.plays.outcome import BEGIN, LONGEST, Outcome, outcome, patient
from tests.campaigns.simulation.plays.player import Player
from tests.harness.patch import patched
from warouter.config import Settings
from warouter.errors import ChangeRefused
from warouter.store import nodes
from warouter.store.nodes import ShardRequest

_BEGIN = f"timestamptz '{BEGIN.isoformat()}'"
# The functions that tell the time tell what the test says, and the defaults of columns with them.
# Each function of the schema has a path of its own, in which they are before those of pg_catalog.
_OWN_CLOCK = rf"""
create table test_clock (at timestamptz not null);
insert into test_clock values ({_BEGIN});
create function warouter.now() returns timestamptz language sql stable
    as 'select at from warouter.test_clock';
create function warouter.clock_timestamp() returns timestamptz language sql stable
    as 'select at from warouter.test_clock';
do $$
declare
    c record;
    f regprocedure;
begin
    for f in select oid from pg_proc
              where pronamespace = 'warouter'::regnamespace
                and proname not in ('now', 'clock_timestamp')
    loop
        execute format('alter function %s set search_path = warouter, pg_catalog, pg_temp', f);
    end loop;
    for c in select d.adrelid::regclass as of, a.attname as name
               from pg_attrdef d
               join pg_attribute a on a.attrelid = d.adrelid and a.attnum = d.adnum
              where pg_get_expr(d.adbin, d.adrelid) ~ '(now|clock_timestamp)\(\)$'
    loop
        execute format('alter table %s alter %I set default warouter.now()', c.of, c.name);
    end loop;
end $$"""
_EMPTY = f"""
delete from message; delete from parked_message; delete from request_key; delete from event;
delete from parked_event; delete from dead_letter; delete from owner_log;
delete from shard_request; delete from beat; delete from node;
delete from aside; delete from send_issue; delete from upstream_id;
delete from cloud_unreachable;
truncate cloud_inbox restart identity;
update send_cursor set mark = 0, ranges = '{{}}' where mark <> 0 or ranges <> '{{}}';
update event_cursor set mark = 0, ranges = '{{}}' where mark <> 0 or ranges <> '{{}}';
update slot set epoch = 0, owner = null, successor = null, why = null, moving = 0
 where epoch <> 0 or moving <> 0;
update shard_map set version = 1, shards = 1;
update term set term = 0, incarnation = null;
update test_clock set at = {_BEGIN}"""
_STEP = f"""
update test_clock
   set at = least(at + $1 * interval '1 second', {_BEGIN} + {LONGEST} * interval '1 second')"""
_LETTER = """
insert into dead_letter (slot, seq, kind, key, recipient, payload, contact, recorded_at, attempts,
                         reason, asked_at, number)
select slot, seq, kind, key, recipient, payload, contact, recorded_at, 1, '', now(), number
  from event e
 where slot = $1 and kind = $2 and seq = $3 and not exists (
       select from parked_event p where (p.slot, p.kind, p.seq) = (e.slot, e.kind, e.seq))
on conflict (slot, kind, seq) do update set asked_at = now(), attempts = 1"""
_ROWS = {
    "slot": "select slot, epoch, owner, successor, why, moving from slot",
    "shard_map": "select version, shards from shard_map",
    "term": "select term, incarnation from term",
    "shard_request": "select id, shards, state from shard_request"
    " where state in ('waiting', 'running')",
    "owner_log": "select slot, from_incarnation, to_incarnation, epoch, term, reason, at"
    " from owner_log",
    "node": "select incarnation, name, role, leaving, counter, upstream_ok, unreached, journal_ok"
    " from node full join beat using (incarnation)",
    "request_key": "select key, id, request from request_key",
    "aside": "select slot, log, consumer, number, base, since, upto, flow, mark, ranges, why"
    " from aside",
    "dead_letter": "select slot, kind, seq from dead_letter where asked_at is not null",
    "message": "select slot, seq, id, recipient, kind, body, ttl, accepted_at, number,"
    " aside from message",
    "send_cursor": "select slot, mark, ranges from send_cursor",
    "parked_message": "select slot, seq, id, recipient, has_ttl, attempts, due_at, parked_at,"
    " reason, number from parked_message",
    "event": "select slot, seq, kind, key, recipient, payload, contact, number, aside from event",
    "send_issue": "select slot, seq, id, recipient, attempt, doubts, state, at, cause, look_at,"
    " spared, number from send_issue",
    "upstream_id": "select wamid, slot, id, attempt, wa_id, user_id, at, held, failed, twice,"
    " number from upstream_id",
    "cloud_unreachable": "select number, wa_id, at from cloud_unreachable",
    "cloud_inbox": "select n, slot, kind, key, id, attempt, wamid, recipient, payload, contact,"
    " number from cloud_inbox",
    "event_cursor": "select slot, kind, mark, ranges from event_cursor",
    "parked_event": "select slot, seq, kind, recipient, attempts, due_at, parked_at, first_at,"
    " reason, number from parked_event",
}


class PostgreSQL:
    """A real database, emptied before each play; one loop and one set of sessions for all."""

    def __init__(self, settings: Settings) -> None:
        # Before pg_catalog, else its now() would be found first.
        path = f"{settings.db_schema}, pg_catalog"
        self._settings = msgspec.structs.replace(settings, db_schema=path)
        self._runner = asyncio.Runner()
        self._runner.run(self._start())

    def play(self, calls: Sequence[Call]) -> Outcome:
        with patient():
            return self._runner.run(self._play(calls))

    def close(self) -> None:
        self._runner.run(self._stop())
        self._runner.close()

    async def _start(self) -> None:
        host, port = self._settings.db_servers[0]
        self._own = await asyncpg.connect(
            host=host,
            port=port,
            user=self._settings.db_username,
            password=self._settings.db_password,
            database=self._settings.database,
            server_settings={"search_path": self._settings.db_schema},
        )
        await self._own.execute(_OWN_CLOCK)
        with patient():
            self._player = Player(self._settings, self)

    async def _stop(self) -> None:
        await self._player.close()
        await self._own.close()

    async def _play(self, calls: Sequence[Call]) -> Outcome:
        await self._own.execute(_EMPTY)
        self._player.forget_all()
        for leader in self._player.leaders.values():
            await leader._session.fetch("select pg_advisory_unlock_all()", within=PATIENCE)
        answers = [await self._player.play(call) for call in calls]
        return outcome(answers, {name: await self._own.fetch(sql) for name, sql in _ROWS.items()})

    async def step(self, by: float) -> None:
        await self._own.execute(_STEP, by)

    async def ask_for_shards(self, request: ShardRequest) -> bool:
        with patched([(nodes, "uuid4", lambda: request.id)]):
            try:
                await nodes.ask_for_shards(self._own, request.shards)
            except ChangeRefused:
                return False
        return True

    async def give_up(self, request: ShardRequest) -> None:
        await nodes.withdraw_shard_request(self._own, request.id)

    async def ask_for_letter(self, slot: int, kind: int, seq: int) -> None:
        await self._own.execute(_LETTER, slot, kind, seq)
