"""The number of a request: its credential's, else that of its path, else that of its host."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import asyncpg
import pytest
import pytest_asyncio

from tests.harness.api import ADMIN_HASH, ADMIN_PASSWORD, USER_HASH, USER_PASSWORD, Api, basic
from tests.harness.edge import Front, Open, heard
from tests.harness.twice import GOOD, Both, Make
from warouter.access.token import hash_of, new_token
from warouter.api.access.numbers import Numbers
from warouter.errors import NotFound
from warouter.store.account.accounts import ADMIN, USER, Accounts
from warouter.store.bounded import changing

HOST = "shop.example.org"


@dataclass
class Two:
    """Two numbers, each with a user ``worker``; the second is ``shop``, at ``HOST``."""

    api: Api
    pool: asyncpg.Pool
    token: str  # of the second one's

    async def change(self, sql: str) -> None:
        """Change a number, as this webapp hears of it."""
        async with self.pool.acquire() as connection, changing(connection, "auth"):
            await connection.execute(sql)
        await self.api.context.tokens.refresh()


@pytest_asyncio.fixture
async def two(api: Api, pool: asyncpg.Pool) -> Two:
    await pool.execute("insert into number (id, name, host) values (2, 'shop', $1)", HOST)
    accounts, token = Accounts(pool), new_token()
    await accounts.create_user(2, "worker", USER_HASH, USER)
    await accounts.create_user(2, "boss", ADMIN_HASH, ADMIN)
    assert await accounts.add_token(2, "worker", USER_HASH, hash_of(token))
    await api.context.tokens.refresh()
    await api.context.tokens.caller(token)
    return Two(api, pool, token)


def get(path: str, token: str, host: str = "x") -> bytes:
    """A request whose answer says whose it is: only administrators may see a user."""
    return (
        f"GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n"
    ).encode()


def post(path: str, token: str, host: str = "x", body: bytes = GOOD) -> bytes:
    return (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def login(path: str, user: str, password: str, host: str = "x") -> bytes:
    return (
        f"POST {path}/v1/users/login HTTP/1.1\r\nHost: {host}\r\n"
        f"Authorization: {basic(user, password)}\r\nContent-Length: 0\r\n\r\n"
    ).encode()


SAME, OTHER, NOBODY = 201, 403, 404


@pytest.mark.parametrize(
    ("path", "host", "status"),
    [
        ("/v1/messages", "x", SAME),
        ("/v1/messages", HOST, SAME),
        ("/v1/messages", f"{HOST.upper()}:9090", SAME),
        ("/n/shop/v1/messages", "x", SAME),
        ("/n/shop/v1/messages/", "x", SAME),
        ("/n/default/v1/messages", "x", OTHER),
        ("/n/default/v1/messages", HOST, OTHER),  # the path goes before the host
        ("/n/nobody/v1/messages", HOST, NOBODY),
        ("/n/shop/messages", "x", NOBODY),
        ("/n/SHOP/v1/messages", "x", NOBODY),
        ("/n/sh%6Fp/v1/messages", "x", NOBODY),
        ("/n/-shop/v1/messages", "x", NOBODY),
        ("/n/shop//v1/messages", "x", NOBODY),
        ("/n/" + "a" * 33 + "/v1/messages", "x", NOBODY),
    ],
)
async def test_the_url_may_name_the_credentials_number(
    two: Two, make: Make, path: str, host: str, status: int
) -> None:
    """The same from the fast path and from aiohttp, with a head that came before and a new one."""
    both = await make()
    request = post(path, two.token, host)
    answer = await both.same(request, request)
    assert answer.written.count(b"HTTP/1.1 %d " % status) == 2
    assert [m.number for m in both.slow.taken] == ([2, 2] if status == SAME else [])
    assert both.took == (2 if status == SAME and not path.endswith("/") else 0)


async def test_the_first_number_is_at_every_host_and_at_a_path(two: Two, both: Both) -> None:
    for path, host in (("/v1/messages", "x"), ("/n/default/v1/messages", "x")):
        await both.same(post(path, two.api.user, host))
    assert [m.number for m in both.slow.taken] == [1, 1]
    answer = await both.same(post("/v1/messages", two.api.user, HOST))
    assert answer.written.startswith(b"HTTP/1.1 403 ")


async def test_a_contradiction_is_refused_before_the_body_is_read(
    two: Two, front: Open, pool: asyncpg.Pool
) -> None:
    server: Front = await front()
    reader, writer = await server.connect()
    whole = post("/n/default/v1/messages", two.token)
    writer.write(whole[: -len(GOOD)])
    status, body = await heard(reader)
    assert (status, body["errors"][0]["code"]) == (403, 1005)
    assert body["errors"][0]["details"] == "the credential is for another number"
    await two.api.context.audit.refusals.flush()
    refused = await pool.fetch("select actor, action from audit_pending where outcome ~ '^403'")
    assert [tuple(row) for row in refused] == [("shop/worker", "POST /v1/messages")]


async def test_a_log_in_is_at_the_number_that_path_or_host_names(two: Two, front: Open) -> None:
    server = await front()
    for path, host in (("/n/shop", "x"), ("", HOST)):
        status, body = await server.say(login(path, "boss", ADMIN_PASSWORD, host))
        assert status == 200
        token = body["users"][0]["token"]
        caller = await two.api.context.tokens.caller(token)
        assert caller is not None
        assert (caller.number, caller.actor) == (2, "shop/boss")
    status, _ = await server.say(login("", "boss", ADMIN_PASSWORD))
    assert status == 401  # number 1 has no such user
    status, _ = await server.say(login("/n/nobody", "boss", ADMIN_PASSWORD))
    assert status == 404
    await two.api.context.audit.refusals.flush()
    actors = await two.pool.fetch("select distinct actor from audit_pending order by 1")
    assert [row[0] for row in actors] == ["boss", "shop/boss"]


async def test_users_of_the_same_name_are_two(two: Two, front: Open) -> None:
    """Also for who guesses at one of them, and for what an administrator changes."""
    server = await front()
    for _ in range(6):
        await server.say(login("/n/shop", "worker", "wrong"))
    assert (await server.say(login("/n/shop", "worker", USER_PASSWORD)))[0] == 429
    assert (await server.say(login("", "worker", USER_PASSWORD)))[0] == 200
    status, body = await server.say(login("/n/shop", "boss", ADMIN_PASSWORD))
    boss = body["users"][0]["token"]
    assert status == 200
    gone = get("/v1/users/worker", boss).replace(b"GET", b"DELETE", 1)
    assert (await server.say(gone))[0] == 200
    assert (await server.say(get("/v1/users/worker", boss)))[0] == 404
    assert (await server.say(get("/v1/users/worker", two.api.admin)))[0] == 200
    assert (await server.say(post("/v1/messages", two.token)))[0] == 401
    assert (await server.say(post("/v1/messages", two.api.user)))[0] == 201


async def test_a_removed_number_is_as_if_unknown(two: Two, both: Both) -> None:
    request = post("/v1/messages", two.token)
    assert (await both.same(request, request)).written.count(b" 201 ") == 2
    await two.change("update number set state = 'removed' where id = 2")
    assert (await both.same(request)).written.startswith(b"HTTP/1.1 401 ")
    for path, host in (("/n/shop/v1/messages", "x"), ("/v1/messages", HOST)):
        answer = await both.same(post(path, two.api.user, host))
        assert answer.written.startswith(b"HTTP/1.1 404 ")


async def test_a_paused_number_accepts(two: Two, both: Both) -> None:
    await two.change("update number set state = 'paused' where id = 2")
    request = post("/n/shop/v1/messages", two.token)
    assert (await both.same(request, request)).written.count(b" 201 ") == 2
    assert both.took == 2


async def test_a_head_is_known_as_long_as_its_host_is_its_numbers(two: Two, both: Both) -> None:
    """Whoever holds a token of number 1 came by a host that is number 2's from now on."""
    request = post("/v1/messages", two.api.user, "other.example.org")
    assert (await both.same(request, request)).written.count(b" 201 ") == 2
    await two.change("update number set host = 'other.example.org' where id = 2")
    assert (await both.same(request)).written.startswith(b"HTTP/1.1 403 ")
    await two.change("update number set host = null where id = 2")
    assert (await both.same(request)).written.startswith(b"HTTP/1.1 201 ")


async def test_a_webapp_that_has_just_begun_knows_the_numbers(two: Two, front: Open) -> None:
    """Also while it has not heard where the counter stands."""
    tokens = two.api.context.tokens
    tokens.numbers, tokens._version = Numbers(), -1
    server = await front()
    answers = await asyncio.gather(
        server.say(login("/n/shop", "boss", ADMIN_PASSWORD)),
        server.say(post("/n/shop/v1/messages", two.token)),
    )
    assert [status for status, _ in answers] == [200, 201]


async def test_of_a_database_that_was_put_back_nothing_is_kept(two: Two) -> None:
    tokens = two.api.context.tokens
    assert tokens.numbers.stated("shop", "") == 2
    await two.pool.execute("delete from user_account where number = 2")
    await two.pool.execute("delete from number where id = 2")
    await two.pool.execute("update change set version = 1 where what = 'auth'")
    await tokens.refresh()
    with pytest.raises(NotFound):
        tokens.numbers.stated("shop", "")


@pytest.mark.parametrize("host", ["Shop.example.org", "a:9090", "[::1]", "", "a b", "-a"])
async def test_a_host_has_one_spelling(pool: asyncpg.Pool, host: str) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await pool.execute("update number set host = $1 where id = 1", host)
