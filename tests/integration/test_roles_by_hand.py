"""Logins that were made by hand, before or beside those of ``warouter migrate --roles``."""

from __future__ import annotations

import asyncpg
import msgspec

from tests.harness.postgres import drop
from tests.harness.shell import command, printed, refused
from warouter.config import Settings, load
from warouter.local.postgres import Postgres
from warouter.store import database
from warouter.store.roles import grants


async def test_a_check_names_them(settings: Settings, pool: asyncpg.Pool) -> None:
    await printed(settings, "migrate", "--roles", "--role-prefix", "own")
    await pool.execute("drop role if exists hand_made; create role hand_made")
    await pool.execute("grant select on all tables in schema warouter to hand_made")
    try:
        check = ("migrate", "--check-roles")
        assert await printed(settings, *check) == "The roles are as they should be.\n"
        await pool.execute("grant update on slot to hand_made")
        await pool.execute("grant execute on function win_term to hand_made")
        await printed(settings, "migrate", "--roles")  # it is not taken: a process may use it
        found = await command(settings, *check)
        assert found.exit_code == 1
        assert "hand_made is none of the logins, and has 2 rights to write" in found.stdout
    finally:
        await pool.execute("drop owned by hand_made; drop role hand_made")


async def test_roles_that_the_server_lacks_are_made_again(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    """As after a restore on another server; a plain migrate goes on as whoever restored it."""
    await printed(settings, "migrate", "--roles", "--role-prefix", "own")
    await pool.execute("update database_role set name = 'lost_' || kind")
    assert await printed(settings, "migrate") == "up to date\n"
    found = await command(settings, "migrate", "--check-roles")
    assert found.exit_code == 1
    assert "There is no role lost_owner, which is to be that of the owner." in found.stdout
    lost = ", ".join(f"lost_{kind}" for kind in ("owner", *grants.KINDS))
    try:
        said = await printed(settings, "migrate", "--roles")
        assert "Role lost_webapp was made." in said
        check = ("migrate", "--check-roles")
        assert "own_" in (await command(settings, *check)).stdout  # of the roles of before
    finally:
        await pool.execute(f"reassign owned by {lost} to postgres")
        await pool.execute(f"drop owned by {lost}; drop role {lost}")


async def test_a_kind_that_came_later_gets_its_login_with_the_next_roles(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    """Logins that an older build made go on meanwhile, and get their rights to what is new."""
    await printed(settings, "migrate", "--roles", "--role-prefix", "own")
    await pool.execute("drop owned by own_web_console; drop role own_web_console")
    await pool.execute("delete from database_role where kind = 'web_console'")
    await pool.execute("revoke select on owner_log from own_reader")
    assert await printed(settings, "migrate") == "up to date\n"
    check = ("migrate", "--check-roles")
    found = await command(settings, *check)
    assert found.exit_code == 1
    assert found.stdout == (
        "There is no login for the kind web_console yet: `warouter migrate --roles` makes it.\n"
    )
    said = await printed(settings, "migrate", "--roles", "--role-prefix", "own")
    assert "Role own_web_console was made." in said
    assert await printed(settings, *check) == "The roles are as they should be.\n"
    await refused(settings, "migrate", "--roles", "--role-prefix", "others")


async def test_roles_are_recorded_all_or_none(settings: Settings, pool: asyncpg.Pool) -> None:
    """Half of them would be taken for all by whoever runs it again."""
    await pool.execute(
        "create function full_up() returns trigger language plpgsql as"
        " $$begin raise 'no space left'; end$$;"
        "create trigger full_up before insert on database_role for each row"
        " when (new.kind = 'master') execute function full_up()"
    )
    said = await refused(settings, "migrate", "--roles", "--role-prefix", "own")
    assert "no space left" in said
    assert await pool.fetchval("select count(*) from database_role") == 0
    await pool.execute("drop function full_up cascade")
    await printed(settings, "migrate", "--roles", "--role-prefix", "own")
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
    said = await refused(settings, "migrate", "--roles", "--role-prefix", "own")
    assert "stopped in the middle" in said
    append = "append_messages(null, '{}', '{}', '{}', '{}', '{}', '{}', null, '{}')"
    assert await pool.fetch(f"select * from {append}") == []
    await pool.execute("drop event trigger stop; drop function stop()")
    await printed(settings, "migrate", "--roles", "--role-prefix", "own")
    assert await pool.fetch(f"select * from {append}") == []


async def test_a_login_is_not_taken_away_from_another_database(
    settings: Settings, pool: asyncpg.Pool, postgres: Postgres
) -> None:
    """Roles belong to the server: here two databases have the same owner."""
    other = load(postgres.settings("beside"))
    for each in (settings, other):
        await printed(each, "migrate", "--roles", "--role-prefix", "own")
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
