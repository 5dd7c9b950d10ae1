"""What keeps a coreapp from the work of an owner, as PostgreSQL tells it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import uuid4

import asyncpg
import msgspec
import pytest
import pytest_asyncio

from warouter.config import Settings
from warouter.owner.writable import Writable
from warouter.store.journal import Journal

ROLE, OWNER = "lame_coreapp", "lame_owner"


_DEFINERS = """
select oid::regprocedure::text from pg_proc
 where pronamespace = current_schema()::regnamespace and prosecdef and prorettype <> 2279"""


class Lame:
    """A coreapp that may call everything, and an owner of what it calls who may write everything,
    until a test takes something away.
    """

    def __init__(self, pool: asyncpg.Pool, settings: Settings) -> None:
        self.schema = settings.db_schema
        self.run = pool.execute
        own = msgspec.structs.replace(settings, db_username=ROLE)
        self.journal = Journal(own, uuid4(), "test")
        self.writable = Writable(self.journal)
        self.with_requests = Writable(self.journal, requests=True)

    async def problem(self) -> str:
        return await _looked(self.writable)

    async def problem_with_requests(self) -> str:
        """With the Cloud API."""
        return await _looked(self.with_requests)


async def _looked(writable: Writable) -> str:
    await writable.look()
    return writable.problem


@pytest_asyncio.fixture
async def lame(settings: Settings, pool: asyncpg.Pool) -> AsyncIterator[Lame]:
    schema = settings.db_schema
    await pool.execute(f"drop role if exists {ROLE}, {OWNER}")
    await pool.execute(f"create role {ROLE} login")
    await pool.execute(f"create role {OWNER}")
    await pool.execute(f"grant usage on schema {schema} to {ROLE}")
    await pool.execute(f"grant all on schema {schema} to {OWNER}")
    await pool.execute(f"grant all on all functions in schema {schema} to {ROLE}, {OWNER}")
    await pool.execute(f"grant all on all tables in schema {schema} to {OWNER}")
    await pool.execute(f"grant select on all tables in schema {schema} to {ROLE}")
    for function in await pool.fetch(_DEFINERS):
        await pool.execute(f"alter function {function[0]} owner to {OWNER}")
    lame = Lame(pool, settings)
    yield lame
    await lame.journal.close()
    await pool.execute(f"drop owned by {ROLE}")
    await pool.execute(f"reassign owned by {OWNER} to postgres; drop owned by {OWNER}")
    await pool.execute(f"drop role {ROLE}, {OWNER}")


async def test_a_coreapp_that_may_do_everything_can_write(
    lame: Lame, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    assert not lame.writable.ok()  # as long as nobody has looked
    assert await lame.problem() == ""
    assert lame.writable.ok()
    assert caplog.messages == []  # a start is no recovery


@pytest.mark.parametrize(
    "function", ["append_messages", "record_progress", "issue_requests", "drain_inbox"]
)
async def test_a_right_to_a_function_is_missed(lame: Lame, function: str) -> None:
    assert await lame.problem() == ""
    await lame.run(
        f"""do $$ declare f regprocedure; begin
        for f in select oid from pg_proc where proname = '{function}' loop
            execute 'revoke execute on function ' || f || ' from {ROLE}';
        end loop; end $$"""
    )
    assert f"no right to execute {function}" in await lame.problem()
    await lame.run(f"grant execute on all functions in schema {lame.schema} to {ROLE}")
    assert await lame.problem() == ""


@pytest.mark.parametrize(
    ("right", "table"),
    [("insert", "message"), ("update", "send_cursor"), ("insert", "send_issue")],
)
async def test_a_right_of_the_owner_to_a_table_is_missed(
    lame: Lame, right: str, table: str
) -> None:
    await lame.run(f"revoke {right} on {table} from {OWNER}")
    assert await lame.problem() == f"no right to {right} {table}"


async def test_both_sessions_are_looked_at(lame: Lame) -> None:
    await lame.run(f"alter role {ROLE} connection limit 1")
    assert "too many connections" in await lame.problem()
    await lame.run(f"alter role {ROLE} connection limit 2")
    assert await lame.problem() == ""


async def test_with_the_cloud_api_all_four_sessions_are_looked_at(lame: Lame) -> None:
    for connections in (2, 3):
        await lame.run(f"alter role {ROLE} connection limit {connections}")
        assert "too many connections" in await lame.problem_with_requests()
    await lame.run(f"alter role {ROLE} connection limit 4")
    assert await lame.problem_with_requests() == ""


async def test_without_the_right_to_the_inbox_no_coreapp_owns(lame: Lame) -> None:
    assert await lame.problem_with_requests() == ""
    await lame.run(f"revoke select on cloud_inbox from {ROLE}")
    assert "permission denied" in await lame.problem_with_requests()
    assert await lame.problem() == ""  # with the simulator nobody reads it


async def test_a_slot_is_not_opened_without_the_session_of_appends(lame: Lame) -> None:
    """Both are opened before a slot is taken."""
    await lame.run(f"alter role {ROLE} connection limit 1")
    with pytest.raises(Exception, match="too many connections"):
        await lame.journal.open({3: 1})
