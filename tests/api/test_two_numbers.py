"""Settings and registrations of two numbers: each call is of the number of its caller."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from trustme import CA

from tests.harness.api import Answer, Api, Webapp
from tests.harness.certificates import alone, text_of
from warouter.access.token import hash_of, new_token
from warouter.api.account.registration import OnceRegistered
from warouter.errors import NotReady
from warouter.link.wire import Outgoing
from warouter.store.account.backup import Backups
from warouter.store.account.registration import Registrations

APPLICATION = "/v1/settings/application"
SHARDS = "/v1/account/shards"
LEAF = alone()
ROOT = text_of(CA())
URL = "https://example.com/hook"
SECRET = "whsec_" + "A" * 32
# The call, its body, and where what it has changed is shown.
CHANGES = [
    ("PATCH", APPLICATION, {"log_level": "debug", "verbose_logging": True}, APPLICATION),
    ("PATCH", APPLICATION, {"webhooks": {"url": URL}}, APPLICATION),
    ("POST", "/v1/configs/webhook", {"url": URL, "headers": {"X-A": "b"}}, "/v1/configs/webhook"),
    ("POST", "/v1/settings/business/profile", {"address": "There"}, ""),
    ("POST", "/v1/settings/business/compliance_info", {"entity_name": "Two"}, ""),
    ("PATCH", "/v1/settings/profile/about", {"text": "Two"}, ""),
    (
        "POST",
        f"{APPLICATION}/media/providers",
        [{"name": "a", "type": "www", "config": {"bearer": "b"}, "origins": []}],
        "",
    ),
]


class Two:
    """An API, and the administrators of two numbers."""

    def __init__(self, api: Api, second: str) -> None:
        self.api = api
        self.tokens = {1: api.admin, 2: second}

    async def call(self, number: int, method: str, path: str, body: object = None) -> Answer:
        return await self.api.call(method, path, body, token=self.tokens[number])

    async def shown(self, number: int, path: str) -> Any:
        answer = await self.call(number, "GET", path)
        assert answer.status == 200
        return answer.json.get("settings", answer.json.get("url"))


@pytest_asyncio.fixture
async def two(webapp: Webapp, pool: asyncpg.Pool) -> Two:
    token = new_token()
    await pool.execute("insert into number (id, name) values (2, 'two') on conflict do nothing")
    await pool.execute(
        "insert into user_account (username, password_hash, role, number)"
        " values ('second', '-', 'ROLE_ADMIN', 2)"
    )
    await pool.execute(
        "insert into token (hash, username, expires_at, number)"
        " values ($1, 'second', now() + interval '1 day', 2)",
        hash_of(token),
    )
    return Two(await webapp(d360=True), token)


async def register(two: Two) -> None:
    accounts = two.api.context.accounts
    await accounts.save_account(1, "49", "301234567", None, None)
    await accounts.save_account(2, "1", "6315550000", None, None)


async def rows(pool: asyncpg.Pool, number: int) -> list[Any]:
    """Everything of a number that a backup may hold."""
    queries = (
        "select name, value from setting where number = $1 order by name",
        "select * from account where number = $1",
        "select * from user_account where number = $1 order by username",
    )
    return [await pool.fetch(query, number) for query in queries]


@pytest.mark.parametrize(("method", "path", "body", "shown"), CHANGES)
async def test_a_change_is_of_the_callers_number_alone(
    two: Two, pool: asyncpg.Pool, method: str, path: str, body: object, shown: str
) -> None:
    before = await two.shown(1, shown or path)
    assert await two.shown(2, shown or path) == before
    assert (await two.call(2, method, path, body)).status == 200
    assert await two.shown(1, shown or path) == before
    assert await two.shown(2, shown or path) != before
    assert await pool.fetchval("select array_agg(number) from setting") == [2]


async def test_both_set_and_reset_the_same_setting(two: Two, pool: asyncpg.Pool) -> None:
    for number in (1, 2):
        sent = {"webhooks": {"url": f"{URL}/{number}"}}
        assert (await two.call(number, "PATCH", APPLICATION, sent)).status == 200
    assert (await two.call(2, "POST", f"{APPLICATION}/webhook-secrets", {"secret": SECRET})).json[
        "secrets_count"
    ] == 1
    stored = two.api.context.accounts.setting
    assert "secrets" not in (await stored(1, "application"))["webhooks"]
    assert (await two.call(2, "DELETE", APPLICATION)).status == 200
    shown = await two.shown(1, APPLICATION)
    assert shown["application"]["webhooks"]["url"] == f"{URL}/1"
    assert await pool.fetchval("select array_agg(number) from setting") == [1]


async def test_authorities_of_webhooks_are_each_numbers_own(two: Two) -> None:
    path = "/v1/certificates/webhooks/ca"
    call = two.api.call
    assert (await call("POST", path, data=ROOT, token=two.tokens[2])).status == 200
    (await two.call(1, "GET", path)).refused(404, 1006)
    (await two.call(1, "DELETE", path)).refused(404, 1006)
    assert (await two.call(2, "GET", path)).body.decode() == ROOT


async def test_the_certificate_of_the_api_is_changed_by_number_1_alone(
    two: Two, pool: asyncpg.Pool
) -> None:
    path, text = "/v1/certificates/external", LEAF.pem + LEAF.key
    (await two.api.call("POST", path, data=text, token=two.tokens[1])).done()
    (await two.api.call("POST", path, data=text, token=two.tokens[2])).refused(403, 1005)
    (await two.call(2, "DELETE", path)).refused(403, 1005)
    assert await pool.fetchval("select array_agg(number) from setting") == [1]


async def test_shards_are_asked_for_with_the_callers_own_number(two: Two) -> None:
    await register(two)
    first, second = ("49", "301234567"), ("1", "6315550000")
    shown = (await two.call(2, "GET", SHARDS)).json["account"]["shards"]
    assert shown == two.api.recorder.shard_count == 1

    def wish(of: tuple[str, str], shards: int) -> dict[str, object]:
        return {"cc": of[0], "phone_number": of[1], "shards": shards}

    assert (await two.call(2, "POST", SHARDS, wish(second, 1))).status == 201
    (await two.call(2, "POST", SHARDS, wish(first, 1))).refused(400, 1009)
    (await two.call(1, "POST", SHARDS, wish(second, 1))).refused(400, 1009)
    (await two.call(2, "POST", SHARDS, wish(second, 2))).refused(403, 1005, "whole installation")
    assert two.api.recorder.shard_count == 1
    assert (await two.call(1, "POST", SHARDS, wish(first, 2))).status == 201
    assert two.api.recorder.shard_count == 2


async def test_the_settings_show_the_callers_own_number(two: Two) -> None:
    await register(two)
    own = [(await two.shown(number, APPLICATION))["application"]["wa_id"] for number in (1, 2)]
    assert own == ["49301234567", "16315550000"]


async def test_national_spellings_are_of_the_callers_own_country(two: Two) -> None:
    await register(two)
    for number, wa_id in ((1, "491711234567"), (2, "")):
        asked = {"contacts": ["0171 1234567"]}
        (found,) = (await two.call(number, "POST", "/v1/contacts", asked)).json["contacts"]
        assert found.get("wa_id", "") == wa_id


async def test_a_number_that_has_registered_is_409_for_another_phone_number(two: Two) -> None:
    await register(two)
    wish = {"cc": "49", "phone_number": "301234567", "method": "sms", "cert": "QUJD"}
    (await two.call(2, "POST", "/v1/account", wish)).refused(409, 1004)
    (await two.call(1, "POST", "/v1/account", wish)).done(201)


async def test_messages_wait_for_the_registration_of_their_own_number(
    two: Two, pool: asyncpg.Pool
) -> None:
    registered = OnceRegistered(Registrations(pool), two.api.recorder)
    await two.api.context.accounts.save_account(1, "49", "301234567", None, None)
    for number in (2, 1):
        message = Outgoing(1, b"x" * 20, "491511234567", 0, b"{}", number=number)
        if number == 1:
            await registered.submit(message)
        else:
            with pytest.raises(NotReady):
                await registered.submit(message)
    assert registered.known == {1}


async def test_a_pin_is_of_one_number(two: Two) -> None:
    await register(two)
    accounts = two.api.context.accounts
    second = await accounts.account(2)
    assert second is not None
    assert await accounts.set_pin(2, "hash", second)
    assert not await accounts.set_pin(2, "another", second)
    assert [a and a.pin_hash for a in (await accounts.account(1), await accounts.account(2))] == [
        None,
        "hash",
    ]


async def test_a_backup_is_of_one_number(two: Two, pool: asyncpg.Pool) -> None:
    await register(two)
    accounts, backups = two.api.context.accounts, Backups(pool)
    for number in (1, 2):
        await accounts.change_setting(number, "application", lambda _: {"sent_status": True})
    first, second = await rows(pool, 1), await rows(pool, 2)
    saved = await backups.read(2)
    assert [user.username for user in saved.users] == ["second"]
    assert saved.account is not None
    assert saved.account.phone_number == "6315550000"
    await accounts.change_setting(2, "application", lambda _: {"sent_status": False})
    await accounts.change_setting(2, "new", lambda _: {"a": 1})
    await pool.execute("update user_account set password_hash = 'x' where username = 'second'")
    await pool.execute("update account set cert = 'NEW' where number = 2")
    assert await backups.replace(2, saved)
    assert await rows(pool, 2) == second
    assert await rows(pool, 1) == first
    assert await pool.fetchval("select count(*) from token where number = 2") == 0
    assert not await backups.replace(1, saved)  # it is of another phone number
    assert await rows(pool, 1) == first
