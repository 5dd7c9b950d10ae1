"""Which upstream a database has: `warouter cloud switch`, and who may start on it."""

from __future__ import annotations

from uuid import uuid4

import asyncpg
import pytest
from msgspec.structs import replace

from tests.harness.cloud_owned import cloud_settings
from tests.harness.journals import ME, OWNED, own
from tests.harness.owned import session_of
from tests.harness.shell import printed, refused
from warouter.config import Settings
from warouter.errors import CommandError
from warouter.node.runtime import Identity, check_database
from warouter.store import migrate
from warouter.store.database import connect
from warouter.store.journal import Journal
from warouter.store.migrate import Migration
from warouter.store.upstream import read_upstream, set_upstream, switch

CLOUD = "cloud:105954558954427"
VARIABLES = {
    "WAROUTER_CLOUD_PHONE_NUMBER_ID": "105954558954427",
    "WAROUTER_CLOUD_WABA_ID": "102290129340398",
    "WAROUTER_CLOUD_TOKEN": "EAAJB-token",
    "WAROUTER_CLOUD_APP_SECRET": "0123456789abcdef0123456789abcdef",
    "WAROUTER_CLOUD_VERIFY_TOKEN": "verify-me",
}
TO_CLOUD = ("cloud", "switch", "--to", "cloud")
BACK = ("cloud", "switch", "--to", "simulator")
NEWEST = migrate.migrations()[-1]
OLDEST = max(file.runs_with for file in migrate.migrations())  # build that runs on this schema


async def message(pool: asyncpg.Pool, slot: int, seq: int, issue: int = 0, doubts: int = 0) -> None:
    """A message of the journal, with an issue row in this state."""
    message_id = bytes((slot, seq)) + bytes(18)
    await pool.execute(
        "insert into message values ($1, $2, $3, '1', 0, now(), '')", slot, seq, message_id
    )
    if issue:
        await pool.execute(
            "insert into send_issue (slot, seq, id, recipient, attempt, state, doubts)"
            " values ($1, $2, $3, '1', 1, $4, $5)",
            *(slot, seq, message_id, issue, doubts),
        )


async def settled(pool: asyncpg.Pool, slot: int, mark: int, *ranges: int) -> None:
    await pool.execute(
        "update send_cursor set mark = $2, ranges = $3 where slot = $1", slot, mark, list(ranges)
    )


