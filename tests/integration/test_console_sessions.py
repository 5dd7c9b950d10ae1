"""Sessions of the console on a real PostgreSQL, under the login of the console."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from hashlib import sha256

import asyncpg
import msgspec
import pytest
import pytest_asyncio

from tests.harness.journals import OWNED, event, row
from warouter.config import Settings
from warouter.kinds import INBOUND
from warouter.message_id import text_of
from warouter.store.account import users
from warouter.store.account.accounts import ADMIN, USER, Accounts
from warouter.store.account.sessions import ConsoleSessions, Who, listed
from warouter.store.audit import Audit
from warouter.store.database import create_pool
from warouter.store.journal import Journal
from warouter.store.migrate import administering
from warouter.store.roles.catalogue import recorded
from warouter.store.roles.create import create

HERE = "192.0.2.7"
# By a statement that knows no sessions, under the login of a webapp.
SET_PASSWORD = """
update user_account set password_hash = $2, must_change = false where username = $1
returning username"""


def key(name: str) -> bytes:
    return sha256(name.encode()).digest()


@pytest_asyncio.fixture
async def names(settings: Settings) -> dict[str, str]:
    async with administering(settings) as connection:
        await create(connection, None, None)
        return await recorded(connection)


@pytest_asyncio.fixture
async def console(settings: Settings, names: dict[str, str]) -> AsyncIterator[asyncpg.Pool]:
    """A pool under the console's own login."""
    own = msgspec.structs.replace(settings, db_username=names["web_console"])
    made = await create_pool(own, "console", 2)
    yield made
    await made.close()


@pytest_asyncio.fixture
async def sessions(console: asyncpg.Pool, pool: asyncpg.Pool) -> ConsoleSessions:
    accounts = Accounts(pool)
    await accounts.create_user(1, "alice", "h", ADMIN)
    await accounts.create_user(1, "robert", "h", USER)
    return ConsoleSessions(console)


async def aged(pool: asyncpg.Pool, seconds: int) -> None:
    """As though all sessions had begun so long ago, and not been seen since."""
    await pool.execute(
        "update console_session set created_at = created_at - $1 * interval '1 s',"
        " seen_at = seen_at - $1 * interval '1 s', expires_at = expires_at - $1 * interval '1 s'",
        seconds,
    )


async def test_a_session_is_its_users_until_it_is_ended(
    sessions: ConsoleSessions, pool: asyncpg.Pool
) -> None:
    assert await sessions.begin(1, "alice", "h", key("1"), HERE) == Who(1, "alice", ADMIN)
    assert await sessions.visitor(key("1")) == Who(1, "alice", ADMIN)
    (found,) = await listed(pool, 1)
    assert (found.username, found.source) == ("alice", HERE)
    assert await sessions.visitor(key("2")) is None
    assert await sessions.end(key("1")) == "alice"
    assert await sessions.end(key("1")) is None
    assert await sessions.visitor(key("1")) is None
    assert await listed(pool, 1) == []


async def test_a_session_begins_only_with_the_password_that_was_checked(
    sessions: ConsoleSessions, pool: asyncpg.Pool
) -> None:
    assert await sessions.begin(1, "alice", "other", key("1"), HERE) is None
    assert await sessions.begin(1, "nobody", "h", key("1"), HERE) is None
    await pool.execute("update user_account set must_change = true where username = 'robert'")
    assert await sessions.begin(1, "robert", "h", key("1"), HERE) is None
    assert await listed(pool, 1) == []


@pytest.mark.parametrize(("unseen", "lives"), [(29 * 60, True), (31 * 60, False)])
async def test_a_session_ends_half_an_hour_unseen(
    sessions: ConsoleSessions, pool: asyncpg.Pool, unseen: int, lives: bool
) -> None:
    await sessions.begin(1, "alice", "h", key("1"), HERE)
    await aged(pool, unseen)
    assert (await sessions.visitor(key("1"), seen=False) is not None) is lives
    assert (await sessions.visitor(key("1")) is not None) is lives  # seen again, if in time
    await aged(pool, unseen)
    assert (await sessions.visitor(key("1")) is not None) is lives


async def test_a_session_ends_after_twelve_hours_however_often_it_is_seen(
    sessions: ConsoleSessions, pool: asyncpg.Pool
) -> None:
    await sessions.begin(1, "alice", "h", key("1"), HERE)
    for _ in range(12 * 3 - 1):
        await aged(pool, 20 * 60)
        assert await sessions.visitor(key("1"))
    await aged(pool, 20 * 60)
    assert await sessions.visitor(key("1")) is None


