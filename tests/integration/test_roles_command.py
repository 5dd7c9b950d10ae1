"""``warouter migrate --roles``: what it makes, of what, and what ``--check-roles`` finds wrong."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from asyncio import to_thread
from base64 import b64decode
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import asyncpg
import msgspec
import pytest
import pytest_asyncio

from tests.harness import prepared
from tests.harness.postgres import drop
from tests.harness.shell import command, printed, refused
from warouter.config import Settings, load
from warouter.errors import CommandError
from warouter.local.postgres import Postgres
from warouter.node.runtime import ProcessIdentity, check_database
from warouter.store import database
from warouter.store.account.accounts import ADMIN, Accounts
from warouter.store.journal import Journal
from warouter.store.roles import grants
from warouter.store.roles.password import password_in, verifier

# A server has roles, and not one database of it: those of this file have their own prefix.
MAKE = ("migrate", "--roles", "--role-prefix", "own")
CHECK = ("migrate", "--check-roles")
RIGHT = "The roles are as they should be.\n"


def as_login(settings: Settings, name: str) -> Settings:
    return msgspec.structs.replace(settings, db_username=name)


@pytest_asyncio.fixture
async def made(settings: Settings) -> Settings:
    """A database with roles."""
    await printed(settings, *MAKE)
    return settings


_COUNTS = """
select (select count(*) from pg_tables where schemaname = 'warouter'),
       (select count(*) from pg_proc where pronamespace = 'warouter'::regnamespace)"""


async def test_a_second_run_makes_no_roles(settings: Settings, pool: asyncpg.Pool) -> None:
    first = await printed(settings, *MAKE)
    tables, functions = await pool.fetchrow(_COUNTS)
    assert f"{tables} tables and {functions} functions belong to own_owner now." in first
    assert "postgres is a superuser and may do everything still" in first
    again = await printed(settings, "migrate", "--roles")
    assert again == (
        "up to date\npostgres is a superuser and may do everything still: let no process use it.\n"
    )
    assert await printed(settings, *CHECK) == RIGHT
    assert await printed(settings, "migrate") == "up to date\n"
    assert await printed(settings, *CHECK) == RIGHT


_WRONG = (
    ("grant delete on audit to own_reader", "own_reader has the right to delete on table audit"),
    ("grant select (body) on message to own_master", "own_master has the right to select (body)"),
    (
        "grant execute on function bump() to public",
        "Everybody has the right to execute on function",
    ),
    ("grant create on schema warouter to public", "Everybody has the right to create on schema"),
    ("grant temp on database {} to public", "Everybody has the right to temporary on database"),
    (
        "revoke insert on token from own_webapp",
        "own_webapp lacks the right to insert on table token",
    ),
    (
        "revoke execute on function win_term(uuid) from own_master",
        "own_master lacks the right to execute on function win_term(uuid)",
    ),
    ("alter table slot owner to postgres", "Table slot belongs to postgres, not to own_owner"),
    ("alter function bump() owner to postgres", "Function bump() belongs to postgres"),
    (
        "alter function bump() security invoker",
        "Function bump() runs with the rights of the caller",
    ),
    ("alter function bump() reset search_path", "Function bump() does not look for its tables in"),
    ("alter role own_webapp createrole", "own_webapp has the attribute createrole"),
    ("alter role own_owner login", "own_owner may log in"),
    ("grant own_owner to own_coreapp", "own_coreapp is a member of own_owner"),
    ("revoke own_coreapp from own_owner", "own_owner is no member of own_coreapp"),
)


async def test_a_check_finds_what_is_wrong_and_roles_mends_it(
    made: Settings, pool: asyncpg.Pool
) -> None:
    for sql, said in _WRONG:
        if sql.startswith("grant own_owner"):  # a circle is refused by PostgreSQL
            await pool.execute("revoke own_coreapp from own_owner")
        await pool.execute(sql.format(made.database))
        found = await command(made, *CHECK)
        assert found.exit_code == 1, sql
        assert said in found.stdout, (sql, found.stdout)
        if "attribute" in said or "is a member" in said:  # not for it to take
            await pool.execute("alter role own_webapp nocreaterole")
            await pool.execute("revoke own_owner from own_coreapp")
        await printed(made, "migrate", "--roles")
        assert await printed(made, *CHECK) == RIGHT, sql


async def test_the_exit_code_of_a_check_is_for_monitoring(
    postgres: Postgres, made: Settings, pool: asyncpg.Pool
) -> None:
    """By a process of its own: what a shell sees is not what the command asked for."""
    environment = os.environ | postgres.settings(made.database)
    call = (sys.executable, "-m", "warouter", *CHECK)
    for wrong in (False, True):
        if wrong:
            await pool.execute("grant delete on token to own_reader")
        done = await to_thread(subprocess.run, call, env=environment, capture_output=True)
        assert done.returncode == wrong, done.stdout


async def test_without_roles_there_is_nothing_to_check(settings: Settings) -> None:
    assert "One login does everything here" in await refused(settings, *CHECK)


async def test_an_administrator_without_the_right_is_told_so(
    made: Settings, pool: asyncpg.Pool
) -> None:
    await pool.execute("drop role if exists nobody_special")
    await pool.execute("create role nobody_special login")
    await pool.execute(f"grant connect on database {made.database} to nobody_special")
    plain = as_login(made, "nobody_special")
    assert "nobody_special has no right to use" in await refused(plain, "migrate")
    assert "may not act as own_owner" in await refused(as_login(made, "own_console"), "migrate")
    assert "Role" not in await refused(as_login(made, "own_console"), "migrate", "--roles")
    assert "A right is missing" in await refused(plain, "status")
    with pytest.raises(CommandError, match="A right is missing"):  # the start of a process
        await check_database(plain, ProcessIdentity(plain, "master"))
    await pool.execute("grant usage on schema warouter to nobody_special")
    with pytest.raises(CommandError, match="nobody_special: permission denied for table"):
        await check_database(plain, ProcessIdentity(plain, "webapp"))
    await pool.execute("drop owned by nobody_special")
    assert "no plain name" in await refused(made, "migrate", "--roles", "--role-prefix", 'a"b')
    assert "already" in await refused(made, "migrate", "--roles", "--role-prefix", "other")


@pytest.mark.parametrize(
    ("kind", "role"), [("master", "coreapp"), ("reader", "webapp"), ("webapp", "master")]
)
async def test_a_process_with_the_login_of_another_kind_does_not_start(
    made: Settings, kind: str, role: str
) -> None:
    mine, wrong = as_login(made, f"own_{role}"), as_login(made, f"own_{kind}")
    await check_database(mine, ProcessIdentity(mine, role))
    await check_database(made, ProcessIdentity(made, role))  # a superuser, whom nothing limits
    with pytest.raises(CommandError, match=f"set WA_DB_USERNAME to own_{role}"):
        await check_database(wrong, ProcessIdentity(wrong, role))


# a database of today: one login owns everything, and is no superuser


@pytest_asyncio.fixture
async def today(settings: Settings, pool: asyncpg.Pool) -> AsyncIterator[Settings]:
    """Its one login owns the database and may make roles, as managed services give it."""
    await pool.execute("drop role if exists single")
    await pool.execute("create role single login createrole")
    await pool.execute(f"alter database {settings.database} owner to single")
    await pool.execute("alter schema warouter owner to single")
    for table in await pool.fetch("select tablename from pg_tables where schemaname = 'warouter'"):
        await pool.execute(f"alter table {table[0]} owner to single")
    for function in await pool.fetch(
        "select oid::regprocedure::text from pg_proc where pronamespace = 'warouter'::regnamespace"
    ):
        await pool.execute(f"alter function {function[0]} owner to single")
    yield as_login(settings, "single")
    for role in ("owner", "webapp", "coreapp", "master", "console", "reader"):
        await pool.execute(f"drop owned by today_{role}")
    await pool.execute(f"alter database {settings.database} owner to postgres")
    await pool.execute("drop owned by single")
    for role in ("owner", "webapp", "coreapp", "master", "console", "reader"):
        await pool.execute(f"drop role today_{role}")
    await pool.execute("drop role single")


async def test_the_one_login_of_today_goes_on_until_it_is_revoked(
    today: Settings, pool: asyncpg.Pool
) -> None:
    """An administrator who is no superuser makes the roles, while processes use its login."""
    me, name = uuid4(), "wa:test"
    await pool.execute("update slot set owner = $1, epoch = 1 where slot = 1", me)
    old = Journal(today, me, name)
    assert await old.problem() == ""
    said = await printed(today, "migrate", "--roles", "--role-prefix", "today")
    assert "single may do everything still: once no process uses it" in said
    # Before PostgreSQL 16 CREATEROLE was good for that, too.
    new = await pool.fetchval("select current_setting('server_version_num')::integer >= 160000")
    without = "pg_read_all_stats could not be granted to today_owner: it goes without."
    assert (without in said) is new
    assert await printed(today, *CHECK) == RIGHT
    assert await old.problem() == ""
    assert len(await old.open({1: 1})) == 1
    mine = Journal(as_login(today, "today_coreapp"), me, name)
    assert await mine.problem() == ""
    assert len(await mine.open({1: 1})) == 1
    assert "You are single" in await refused(today, "migrate", "--revoke-role", "single")
    other = as_login(today, "postgres")
    assert "sessions of processes use single" in await refused(
        other, "migrate", "--revoke-role", "single"
    )
    await old.close()
    await mine.close()
    said = await printed(other, "migrate", "--revoke-role", "single")
    assert "single is no member of today_owner any more." in said
    assert f"Database {today.database} belongs to today_owner now." in said
    assert "single has CREATEROLE still" in said
    assert "no member" in await refused(other, "migrate", "--revoke-role", "single")
    # Who had made the roles could take them.
    await pool.execute("alter role single nocreaterole")
    elsewhere = msgspec.structs.replace(today, db_name="postgres", db_schema="public")
    gone = await database.connect(elsewhere, "test")
    for role in ("owner", "webapp", "coreapp"):
        for sql in (f"grant today_{role} to single", f"alter role today_{role} password 'x'"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await gone.execute(sql)
    await gone.close()
    assert await printed(other, *CHECK) == RIGHT
    assert "no member" in await refused(other, "migrate", "--revoke-role", "today_owner")
    assert "permission denied for database" in await refused(today, "migrate")


async def test_a_mere_owner_of_the_database_is_named_and_relieved(
    today: Settings, pool: asyncpg.Pool
) -> None:
    """As its owner a login that was revoked could close and drop it still."""
    other = as_login(today, "postgres")
    await printed(today, "migrate", "--roles", "--role-prefix", "today")
    for grantor in await pool.fetch(
        "select grantor::regrole::text from pg_auth_members"
        " where roleid = 'today_owner'::regrole and member = 'single'::regrole"
    ):
        await pool.execute(f"revoke today_owner from single granted by {grantor[0]} cascade")
    assert (
        f"Database {today.database} belongs to single, who can drop it"
        in (await command(other, *CHECK)).stdout
    )
    await pool.execute("drop role if exists plain")
    await pool.execute("create role plain login")
    await pool.execute("grant today_owner to plain")
    plain = as_login(today, "plain")
    assert "permission denied" in await refused(plain, "migrate", "--revoke-role", "single")
    await pool.execute("drop role plain")
    await printed(other, "migrate", "--revoke-role", "single")
    assert await printed(other, *CHECK) == RIGHT


# passwords


async def test_a_password_is_drawn_once_and_kept_as_a_verifier(
    settings: Settings, pool: asyncpg.Pool, tmp_path: Path
) -> None:
    folder = tmp_path / "passwords"
    (tmp_path / "passwords").mkdir()
    (folder / "reader.password").write_text("chosen\n")
    (folder / "reader.password").chmod(0o600)
    await printed(settings, *MAKE, "--password-dir", str(folder))
    drawn = (folder / "webapp.password").read_text().strip()
    assert len(drawn) > 40
    assert (folder / "webapp.password").stat().st_mode & 0o777 == 0o600
    sql = "select rolpassword from pg_authid where rolname = $1"
    for role, password in (("own_webapp", drawn), ("own_reader", "chosen")):
        kept = await pool.fetchval(sql, role)
        salt = salt_of(kept)
        assert kept == verifier(password, salt)
    assert await pool.fetchval(sql, "own_owner") is None
    await printed(settings, "migrate", "--roles", "--password-dir", str(folder))
    assert (folder / "webapp.password").read_text().strip() == drawn
    for role in ("webapp", "coreapp", "master", "console", "reader"):
        await pool.execute(f"alter role own_{role} password null")


def salt_of(kept: str) -> bytes:
    found = re.fullmatch(r"SCRAM-SHA-256\$4096:([^$]+)\$[^:]+:.+", kept)
    assert found is not None
    return b64decode(found[1])


async def test_the_verifier_is_the_one_that_postgresql_computes(pool: asyncpg.Pool) -> None:
    await pool.execute("set password_encryption = 'scram-sha-256'")
    await pool.execute("drop role if exists counted")
    await pool.execute("create role counted password 'a pass word'")
    kept = await pool.fetchval("select rolpassword from pg_authid where rolname = 'counted'")
    assert kept == verifier("a pass word", salt_of(kept))
    await pool.execute("drop role counted")


def test_a_password_file_is_held_to_the_rule_of_all_secrets() -> None:
    folder = prepared.reachable_folder()
    path = folder / "webapp.password"
    for content, mode, sentence in (
        ("secret\n", 0o644, "everybody on this machine may read it"),
        ("\n", 0o600, "it is empty"),
        ("sécret\n", 0o600, "it is not ASCII"),
    ):
        path.write_text(content)
        path.chmod(mode)
        with pytest.raises(CommandError, match=f"{path} cannot be used: {sentence}"):
            password_in(folder, "webapp")
    path.write_text("new secret\nold\n")
    path.chmod(0o640)  # its group may be that of the processes
    assert password_in(folder, "webapp") == "new secret"
    shutil.rmtree(folder)


# the commands of operators, each under its login


@pytest.mark.parametrize("kind", ["console", "reader"])
async def test_rights_of_an_operator_who_looks(
    made: Settings, pool: asyncpg.Pool, kind: str
) -> None:
    await pool.execute(
        "insert into event (slot, seq, kind, key, recipient, payload)"
        " values (1, 1, 1, 'gBEGkYiEB1', '49151', '{}')"
    )
    login = as_login(made, f"own_{kind}")
    for arguments in (
        *(("status",), ("status", "--json"), ("status", "--history", "5"), ("audit",)),
        *(("trace", "gBEGkYiEB1"), ("doubt", "list"), ("callbacks", "list")),
        *(("messages",), ("messages", "--state", "held", "--code", "1", "--id", "")),
        ("messages", "--state", "failed", "--code", "410"),
    ):
        found = await command(login, *arguments)
        if (kind, arguments[0]) == ("reader", "callbacks"):  # they show what people wrote
            assert "A right is missing" in str(found.exception)
        else:
            assert found.exit_code == 0, (arguments, found.exception)


async def test_rights_of_an_operator_who_acts(made: Settings, pool: asyncpg.Pool) -> None:
    console = as_login(made, "own_console")
    await pool.execute(
        "insert into dead_letter (slot, seq, kind, key, recipient, payload, attempts, reason)"
        " values (1, 1, 0, 'x:sent:1', '49151', '{}', 1, 'refused')"
    )
    await printed(console, "callbacks", "show", "status-1-1")
    await printed(console, "callbacks", "replay", "status-1-1")
    assert await pool.fetchval("select asked_at is not null from dead_letter")
    own = await database.create_pool(console, "test", 1)
    accounts = Accounts(own)
    assert await accounts.create_user(1, "someone", "hash", ADMIN)
    await accounts.set_password(1, "someone", "other")
    await own.close()


# Logins that were made by hand, before or beside those of the command


async def test_a_check_names_them(settings: Settings, pool: asyncpg.Pool) -> None:
    await printed(settings, *MAKE)
    await pool.execute("drop role if exists hand_made; create role hand_made")
    await pool.execute("grant select on all tables in schema warouter to hand_made")
    try:
        assert await printed(settings, *CHECK) == RIGHT
        await pool.execute("grant update on slot to hand_made")
        await pool.execute("grant execute on function win_term to hand_made")
        await printed(settings, "migrate", "--roles")  # it is not taken: a process may use it
        found = await command(settings, *CHECK)
        assert found.exit_code == 1
        assert "hand_made is none of the logins, and has 2 rights to write" in found.stdout
    finally:
        await pool.execute("drop owned by hand_made; drop role hand_made")


async def test_roles_that_the_server_lacks_are_made_again(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    """As after a restore on another server; a plain migrate goes on as whoever restored it."""
    await printed(settings, *MAKE)
    await pool.execute("update database_role set name = 'lost_' || kind")
    assert await printed(settings, "migrate") == "up to date\n"
    found = await command(settings, *CHECK)
    assert found.exit_code == 1
    assert "There is no role lost_owner, which is to be that of the owner." in found.stdout
    lost = ", ".join(f"lost_{kind}" for kind in ("owner", *grants.KINDS))
    try:
        said = await printed(settings, "migrate", "--roles")
        assert "Role lost_webapp was made." in said
        assert "own_" in (await command(settings, *CHECK)).stdout  # of the roles of before
    finally:
        await pool.execute(f"reassign owned by {lost} to postgres")
        await pool.execute(f"drop owned by {lost}; drop role {lost}")


async def test_a_kind_that_came_later_gets_its_login_with_the_next_roles(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    """Logins that an older build made go on meanwhile, and get their rights to what is new."""
    await printed(settings, *MAKE)
    await pool.execute("drop owned by own_web_console; drop role own_web_console")
    await pool.execute("delete from database_role where kind = 'web_console'")
    await pool.execute("revoke select on owner_log from own_reader")
    assert await printed(settings, "migrate") == "up to date\n"
    found = await command(settings, *CHECK)
    assert found.exit_code == 1
    assert found.stdout == (
        "There is no login for the kind web_console yet: `warouter migrate --roles` makes it.\n"
    )
    said = await printed(settings, *MAKE)
    assert "Role own_web_console was made." in said
    assert await printed(settings, *CHECK) == RIGHT
    await refused(settings, "migrate", "--roles", "--role-prefix", "others")


async def test_roles_are_recorded_all_or_none(settings: Settings, pool: asyncpg.Pool) -> None:
    """Half of them would be taken for all by whoever runs it again."""
    await pool.execute(
        "create function full_up() returns trigger language plpgsql as"
        " $$begin raise 'no space left'; end$$;"
        "create trigger full_up before insert on database_role for each row"
        " when (new.kind = 'master') execute function full_up()"
    )
    said = await refused(settings, *MAKE)
    assert "no space left" in said
    assert await pool.fetchval("select count(*) from database_role") == 0
    await pool.execute("drop function full_up cascade")
    await printed(settings, *MAKE)
    assert await pool.fetchval("select count(*) from database_role") == 7


async def test_functions_change_their_owner_all_or_none(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    """Traffic goes on meanwhile, and they call each other."""
    await pool.execute(
        "create function stop() returns event_trigger language plpgsql as $$begin"
        " if exists (select from pg_event_trigger_ddl_commands() where object_identity like"
        " '%held_slots%') then raise 'stopped in the middle'; end if; end$$;"
        "create event trigger stop on ddl_command_end when tag in ('ALTER FUNCTION')"
        " execute function stop()"
    )
    said = await refused(settings, *MAKE)
    assert "stopped in the middle" in said
    append = "append_messages(null, '{}', '{}', '{}', '{}', '{}', '{}', null, '{}', null, null)"
    assert await pool.fetch(f"select * from {append}") == []
    await pool.execute("drop event trigger stop; drop function stop()")
    await printed(settings, *MAKE)
    assert await pool.fetch(f"select * from {append}") == []


async def test_a_login_is_not_taken_away_from_another_database(
    settings: Settings, pool: asyncpg.Pool, postgres: Postgres
) -> None:
    """Roles belong to the server: here two databases have the same owner."""
    other = load(postgres.settings("beside"))
    for each in (settings, other):
        await printed(each, *MAKE)
    await pool.execute("drop role if exists former; create role former login")
    await pool.execute("grant own_owner to former")
    await pool.execute(f"alter database {settings.database} owner to former")
    revoke = ("migrate", "--revoke-role", "former")
    try:
        await pool.execute("grant connect on database beside to former")
        process = await database.connect(
            msgspec.structs.replace(other, db_username="former"), "wa:x"
        )
        assert "1 sessions of processes use former still" in await refused(settings, *revoke)
        await process.close()
        said = await printed(settings, *revoke)
        assert "former is no member of own_owner any more." in said
        assert f"Database {settings.database} belongs to own_owner now." in said
    finally:
        await pool.execute(f"alter database {settings.database} owner to postgres")
        await drop(postgres, other)
        await pool.execute("drop owned by former; drop role former")
