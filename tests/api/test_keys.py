"""Keys: made, listed, ended, refused; and what a key may not do."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from tests.harness.api import BEHIND_PROXY, Api, Webapp
from warouter.access.key import PREFIX, new_key
from warouter.access.token import hash_of
from warouter.api.access.tokens import TokenCache
from warouter.store.account.keys import Keys

ALL = "(select actor, action, subject, outcome from audit) a"


async def made(api: Api, *scopes: str, by: str = "", **wish: Any) -> dict[str, Any]:
    """A new key, made by the administrator or with the key ``by``."""
    answer = await api.call(
        "POST", "/v1/keys", {"name": "shop", "scopes": scopes, **wish}, token=by or api.admin
    )
    assert answer.status == 201, answer.body
    (key,) = answer.json["keys"]
    return dict(key)


async def test_a_key_is_made_used_listed_and_ended(api: Api, pool: asyncpg.Pool) -> None:
    key = await made(api, "send", "read")
    text = key.pop("key")
    assert text.startswith(PREFIX)
    assert key["starts"] == text[:8]
    assert (key["scopes"], key["created_by"]) == (["send", "read"], "admin")
    one = f"/v1/keys/{key['id']}"
    assert (await api.call("GET", "/v1/keys", token=api.admin)).json["keys"] == [key]
    assert (await api.call("GET", one, token=api.admin)).json["keys"] == [key]
    assert text.encode() not in (await api.call("GET", one, token=api.admin)).body
    sent = await api.call("POST", "/v1/messages", _text(), token=text)
    assert sent.status == 201
    assert (await api.call("DELETE", one, token=api.admin)).json["keys"] == [key]
    (await api.call("POST", "/v1/messages", _text(), token=text)).refused(401, 1005)
    (await api.call("GET", one, token=api.admin)).refused(404, 1006)
    (await api.call("DELETE", one, token=api.admin)).refused(404, 1006)
    assert (await api.call("GET", "/v1/keys", token=api.admin)).json["keys"] == []
    rows = await pool.fetch(
        f"select actor, action, subject, outcome from {ALL} where action ~ 'key'"
    )
    about = f"{key['id']} shop send,read"
    assert [tuple(row) for row in rows if row["outcome"] == "done"][:2] == [
        ("admin", "add key", about, "done"),
        ("admin", "remove key", about, "done"),
    ]
    assert text not in str([tuple(row) for row in rows])


@pytest.mark.parametrize(
    ("wish", "code", "words"),
    [
        ({"scopes": ["send"]}, 1008, "name is required"),
        ({"name": "shop"}, 1008, "scopes is required"),
        ({"name": "", "scopes": ["send"]}, 1009, "name must have"),
        ({"name": "shop", "scopes": []}, 1009, "scopes must name one at least"),
        ({"name": "shop", "scopes": ["send", "all"]}, 1009, "scopes[1] must be one of send"),
        ({"name": "shop", "scopes": "send"}, 1009, "scopes must be a list"),
        ({"name": "x", "scopes": ["send"], "expires": "2020-01-01T00:00:00Z"}, 1009, "expires"),
        ({"name": "x", "scopes": ["send"], "expires": "2099-01-01T00:00:00Z"}, 1009, "expires"),
        ({"name": "x", "scopes": ["send"], "expires": "2027-06-01T00:00:00"}, 1009, "time zone"),
        ({"name": "x", "scopes": ["send"], "expires": "soon"}, 1009, "expires"),
        ({"name": "x", "scopes": ["send"], "networks": ["192.0.2.1/24"]}, 1009, "networks[0]"),
        ({"name": "x", "scopes": ["send"], "networks": ["::/0", "x"]}, 1009, "networks[1]"),
    ],
)
async def test_wishes_that_are_refused(
    api: Api, wish: dict[str, Any], code: int, words: str
) -> None:
    answer = await api.call("POST", "/v1/keys", wish, token=api.admin)
    answer.refused(400, code)
    assert words in answer.json["errors"][0]["details"]
    assert (await api.call("GET", "/v1/keys", token=api.admin)).json["keys"] == []


async def test_users_make_no_keys(api: Api) -> None:
    wish = {"name": "shop", "scopes": ["send"]}
    (await api.call("POST", "/v1/keys", wish, token=api.user)).refused(403, 1005)
    (await api.call("GET", "/v1/keys", token=api.user)).refused(403, 1005)


async def test_no_key_makes_one_with_more_rights(webapp: Webapp) -> None:
    api = await webapp(**BEHIND_PROXY)
    end = datetime.now(UTC) + timedelta(days=30)
    mine = {"expires": end.isoformat(), "networks": ["127.0.0.0/8", "192.0.2.0/24"]}
    admin = (await made(api, "admin", **mine))["key"]
    narrower = {"expires": (end - timedelta(days=1)).isoformat(), "networks": ["192.0.2.0/25"]}
    child = await made(api, "send", "settings", by=admin, **narrower)
    assert child["created_by"].startswith("key:")
    for wrong in (
        {"scopes": ["operate"], **narrower},
        {"scopes": ["send"], "networks": ["192.0.2.0/25"]},
        {"scopes": ["send"], "expires": narrower["expires"]},
        {"scopes": ["send"], **narrower, "networks": ["192.0.0.0/16"]},
        {"scopes": ["send"], **narrower, "expires": (end + timedelta(days=1)).isoformat()},
    ):
        answer = await api.call("POST", "/v1/keys", {"name": "more", **wrong}, token=admin)
        answer.refused(403, 1005)
    plain = (await made(api, "send", "settings"))["key"]
    answer = await api.call("POST", "/v1/keys", {"name": "more", "scopes": ["send"]}, token=plain)
    answer.refused(403, 1005)
    assert 'the key lacks the scope "admin"' in answer.json["errors"][0]["details"]


async def test_a_lacking_scope_is_named_and_audited(api: Api, pool: asyncpg.Pool) -> None:
    key = await made(api, "send")
    answer = await api.call("GET", "/v1/settings/application", token=key["key"])
    answer.refused(403, 1005)
    assert answer.json["errors"][0]["details"] == 'the key lacks the scope "settings"'
    (await api.call("GET", f"/v1/messages/{'A' * 27}", token=key["key"])).refused(403, 1005)
    await api.context.audit.refusals.flush()
    sums = await pool.fetch("select actor, outcome from audit_pending")
    assert (f"key:{key['id']}", "403/1005 Access denied") in {tuple(row) for row in sums}


async def test_a_key_outside_its_networks_is_refused_like_an_unknown_one(webapp: Webapp) -> None:
    api = await webapp(**BEHIND_PROXY)
    key = (await made(api, "monitor", networks=["192.0.2.0/24", "2001:db8::/32"]))["key"]
    for source, status in (("192.0.2.9", 200), ("2001:db8::1", 200), ("192.0.3.9", 401)):
        headers = {"X-Forwarded-For": source}
        answer = await api.call("GET", "/v1/health", token=key, headers=headers)
        assert answer.status == status
    unknown = await api.call("GET", "/v1/health", token=new_key())
    assert answer.json["errors"] == unknown.json["errors"]
    assert (await api.call("GET", "/v1/health", token=key)).status == 401


async def test_a_key_ends_to_the_second(api: Api, pool: asyncpg.Pool) -> None:
    clock = [1000.0]
    text = (await made(api, "send"))["key"]
    end = datetime.now(UTC) + timedelta(seconds=100)
    await pool.execute("update api_key set expires_at = $1", end)
    cache = TokenCache(api.context.accounts, Keys(pool), clock=lambda: clock[0])
    assert await cache.caller(text) is not None
    clock[0] += 90.0
    assert await cache.caller(text) is not None
    clock[0] += 11.0
    await pool.execute("update api_key set expires_at = now() - interval '1 second'")
    assert await cache.caller(text) is None
    (await api.call("POST", "/v1/messages", _text(), token=text)).refused(401, 1005)


async def test_an_ended_key_is_ended_on_another_webapp(api: Api, webapp: Webapp) -> None:
    other = await webapp()
    key = await made(api, "monitor")
    assert (await other.call("GET", "/v1/health", token=key["key"])).status == 200
    token_realm = other.context.tokens.realm(2)
    before = token_realm.generation
    await api.call("DELETE", f"/v1/keys/{key['id']}", token=api.admin)
    await other.context.tokens.refresh()
    assert (await other.call("GET", "/v1/health", token=key["key"])).status == 401
    assert token_realm.generation == before  # another number's callers are as they were


async def test_guesses_at_keys_are_limited_by_address(
    webapp: Webapp, caplog: pytest.LogCaptureFixture
) -> None:
    api = await webapp(**BEHIND_PROXY)
    good, ended = (await made(api, "monitor"))["key"], await made(api, "monitor")
    await api.call("DELETE", f"/v1/keys/{ended['id']}", token=api.admin)
    here = {"X-Forwarded-For": "198.51.100.7"}

    async def ask(text: str) -> int:
        return (await api.call("GET", "/v1/health", token=text, headers=here)).status

    assert await ask(good) == 200
    for _ in range(10):  # neither is a guess
        assert await ask(ended["key"]) == 401
        assert await ask(good[:-1]) == 401
    caplog.set_level(logging.WARNING)
    assert [await ask(new_key()) for _ in range(6)] == [401] * 5 + [429]
    assert await ask(good) == 200  # known here: nobody's guesses hold it up
    assert await ask(ended["key"]) == 429
    elsewhere = {"X-Forwarded-For": "198.51.100.8"}
    assert (await api.call("GET", "/v1/health", token=new_key(), headers=elsewhere)).status == 401
    refused = [record for record in caplog.records if record.getMessage() == "key refused"]
    assert len(refused) == 6
    assert PREFIX not in caplog.text


@pytest.mark.parametrize("query", ["access_token=x", "API_KEY=x", "token=x", "a=KEY"])
async def test_credentials_in_a_query_are_refused(api: Api, query: str) -> None:
    key = (await made(api, "monitor"))["key"]
    answer = await api.call("GET", f"/v1/health?{query.replace('KEY', key)}", token=key)
    if query.startswith("API_KEY"):
        answer = await api.call("GET", "/v1/health?API_KEY=x", token=key)
    answer.refused(400, 1009)
    assert "credentials belong into a header" in answer.json["errors"][0]["details"]


async def test_a_backup_has_no_keys_and_restoring_it_ends_none(api: Api) -> None:
    key = await made(api, "monitor")
    saved = await api.context.backups.read(1)
    assert key["starts"] not in repr(saved)
    assert await api.context.backups.replace(1, saved)
    await api.context.tokens.refresh()
    assert (await api.call("GET", "/v1/health", token=key["key"])).status == 200


async def test_a_key_does_not_log_in_or_out(api: Api) -> None:
    key = await made(api, "admin")
    answer = await api.call("POST", "/v1/users/logout", token=key["key"])
    answer.refused(400, 1009)
    assert f"DELETE /v1/keys/{key['id']}" in answer.json["errors"][0]["details"]
    (await api.call("POST", "/v1/users/login", token=key["key"])).refused(401, 1005)
    assert (await api.call("GET", "/v1/health", token=key["key"])).status == 200


async def test_no_more_keys_than_a_thousand(api: Api, pool: asyncpg.Pool) -> None:
    await pool.execute(
        "insert into api_key (hash, name, starts, scopes, created_by, number, ended_at)"
        " select sha256(n::text::bytea), n::text, 'wrk_', 1, 'test', 1,"
        "        case when n > 1000 then now() end"
        "   from generate_series(1, 1010) n"
    )
    wish = {"name": "one more", "scopes": ["send"]}
    answer = await api.call("POST", "/v1/keys", wish, token=api.admin)
    answer.refused(429, 1015)
    await pool.execute("update api_key set expires_at = now() where name = '7'")
    assert (await api.call("POST", "/v1/keys", wish, token=api.admin)).status == 201


async def test_keys_that_ended_are_kept_for_ninety_days(api: Api, pool: asyncpg.Pool) -> None:
    await pool.execute(
        "insert into api_key (hash, name, starts, scopes, created_by, number, ended_at, expires_at)"
        " values (sha256('1'), 'gone', 'wrk_', 1, 't', 1, now() - interval '91 days', null),"
        "        (sha256('2'), 'over', 'wrk_', 1, 't', 1, null, now() - interval '91 days'),"
        "        (sha256('3'), 'kept', 'wrk_', 1, 't', 1, now() - interval '89 days', null)"
    )
    await made(api, "send")
    names = await pool.fetch("select name from api_key order by id")
    assert [row["name"] for row in names] == ["kept", "shop"]


async def test_the_last_use_is_noted_once_a_minute(api: Api, pool: asyncpg.Pool) -> None:
    clock = [1000.0]
    key = await made(api, "send")
    cache = TokenCache(api.context.accounts, Keys(pool), clock=lambda: clock[0])
    used = "select count(*) from api_key where used_at is not null"
    assert await cache.caller(key["key"]) is not None
    clock[0] += 59.0
    await cache.write_uses()
    assert await pool.fetchval(used) == 0
    version = await api.context.accounts.auth_version()
    clock[0] += 1.0
    await cache.write_uses()
    assert await pool.fetchval(used) == 1
    assert await api.context.accounts.auth_version() == version
    (shown,) = (await api.call("GET", "/v1/keys", token=api.admin)).json["keys"]
    assert shown["used"].endswith("Z")


async def test_an_adopted_key_is_known_by_its_hash_alone(api: Api, pool: asyncpg.Pool) -> None:
    theirs = "EAAG" + "x" * 180
    (await api.call("GET", "/v1/health", token=theirs)).refused(401, 1005)
    await pool.execute(
        "insert into api_key (hash, name, starts, scopes, created_by, number)"
        " values ($1, 'adopted', 'adopted', 32, 'test', 1)",
        hash_of(theirs),
    )
    assert (await api.call("GET", "/v1/health", token=theirs)).status == 200


async def test_an_adopted_key_outside_its_networks_is_refused_like_a_token(
    api: Api, pool: asyncpg.Pool
) -> None:
    theirs = "EAAG" + "x" * 180
    await pool.execute(
        "insert into api_key (hash, name, starts, scopes, created_by, number, networks)"
        " values ($1, 'adopted', 'adopted', 32, 'test', 1, '{192.0.2.0/24}')",
        hash_of(theirs),
    )
    refusal = await api.call("GET", "/v1/health", token=theirs)
    refusal.refused(401, 1005)
    unknown = await api.call("GET", "/v1/health", token=f"{theirs}y")
    assert refusal.json["errors"] == unknown.json["errors"]


async def test_a_request_of_an_ended_key_that_was_under_way_changes_nothing(
    api: Api, pool: asyncpg.Pool
) -> None:
    key = await made(api, "admin")
    caller = await api.context.tokens.caller(key["key"])
    assert caller is not None
    await pool.execute("update api_key set ended_at = now()")
    wish = {"name": "x", "scopes": ["send"]}
    (await api.call("POST", "/v1/keys", wish, token=key["key"])).refused(401, 1005)
    assert await pool.fetchval("select count(*) from api_key") == 1


def _text() -> dict[str, Any]:
    return {"to": "4915112345678", "type": "text", "text": {"body": "hello"}}