async def test_that_it_was_seen_is_written_once_a_minute(
    sessions: ConsoleSessions, pool: asyncpg.Pool
) -> None:
    await sessions.begin(1, "alice", "h", key("1"), HERE)
    written = "select xmin::text from console_session"
    first = await pool.fetchval(written)
    await sessions.visitor(key("1"))
    assert await pool.fetchval(written) == first
    await aged(pool, 61)
    second = await pool.fetchval(written)
    await sessions.visitor(key("1"), seen=False)
    assert await pool.fetchval(written) == second
    await sessions.visitor(key("1"))
    assert await pool.fetchval(written) != second


@pytest.mark.parametrize(
    "change",
    [
        "update user_account set password_hash = 'new' where username = 'alice'",
        "update user_account set role = 'ROLE_USER' where username = 'alice'",
        "update user_account set must_change = true where username = 'alice'",
        "delete from user_account where username = 'alice'",
    ],
)
async def test_a_change_of_the_user_ends_all_their_sessions_whoever_makes_it(
    sessions: ConsoleSessions, pool: asyncpg.Pool, change: str
) -> None:
    for name in "12":
        await sessions.begin(1, "alice", "h", key(name), HERE)
    await sessions.begin(1, "robert", "h", key("3"), HERE)
    await pool.execute("update user_account set created_at = now()")  # is no such change
    assert len(await listed(pool, 1)) == 3
    await pool.execute(change)
    assert [each.username for each in await listed(pool, 1)] == ["robert"]
    assert await sessions.visitor(key("1")) is None


@pytest.mark.parametrize("kind", ["webapp", "console", "web_console"])
async def test_logins_that_know_no_sessions_end_them_so(
    settings: Settings,
    names: dict[str, str],
    sessions: ConsoleSessions,
    pool: asyncpg.Pool,
    kind: str,
) -> None:
    """A webapp, ``warouter user`` of any, and the console itself."""
    await sessions.begin(1, "alice", "h", key("1"), HERE)
    await sessions.begin(1, "robert", "h", key("2"), HERE)
    own = msgspec.structs.replace(settings, db_username=names[kind])
    theirs = await create_pool(own, "before", 1)
    assert await theirs.fetchval(SET_PASSWORD, "alice", "new") == "alice"
    assert await users.remove(theirs, 1, "robert")
    await theirs.close()
    assert await listed(pool, 1) == []


async def test_a_user_keeps_the_last_twenty_and_nobody_what_has_ended(
    sessions: ConsoleSessions, pool: asyncpg.Pool
) -> None:
    await sessions.begin(1, "robert", "h", key("r"), HERE)
    for n in range(22):
        await sessions.begin(1, "alice", "h", key(str(n)), HERE)
    live = [await sessions.visitor(key(str(n))) is not None for n in range(22)]
    assert live == [False, False] + [True] * 20
    assert await sessions.visitor(key("r"))
    await aged(pool, 3600)
    await sessions.begin(1, "robert", "h", key("s"), HERE)
    assert await pool.fetchval("select count(*) from console_session") == 1


async def test_an_administrator_ends_all_sessions_and_tokens_of_one_user(
    sessions: ConsoleSessions, pool: asyncpg.Pool
) -> None:
    accounts = Accounts(pool)
    for user, name in (("alice", "t"), ("robert", "u")):
        await accounts.add_token(1, user, "h", key(name))
    for name in "12":
        await sessions.begin(1, "alice", "h", key(name), HERE)
    await sessions.begin(1, "robert", "h", key("3"), HERE)
    assert await sessions.end_all(1, "alice") == (2, 1)
    assert await sessions.end_all(1, "alice") == (0, 0)
    assert [each.username for each in await accounts.holders([key("t"), key("u")])] == ["robert"]
    assert [each.username for each in await listed(pool, 1)] == ["robert"]


# ---------------------------------------------------------------- acting through the API


async def test_a_token_of_a_session_is_its_users_for_a_minute(
    sessions: ConsoleSessions, pool: asyncpg.Pool
) -> None:
    accounts = Accounts(pool)
    await sessions.begin(1, "alice", "h", key("1"), HERE)
    assert await sessions.token(key("1"), key("t"))
    (holder,) = await accounts.holders([key("t")])
    assert (holder.username, holder.role) == ("alice", ADMIN)
    assert 50 < holder.seconds_left <= 60
    before = await accounts.auth_version()
    await sessions.forget_token(key("t"))
    assert await accounts.holders([key("t")]) == []
    assert await accounts.auth_version() > before  # webapps hear of it


async def test_without_a_live_session_there_is_no_token(
    sessions: ConsoleSessions, pool: asyncpg.Pool
) -> None:
    await sessions.begin(1, "alice", "h", key("1"), HERE)
    assert not await sessions.token(key("2"), key("t"))
    await aged(pool, 31 * 60)
    assert not await sessions.token(key("1"), key("t"))
    assert await pool.fetchval("select count(*) from token") == 0