async def test_a_fresh_database_has_the_simulator_and_is_switched_back_and_forth(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    assert await read_upstream(pool) == "simulator"
    assert f"The upstream is {CLOUD} now." in await printed(settings, *TO_CLOUD, **VARIABLES)
    assert await read_upstream(pool) == CLOUD
    assert "already" in await printed(settings, *TO_CLOUD, **VARIABLES)
    assert "simulator now" in await printed(settings, "cloud", "switch")  # as its variables say
    assert await read_upstream(pool) == "simulator"


async def test_what_the_variables_lack_is_said(settings: Settings) -> None:
    assert "WAROUTER_CLOUD_PHONE_NUMBER_ID is missing" in await refused(settings, *TO_CLOUD)


@pytest.mark.parametrize(
    ("mark", "ranges", "unsettled"),
    [(0, (), 4), (2, (), 2), (1, (3, 3), 2), (1, (2, 2, 4, 4), 1), (4, (), 0), (1, (2, 9), 0)],
)
async def test_messages_that_are_not_settled_are_in_the_way(
    settings: Settings, pool: asyncpg.Pool, mark: int, ranges: tuple[int, ...], unsettled: int
) -> None:
    for seq in range(1, 5):
        await message(pool, 3, seq)
    await settled(pool, 3, mark, *ranges)
    if unsettled:
        said = await refused(settings, *TO_CLOUD, **VARIABLES)
        assert f"In the way: {unsettled} message" in said
        assert "not settled: stop the webapps" in said
        assert "`warouter status`" in said
        assert "--force" in said
        assert await read_upstream(pool) == "simulator"
        shown = await printed(settings, *TO_CLOUD, "--force", **VARIABLES)
        assert f"sent {unsettled} message" in shown
        assert await pool.fetchval("select count(*) from message") == 4
    else:
        await printed(settings, *TO_CLOUD, **VARIABLES)
    assert await read_upstream(pool) == CLOUD


async def test_so_are_parked_ones(settings: Settings, pool: asyncpg.Pool) -> None:
    await pool.execute(
        "insert into parked_message (slot, seq, id, recipient, kind, body, attempts, due_at,"
        " reason) values (9, 1, 'x', '1', 0, '', 1, now(), 'r')"
    )
    said = await refused(settings, *TO_CLOUD, **VARIABLES)
    assert "1 message not settled, 1 of them parked: stop" in said


async def test_what_may_have_been_taken_is_in_the_way_and_held_by_force(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    await printed(settings, *TO_CLOUD, **VARIABLES)
    for seq, (state, doubts) in enumerate([(1, 0), (2, 1), (3, 1), (4, 1), (4, 0)], 1):
        await message(pool, 3, seq, state, doubts)
    await settled(pool, 3, 5)
    said = await refused(settings, *BACK)
    assert "In the way: 3 messages that the Cloud API may have taken; 1 message held: stop" in said
    assert "`warouter doubt resend` or `warouter doubt fail`" in said
    assert await read_upstream(pool) == CLOUD
    said = await printed(settings, *BACK, "--force")
    assert "may have taken them: 4 messages." in said
    assert "Older builds may not run yet" in said
    rows = await pool.fetch("select seq, state from send_issue order by seq")
    # The last one was surely not taken: its row says which attempt comes next.
    assert [tuple(row) for row in rows] == [(1, 3), (2, 3), (3, 3), (4, 3), (5, 4)]


async def test_what_may_have_been_taken_does_not_count_as_unsettled_as_well(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    """The new upstream is not sent it: in doubt and parked, issued, and beside them a plain one."""
    await printed(settings, *TO_CLOUD, **VARIABLES)
    for seq, (state, doubts) in enumerate([(2, 1), (1, 0), (4, 0), (0, 0)], 1):
        await message(pool, 3, seq, state, doubts)
    await settled(pool, 3, 1)
    await pool.execute(
        "insert into parked_message (slot, seq, id, recipient, kind, body, attempts, due_at,"
        " reason) select slot, seq, id, recipient, kind, body, 0, now(), 'in doubt'"
        " from message where seq = 1"
    )
    said = await refused(settings, *BACK)
    assert "In the way: 2 messages not settled; 2 messages that the Cloud API may have" in said


async def test_no_process_that_is_set_to_the_old_one_can_write_any_more(
    settings: Settings, pool: asyncpg.Pool, journal: Journal
) -> None:
    """Not even one that was about to be given a slot: every epoch is another one."""
    before = await pool.fetch("select slot, epoch from slot order by slot")
    await pool.execute("update slot set moving = 1, successor = $1 where slot = 3", uuid4())
    await printed(settings, *TO_CLOUD, **VARIABLES)
    assert await journal.open(OWNED) == []
    after = await pool.fetch("select epoch, owner, successor, moving from slot order by slot")
    for old, new in zip(before, after, strict=True):
        assert new["epoch"] > old["epoch"]
        assert (new["owner"], new["successor"], new["moving"]) == (None, None, 0)
    log = "select count(*) from owner_log where from_incarnation = $1 and reason = 'switch'"
    assert await pool.fetchval(log, ME) == len(OWNED)


async def test_processes_that_know_of_no_upstream_are_in_the_way_also_by_force(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    incarnation = uuid4()
    session = session_of(settings, "master", incarnation)
    await session.beat(True, 5.0)
    await pool.execute("update node set upstream = null")
    said = await refused(settings, *TO_CLOUD, "--force", **VARIABLES)
    assert "older build" in said
    assert "master" in said
    assert await read_upstream(pool) == "simulator"
    session.terminate()
    while True:  # one that is gone is not
        try:
            await printed(settings, *TO_CLOUD, **VARIABLES)
            break
        except AssertionError:
            continue


async def test_processes_that_are_set_to_the_old_one_are_named(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    sessions = [session_of(settings, role, uuid4()) for role in ("coreapp", "webapp")]
    for session in sessions:
        await session.beat(True, 5.0)
    shown = await printed(settings, *TO_CLOUD, **VARIABLES)
    assert (
        "Restart these with WAROUTER_UPSTREAM set to it, webapps first: coreapp, webapp." in shown
    )
    for session in sessions:
        session.terminate()


async def test_only_a_coreapp_refuses_to_start_on_another_upstream(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    mine = cloud_settings(settings, cloud_phone_number_id=CLOUD.partition(":")[2])
    for role in ("webapp", "master"):
        await check_database(mine, Identity(mine, role))
    with pytest.raises(
        CommandError,
        match=r"is simulator, .* set to cloud:105954558954427: .*`warouter cloud switch`",
    ):
        await check_database(mine, Identity(mine, "coreapp"))
    await printed(settings, *TO_CLOUD, **VARIABLES)
    await check_database(mine, Identity(mine, "coreapp"))
    other = replace(mine, cloud_phone_number_id="1")
    for theirs in (settings, other):
        with pytest.raises(CommandError, match="WAROUTER_UPSTREAM"):
            await check_database(theirs, Identity(theirs, "coreapp"))


# Older builds


async def starts(settings: Settings, monkeypatch: pytest.MonkeyPatch, newest: int) -> bool:
    """Whether a build whose newest migration is this one would."""
    files = [file for file in migrate.migrations() if file.version <= newest]
    connection = await connect(settings, "test")
    with monkeypatch.context() as older:
        older.setattr(migrate, "migrations", lambda: files)
        try:
            await migrate.check(connection)
        except CommandError:
            return False
        finally:
            await connection.close()
    return True


async def test_builds_without_the_cloud_api_start_until_the_switch_and_after_the_way_back(
    settings: Settings, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = NEWEST.version - 1
    assert await starts(settings, monkeypatch, before)
    await printed(settings, *TO_CLOUD, **VARIABLES)
    assert not await starts(settings, monkeypatch, before)
    assert not await starts(settings, monkeypatch, OLDEST)
    assert await starts(settings, monkeypatch, NEWEST.version)
    assert await migrate.migrate(settings) == []
    await printed(settings, *BACK)
    assert await starts(settings, monkeypatch, OLDEST)
    rows = await pool.fetch("select version, runs_with from schema_migration")
    assert {tuple(row) for row in rows} == {(m.version, m.runs_with) for m in migrate.migrations()}


@pytest.mark.parametrize("what", ["held", "options"])
async def test_nor_do_they_start_while_messages_are_left_that_they_would_treat_wrongly(
    settings: Settings, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """They know neither issue rows nor what a sender asked for."""
    await printed(settings, *TO_CLOUD, **VARIABLES)
    await message(pool, 3, 1, issue=2 if what == "held" else 0, doubts=1)
    await pool.execute("update message set kind = 10 where $1", what == "options")
    assert "Older builds may not run yet" in await printed(settings, *BACK, "--force")
    assert not await starts(settings, monkeypatch, OLDEST)
    said = await printed(settings, *BACK)
    assert "already" in said
    assert "Older builds may not run yet" in said
    await pool.execute("delete from send_issue")
    await settled(pool, 3, 1)
    assert await printed(settings, *BACK) == "The upstream is simulator already.\n"
    assert await starts(settings, monkeypatch, OLDEST)


async def test_a_later_migration_does_not_let_them_in_again(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    await printed(settings, *TO_CLOUD, **VARIABLES)
    later = Migration(9999, "9999_later.sql", f"-- runs with: {NEWEST.version}\nselect 1")
    files = [*migrate.migrations(), later]
    with monkeypatch.context() as newer:
        newer.setattr(migrate, "migrations", lambda: files)
        assert await migrate.migrate(settings) == ["9999_later.sql"]
    assert await starts(settings, monkeypatch, NEWEST.version)
    assert not await starts(settings, monkeypatch, NEWEST.version - 1)


async def test_a_fresh_database_is_given_its_upstream_without_a_question(
    settings: Settings, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = await connect(settings, "test")
    await set_upstream(connection, CLOUD)
    assert await read_upstream(pool) == CLOUD
    assert not await starts(settings, monkeypatch, NEWEST.version - 1)
    await set_upstream(connection, "simulator")
    assert await starts(settings, monkeypatch, NEWEST.version - 1)
    await connection.close()


async def test_a_refused_switch_leaves_the_owners_alone(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    await own(pool, 3, 11)
    await message(pool, 3, 1)
    connection = await connect(settings, "test")
    found = await switch(connection, CLOUD, force=False)
    assert (found.done, found.unsettled, found.doubtful) == (False, 1, 0)
    assert await pool.fetchval("select owner from slot where slot = 3") == ME
    await connection.close()
