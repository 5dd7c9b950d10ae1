"""The promises hold whatever settings the server, the database or the role bring along."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from uuid import uuid4

import asyncpg
import msgspec
import pytest

from tests.harness.journals import page_of
from tests.harness.journals import row as a_row
from tests.harness.owned import session_of
from tests.harness.postgres import until
from tests.harness.wait import soon
from tests.integration.test_fence import APPEND, SLOT, _one
from warouter.cluster.plan import Takeover
from warouter.config import Settings
from warouter.errors import CommandError, OutcomeUnknown, UnfitDatabase
from warouter.flow.event import EventRow
from warouter.store import database, server_settings, servers
from warouter.store.account.accounts import Accounts, is_unavailable
from warouter.store.database import Session
from warouter.store.election import LeaderSession
from warouter.store.journal import APPENDED, FENCED, Journal, RowOutcome
from warouter.store.journal.progress import ProgressColumns
from warouter.store.migrate import migrate

ISOLATION = "default_transaction_isolation"
WORST: Mapping[str, str] = {
    ISOLATION: "repeatable read",
    "default_transaction_deferrable": "on",
    "synchronous_commit": "off",
    "client_min_messages": "error",
    "exit_on_error": "on",
    "lock_timeout": "1ms",
    "statement_timeout": "1ms",
    "idle_session_timeout": "1ms",
    "idle_in_transaction_session_timeout": "1ms",
    "client_connection_check_interval": "0",
    "standard_conforming_strings": "off",
    "transform_null_equals": "on",
    "array_nulls": "off",
    "bytea_output": "escape",
    "DateStyle": "SQL, DMY",
    "IntervalStyle": "iso_8601",
    "TimeZone": "Pacific/Kiritimati",
    "extra_float_digits": "-15",
    "xmlbinary": "hex",
    "xmloption": "document",
    "row_security": "off",
    "check_function_bodies": "off",
    "plpgsql.extra_errors": "all",
    "plpgsql.extra_warnings": "all",
    "jit": "on",
    "plan_cache_mode": "force_generic_plan",
    "transaction_timeout": "1ms",
    # asyncpg itself asks for UTF-8, and for the keepalives warouter does
    "client_encoding": "LATIN1",
    "tcp_user_timeout": "1",
}
PLACES = {
    "database": "alter database {database} set {name} = '{value}'",
    "role": "alter role {role} in database {database} set {name} = '{value}'",
    "server": "alter system set {name} = '{value}'",
}
ME, HEIR = uuid4(), uuid4()
TAKE_OVER = "select take_over($1,$2,$3,$4,$5,$6,$7)"
WAITS = """
select exists (select 1 from pg_stat_activity
                where application_name = $1 and wait_event_type = 'Lock')"""
ROW = a_row(1)


def test_every_pinned_setting_is_tried_at_its_worst() -> None:
    asked = server_settings.PINNED.keys() | server_settings.NEWER.keys()
    assert asked <= WORST.keys()


@asynccontextmanager
async def spoiled(
    settings: Settings, place: str, worst: Mapping[str, str]
) -> AsyncIterator[Settings]:
    """Where server, database or role bring these along; taken back from the server afterwards."""
    admin = await database.connect(settings, "admin")
    values = {"database": settings.database, "role": settings.db_username}
    try:
        for name, value in worst.items():
            await admin.execute(PLACES[place].format(name=name, value=value, **values))
        await _reloaded(admin, place)
        yield settings
    finally:
        await admin.execute("alter system reset all")
        await _reloaded(admin, place)
        await admin.close()


async def _reloaded(admin: asyncpg.Connection, place: str) -> None:
    if place == "server":
        before = await admin.fetchval("select pg_conf_load_time()")
        await admin.execute("select pg_reload_conf()")
        while await admin.fetchval("select pg_conf_load_time()") == before:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def appended_while_it_was_taken_over(settings: Settings) -> object:
    """What becomes of an append that waits for a slot's lock while that slot goes to another."""
    leader = await database.connect(settings, "leader", idle_in_transaction_session_timeout="0")
    watcher = await database.connect(settings, "watcher")
    owner = Session(settings, "owner")
    try:
        await leader.execute("update slot set owner = $1, epoch = 10 where slot = $2", ME, SLOT)
        term = await leader.fetchval("select win_term($1)", HEIR)
        transaction = leader.transaction()
        await transaction.start()
        await leader.execute(TAKE_OVER, term, HEIR, [SLOT], [10], [HEIR], ["test"], [0])
        append = asyncio.ensure_future(owner.fetch(APPEND, *_one(ME, 10, 1), within=50.0))
        await until(watcher, WAITS, "owner")
        await transaction.commit()
        refused = await append
        return RowOutcome(refused[0]["outcome"]) if refused else APPENDED
    finally:
        await owner.close()
        await watcher.close()
        await leader.close()