async def test_a_session_is_no_token_and_a_token_no_session(
    sessions: ConsoleSessions, pool: asyncpg.Pool
) -> None:
    accounts = Accounts(pool)
    await accounts.add_token(1, "alice", "h", key("token"))
    await sessions.begin(1, "alice", "h", key("session"), HERE)
    assert await sessions.visitor(key("token")) is None
    assert not await sessions.token(key("token"), key("t"))
    assert await sessions.end(key("token")) is None
    assert await accounts.holders([key("session")]) == []
    await sessions.forget_token(key("session"))
    assert await sessions.visitor(key("session"))


async def test_leftover_tokens_go_with_the_next_act(
    sessions: ConsoleSessions, pool: asyncpg.Pool
) -> None:
    """A console that died in an act left its token behind."""
    await sessions.begin(1, "alice", "h", key("1"), HERE)
    for name in "ab":
        await sessions.token(key("1"), key(name))
    await pool.execute("update token set expires_at = now() where hash = $1", key("a"))
    await sessions.forget_token(key("b"))
    assert await pool.fetchval("select count(*) from token") == 0


async def test_no_token_outlives_a_password_that_changes_meanwhile(
    sessions: ConsoleSessions, pool: asyncpg.Pool
) -> None:
    accounts = Accounts(pool)
    for n in range(20):
        now, new = f"h{n}" if n else "h", f"h{n + 1}"
        await sessions.begin(1, "alice", now, key(str(n)), HERE)
        await asyncio.gather(
            sessions.token(key(str(n)), key(f"t{n}")), accounts.set_password(1, "alice", new)
        )
        assert await accounts.holders([key(f"t{n}")]) == []
        assert await sessions.visitor(key(str(n))) is None


async def test_no_session_outlives_a_password_that_changes_as_it_begins(
    sessions: ConsoleSessions, pool: asyncpg.Pool
) -> None:
    accounts = Accounts(pool)
    for n in range(20):
        now, new = f"h{n}" if n else "h", f"h{n + 1}"
        await asyncio.gather(
            sessions.begin(1, "alice", now, key(str(n)), HERE),
            accounts.set_password(1, "alice", new),
        )
        assert await sessions.visitor(key(str(n))) is None


# ---------------------------------------------------------------- the text of a message


@pytest_asyncio.fixture
async def written(journal: Journal) -> None:
    """An outgoing message, and an inbound one."""
    await journal.append(OWNED, [row(1, body=b'{"text":"out"}')])
    inbound = msgspec.structs.replace(event(1, "in-1"), kind=INBOUND, payload=b'{"text":"in"}')
    await journal.append_events(OWNED, [inbound])


async def test_an_administrator_is_shown_a_text_and_the_audit_says_so(
    sessions: ConsoleSessions, pool: asyncpg.Pool, written: None
) -> None:
    await sessions.begin(1, "alice", "h", key("1"), HERE)
    out = text_of(row(1).id)
    assert await sessions.reveal(key("1"), out, HERE) == b'{"text":"out"}'
    assert await sessions.reveal(key("1"), "in-1", HERE) == b'{"text":"in"}'
    assert await sessions.reveal(key("1"), "in-2", HERE) is None
    rows = await pool.fetch("select actor, action, subject, source, outcome from audit order by id")
    assert [tuple(each) for each in rows] == [
        ("alice", "read message text", subject, HERE, outcome)
        for subject, outcome in ((out, "done"), ("in-1", "done"), ("in-2", "not found"))
    ]


async def test_only_a_logged_in_administrator_is_shown_a_text(
    sessions: ConsoleSessions, pool: asyncpg.Pool, written: None
) -> None:
    await sessions.begin(1, "robert", "h", key("r"), HERE)
    await sessions.begin(1, "alice", "h", key("1"), HERE)
    for session in (key("r"), key("unknown")):
        with pytest.raises(PermissionError):
            await sessions.reveal(session, "in-1", HERE)
    await aged(pool, 31 * 60)
    with pytest.raises(PermissionError):
        await sessions.reveal(key("1"), "in-1", HERE)
    assert await pool.fetchval("select count(*) from audit") == 0


async def test_no_text_is_shown_without_its_row(
    sessions: ConsoleSessions, pool: asyncpg.Pool, written: None
) -> None:
    await sessions.begin(1, "alice", "h", key("1"), HERE)
    await pool.execute("alter table audit add check (action <> 'read message text')")
    with pytest.raises(asyncpg.CheckViolationError):
        await sessions.reveal(key("1"), "in-1", HERE)


async def test_the_console_writes_its_acts_into_the_audit_log(console: asyncpg.Pool) -> None:
    audit = Audit(console)
    await audit.end(await audit.begin("alice", "replay callbacks", HERE), "2 letters", "done")
    assert await console.fetchval("select count(*) from audit") == 2
