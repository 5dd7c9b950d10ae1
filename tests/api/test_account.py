"""GET and POST /v1/account/shards (C47; rule 10)."""

from __future__ import annotations

import time
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.harness.api import Answer, Api, Webapp, set_pin
from warouter.errors import ChangeRefused
from warouter.upstream.authority import NumberCertificate, issue, public_bytes

PATH = "/v1/account/shards"
KEY = Ed25519PrivateKey.generate()
WISH = {"cc": "49", "phone_number": "301234567", "shards": 2}


def certificate(number: str = "49301234567", days: int = 1, key: Ed25519PrivateKey = KEY) -> str:
    now = int(time.time())
    issued = now - 10 * 86400
    return issue(key, NumberCertificate(number, "Shop", issued, now + days * 86400))


async def register(api: Api, days_ago: float = 0) -> None:
    await api.context.accounts.save_account(1, "49", "301234567", certificate(), public_bytes(KEY))
    await api.context.accounts._pool.execute(
        "update account set registered_at = now() - make_interval(secs => $1)", days_ago * 86400
    )


async def wish(api: Api, **fields: Any) -> Answer:
    return await api.call("POST", PATH, {**WISH, **fields}, token=api.admin)


async def test_warnings_are_in_meta(api: Api) -> None:
    await register(api)
    api.recorder.warnings = ["2 shards need 2 coreapps, 1 is there"]
    answer = await wish(api)
    assert answer.status == 201
    assert answer.json["meta"]["warnings"] == api.recorder.warnings


@pytest.mark.parametrize("shards", [0, 3, 64, -1, "three", 2.5, True, None, [2], 10**30])
async def test_c47_what_is_no_shard_count(api: Api, shards: object) -> None:
    await register(api)
    (await wish(api, shards=shards)).refused(400, 1009, "shards")
    assert api.recorder.shard_count == 1


async def test_c47_while_a_change_is_under_way(api: Api) -> None:
    await register(api)
    api.recorder.refuse = ChangeRefused("another change is under way")
    answer = await wish(api)
    answer.refused(403, 1011)
    assert answer.headers["Retry-After"] == "1"
    api.recorder.refuse = None
    assert (await wish(api)).status == 201


@pytest.mark.parametrize("missing", ["cc", "phone_number", "shards"])
async def test_required_fields_are_named(api: Api, missing: str) -> None:
    await register(api)
    body = {k: v for k, v in WISH.items() if k != missing}
    answer = await api.call("POST", PATH, body, token=api.admin)
    answer.refused(400, 1008)
    assert answer.error["details"] == f"{missing} is required"


@pytest.mark.parametrize(
    "fields",
    [{"cc": "1"}, {"phone_number": "301234568"}, {"phone_number": "49301234567"}, {"cc": ""}],
)
async def test_another_number(api: Api, fields: dict[str, str]) -> None:
    await register(api)
    (await wish(api, **fields)).refused(400, 1009)
    assert api.recorder.shard_count == 1


async def test_spellings_of_the_number(api: Api) -> None:
    await register(api)
    assert (await wish(api, cc="+49", phone_number="30 123-4567")).status == 201


async def test_before_registration(api: Api) -> None:
    (await wish(api)).refused(404, 1006)


async def test_the_certificate_is_optional_for_seven_days(api: Api) -> None:
    await register(api, days_ago=6.99)
    for fields in ({}, {"cert": None}):
        answer = await wish(api, **fields)
        assert answer.status == 201
        assert "warnings" not in answer.json["meta"]
    await register(api, days_ago=7.01)
    for fields in ({}, {"cert": None}, {"cert": ""}):
        (await wish(api, shards=4, **fields)).refused(400, 1008)
    assert api.recorder.shard_count == 2
    assert (await wish(api, shards=4, cert=certificate())).status == 201


async def test_the_certificate_is_never_required_where_so_configured(webapp: Webapp) -> None:
    api = await webapp(shards_cert="never")
    await register(api, days_ago=100)
    assert (await wish(api)).status == 201
    assert (await wish(api, cert="x")).code == 1009


@pytest.mark.parametrize(
    "cert",
    [
        *("nonsense", "A" * 20_000, certificate(days=-1), certificate(number="49301234568")),
        certificate(key=Ed25519PrivateKey.generate()),
    ],
    ids=["text", "long", "expired", "other number", "other key"],
)
async def test_certificates_that_are_refused(api: Api, cert: str) -> None:
    await register(api)
    (await wish(api, cert=cert)).refused(400, 1009, "cert")
    assert api.recorder.shard_count == 1


async def test_the_pin_where_two_step_is_on(api: Api) -> None:
    await register(api)
    await set_pin(api.context.accounts, await api.context.passwords.hash("123456"))
    for pin, code in ((None, 1008), ("", 1008), ("654321", 1009), ("1" * 1000, 1009)):
        (await wish(api, pin=pin)).refused(400, code)
    assert api.recorder.shard_count == 1
    assert (await wish(api, pin="123456")).status == 201
    await set_pin(api.context.accounts, None)
    assert (await wish(api, pin="whatever")).status == 201