@pytest.mark.parametrize("place", PLACES)
async def test_an_append_that_waited_for_a_takeover_is_fenced(
    settings: Settings, place: str
) -> None:
    async with spoiled(settings, place, {ISOLATION: "repeatable read"}):
        assert await appended_while_it_was_taken_over(settings) == FENCED


async def test_without_the_isolation_pinned_nothing_is_written(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant, the build that takes the isolation that it is given, is refused by the fences."""
    rest = {n: v for n, v in server_settings.PINNED.items() if n != ISOLATION}
    monkeypatch.setattr(server_settings, "PINNED", rest)
    async with spoiled(settings, "database", {ISOLATION: "repeatable read"}):
        with pytest.raises(asyncpg.InvalidTransactionStateError, match="READ COMMITTED only"):
            await appended_while_it_was_taken_over(settings)


@pytest.mark.parametrize("place", PLACES)
async def test_everything_is_done_under_the_worst_settings(settings: Settings, place: str) -> None:
    # In postgresql.conf it bounds the start of every session too: no worse than that.
    bearable = {"transaction_timeout": "1s"} if place == "server" else {}
    async with spoiled(settings, place, {**WORST, **bearable}):
        await migrate(settings)
        await _lead_and_own(settings)
        await _serve(settings)
        session = Session(settings, "test")
        with pytest.raises(asyncpg.UndefinedTableError):  # and not: outcome unknown
            await session.fetch("select * from nothing", within=10.0)
        await session.close()


async def _lead_and_own(settings: Settings) -> None:
    leader = LeaderSession(settings, HEIR, f"wa:{HEIR.hex}:leader")
    assert await leader.try_lock()
    term = await leader.win()
    await leader.take_over(term, [Takeover(3, 0, ME, None, "unowned")], [0])
    for role, incarnation in (("master", HEIR), ("webapp", uuid4())):
        node = session_of(settings, role, incarnation)
        await node.beat(True, 10.0)
        node.terminate()

    async def only_the_heir_lives() -> bool:
        return (await leader.look()).sessions == {HEIR}

    await soon(only_the_heir_lives)
    epoch = (await leader.look()).map.slots[3].epoch
    journal = Journal(settings, ME, f"wa:{ME.hex}:owner")
    owned = {3: epoch}
    assert [opened.next_seq for opened in await journal.open(owned)] == [1]
    body = bytes(range(256))
    assert await journal.append(owned, [a_row(1, body=body)]) == {}
    assert [r.body for r in await page_of(journal, 3)] == [body]
    event = EventRow(3, 1, 0, "key", ROW.recipient, body, None)
    assert await journal.append_events(owned, [event]) == {}

    progress = ProgressColumns({3: (1, [])}, {(3, 0): (0, [1, 1])}, {})
    assert await journal.write(owned, progress) == {3}
    assert [opened.send_mark for opened in await journal.open(owned)] == [1]
    await journal.close()
    await leader.close()


async def _serve(settings: Settings) -> None:
    pool = await database.create_pool(settings, "webapp", 2)
    accounts = Accounts(pool)
    before = await accounts.auth_version()
    assert await accounts.create_user(1, "carol", "hash\\'é")
    assert await accounts.auth_version() > before
    assert await accounts.add_token(1, "carol", "hash\\'é", b"\x00token")
    assert [h.username for h in await accounts.holders([b"\x00token"])] == ["carol"]
    await accounts.change_setting(1, "test", lambda _: {"text": "back\\slash é"})
    assert await accounts.setting(1, "test") == {"text": "back\\slash é"}
    for _ in range(2):  # what a pool resets on release comes back
        async with pool.acquire() as taken:
            assert await taken.fetchval("show transaction_isolation") == "read committed"
            assert await taken.fetchval("select current_setting('transaction_timeout', true)") in (
                "10s",
                None,
            )
    await pool.close()


async def test_a_role_without_rights_may_ask_for_all_of_it(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    role = f"{settings.database}_role"
    await pool.execute(f"create role {role} login")
    try:
        await pool.execute(f"alter role {role} set {ISOLATION} = 'serializable'")
        plain = msgspec.structs.replace(settings, db_username=role)
        connection = await database.connect(plain, "test")
        assert await connection.fetchval("show transaction_isolation") == "read committed"
        await connection.close()
    finally:
        await pool.execute(f"drop role {role}")


async def test_settings_that_cannot_be_pinned_are_refused_everywhere(
    settings: Settings,
) -> None:
    pool = await database.create_pool(settings, "webapp", 2)
    async with spoiled(settings, "database", {"session_replication_role": "replica"}):
        with pytest.raises(UnfitDatabase, match="no trigger would run"):
            await database.connect(settings, "test")
        with pytest.raises(CommandError, match=r"session_replication_role is 'replica': no trigg"):
            await database.first_connection(settings, "test")
        session = Session(settings, "test")
        with pytest.raises(OutcomeUnknown, match="no trigger would run"):
            await session.fetch("select 1", within=5.0)
        await pool.expire_connections()
        with pytest.raises(UnfitDatabase) as refused:
            await pool.fetchval("select 1")
        assert is_unavailable(refused.value)
    await pool.close()


async def test_a_server_that_does_not_know_a_newer_setting_is_asked_without_it(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_settings, "NEWER", {"of_the_year_2050": "on"})
    monkeypatch.setattr(servers, "NEWER", server_settings.NEWER)
    monkeypatch.setattr(servers, "_older", set())
    for _ in range(2):
        connection = await database.connect(settings, "test")
        assert await connection.fetchval("select 1") == 1
        await connection.close()
    assert servers._older == set(settings.db_servers)


async def test_a_server_that_was_upgraded_is_asked_for_all_again(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A newer one answers where an older one refused a newer setting: same address and process."""
    monkeypatch.setattr(servers, "_older", set(settings.db_servers))
    connection = await database.connect(settings, "test")
    if connection.get_server_version().major >= server_settings.NEWER_SINCE:
        for name, value in server_settings.NEWER.items():
            assert await connection.fetchval("select current_setting($1)", name) == value
        assert not servers._older
    await connection.close()


async def test_a_name_beyond_ascii_is_no_reason_to_refuse(settings: Settings) -> None:
    """PostgreSQL shows a spelling of its own for it."""
    connection = await database.connect(settings, "wa:0123456789abcdef:b\u00fcro-1")
    shown = await connection.fetchval("show application_name")
    assert shown.startswith("wa:0123456789abcdef:b")
    await connection.close()


async def test_a_server_whose_disk_forgets_is_warned_of(settings: Settings) -> None:
    """The server of the tests has fsync off."""
    connection = await database.connect(settings, "test")
    found = await database.settings_found(connection, list(server_settings.WARNED))
    assert server_settings.dangers(found) == [
        "PostgreSQL's fsync is 'off': a crash of its machine loses acknowledged messages;"
        " set it to on."
    ]
    await connection.close()


def test_a_session_that_did_not_get_what_it_asked_for_is_refused() -> None:
    """As behind PgBouncer, which drops or refuses what it does not know."""
    asked = server_settings.startup("test", "warouter", lock_timeout="500ms")
    found: dict[str, str | None] = {n: asked.get(n) for n in server_settings.looked_at(asked)}
    assert server_settings.refusal(asked, found) == ""
    for name in server_settings.PINNED:
        sentence = server_settings.refusal(asked, {**found, name: "another"})
        assert name in sentence
        assert "PgBouncer" in sentence
