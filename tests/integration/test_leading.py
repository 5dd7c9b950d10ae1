"""A master leads although commits take their time, and never twice under a term in doubt."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio

from tests.harness.owned import session_of
from tests.harness.postgres import until
from tests.harness.wait import PATIENCE
from warouter.cluster.patience import Patience
from warouter.config import Settings
from warouter.node.master import Master
from warouter.store import database, locks
from warouter.store.election import LeaderSession
from warouter.store.nodes import ask_for_shards
from warouter.systemd import Notifier

# Once in a transaction, at its commit, under all of its locks. First: %s is how it waits.
SLOW = """
create function slow() returns trigger language plpgsql as $$
begin
    if current_setting('slow.done', true) is distinct from txid_current()::text then
        perform set_config('slow.done', txid_current()::text, true);
        perform set_config('lock_timeout', '0', true);
        perform %s;
    end if;
    return null;
end $$;
create constraint trigger slow after update on term
    deferrable initially deferred for each row execute function slow();
create constraint trigger slow after insert on owner_log
    deferrable initially deferred for each row execute function slow()"""
GATE = "pg_advisory_xact_lock_shared(99, 9)"
BLOCKED = """
select exists (select 1 from pg_stat_activity a join pg_locks l using (pid)
                where a.application_name = $1 and l.classid = 99 and not l.granted)"""
IN_COMMIT = """
select exists (select 1 from pg_stat_activity where application_name = $1
                  and wait_event = 'SyncRep')"""


class Scene:
    """One master, one coreapp that lives and is given slots, and an operator who looks.

    The master cannot win before ``may_lead``.
    """

    def __init__(self, settings: Settings, operator: asyncpg.Connection) -> None:
        self.settings = settings
        self.operator = operator
        self.coreapp = uuid4()
        self.incarnation = uuid4()
        session = LeaderSession(settings, self.incarnation, "leader")
        master = session_of(settings, "master", self.incarnation)
        self.probe = asyncio.ensure_future(asyncio.sleep(0))
        self.master = Master(self.incarnation, settings.timing, session, master, Notifier(""))

    async def live(self) -> None:
        """The coreapp's beats."""
        session = session_of(self.settings, "coreapp", self.coreapp)
        try:
            while True:
                await session.beat(True, 10.0)
                await asyncio.sleep(self.settings.beat)
        finally:
            session.terminate()

    async def until(self, sql: str, *arguments: object) -> None:
        await until(self.operator, sql, *arguments)

    async def may_lead(self) -> None:
        await self.operator.execute("select pg_advisory_unlock($1, 0)", locks.LEADER)

    async def leads(self) -> int:
        while self.master.term is None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        return self.master.term

    async def all_owned(self) -> None:
        await self.until("select bool_and(owner = $1) from slot", self.coreapp)

    async def counter(self) -> int:
        row = "select counter from beat where incarnation = $1"
        return await self.operator.fetchval(row, self.incarnation) or 0

    async def standby(self, change: str) -> None:
        await self.operator.execute(f"alter system {change}")
        await self.operator.execute("select pg_reload_conf()")

    async def commits_wait(self) -> None:
        """From here on a commit waits until ``commits_go_on``, whoever has gone meanwhile."""
        await self.standby("set synchronous_standby_names = 'nobody'")
        self.probe = asyncio.create_task(self._commit_until_it_waits())
        await self.until(IN_COMMIT, "probe")

    async def _commit_until_it_waits(self) -> None:
        probe = await database.connect(self.settings, "probe")
        try:
            while True:
                await probe.execute("select pg_logical_emit_message(true, 'probe', '')")
        finally:
            probe.terminate()

    async def commits_go_on(self) -> None:
        await self.standby("reset synchronous_standby_names")
        self.probe.cancel()
        await asyncio.gather(self.probe, return_exceptions=True)

    async def commit_given_up(self) -> None:
        """The leader's commit waits, and its client does not any more: its socket is closed."""
        await self.until(IN_COMMIT, "leader")
        while self.master._session._session._connection is not None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@pytest_asyncio.fixture
async def scene(settings: Settings) -> AsyncIterator[Scene]:
    operator = await database.connect(settings, "operator", synchronous_commit="off")
    scene = Scene(settings, operator)
    beats = asyncio.create_task(scene.live())
    await scene.until("select exists (select 1 from beat where incarnation = $1)", scene.coreapp)
    await operator.execute("select pg_advisory_lock($1, 0)", locks.LEADER)
    tasks = [beats, asyncio.create_task(scene.master.run())]
    await scene.until(
        "select exists (select 1 from beat where incarnation = $1)", scene.incarnation
    )
    async with asyncio.timeout(PATIENCE):
        yield scene
    await scene.commits_go_on()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await scene.master.close()
    await operator.close()


async def test_a_leader_that_waits_for_its_commit_goes_on_beating(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the next one would take it for dead, and end its commit."""
    monkeypatch.setattr(scene.master._session, "_patience", Patience(60.0, 60.0))
    await scene.operator.execute(SLOW % GATE)
    await scene.may_lead()
    await scene.operator.execute("select pg_advisory_lock(99, 9)")
    await scene.until(BLOCKED, "leader")
    async with asyncio.timeout(PATIENCE):
        before = await scene.counter()
        while await scene.counter() < before + 8:
            assert await scene.operator.fetchval(BLOCKED, "leader")
            await asyncio.sleep(0.05)
    await scene.operator.execute("select pg_advisory_unlock(99, 9)")
    await scene.all_owned()


async def test_a_win_whose_answer_did_not_come_is_found_by_looking(scene: Scene) -> None:
    await scene.commits_wait()
    await scene.may_lead()
    await scene.commit_given_up()
    assert scene.master.term is None
    won = await scene.operator.fetchval("select next_number(term) from term")
    await scene.commits_go_on()
    assert await scene.leads() == won


async def test_a_term_with_a_write_in_doubt_is_never_led_in_again(scene: Scene) -> None:
    """What was sent in it may still be executed, and must find another term."""
    await write_in_doubt(scene, lambda before, now: now > before)


async def test_without_the_look_at_what_was_led_in_before_it_is(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: any term that names this master is taken up again."""
    monkeypatch.setattr(Master, "_led", property(lambda _: 0, lambda *_: None), raising=False)
    await write_in_doubt(scene, lambda before, now: now == before)


async def write_in_doubt(scene: Scene, right: Callable[[int, int], bool]) -> None:
    await scene.may_lead()
    await scene.all_owned()
    before = await scene.leads()
    await scene.commits_wait()
    await ask_for_shards(scene.operator, 2)
    await scene.commit_given_up()
    await scene.commits_go_on()
    assert right(before, await scene.leads())
