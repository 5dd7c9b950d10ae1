"""The rules that follow from all clients (1 to 10), each on every route or case it is about."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest

from tests.api.conftest import Api
from tests.harness.integration import TEXT, Integration
from tests.harness.wait import PATIENCE
from warouter._hash import slot_of
from warouter.api.app import ROUTES
from warouter.message_id import parse, slot_of_id

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("site")]


async def test_rule_1_a_success_is_a_json_object_without_errors(site: Integration) -> None:
    login = await site.login()
    token = login.json["users"][0]["token"]
    user = {"username": "rule-one", "password": "Rul3!passw"}
    for method, path, body in (
        ("POST", "/v1/users", user),
        ("GET", "/v1/users/rule-one", None),
        ("PUT", "/v1/users/rule-one", {"password": "Oth3r!passw"}),
        ("DELETE", "/v1/users/rule-one", None),
        ("PATCH", "/v1/settings/application", {"sent_status": True}),
        ("GET", "/v1/settings/application", None),
        ("POST", "/v1/contacts", {"contacts": ["16315551000"]}),
        ("POST", "/v1/messages", TEXT),
        ("GET", "/v1/account/shards", None),
        ("GET", "/v1/health", None),
        ("GET", "/", None),
        ("POST", "/v1/users/logout", None),
    ):
        reply = await site.call(method, path, body, token=token)
        assert reply.status in (200, 201), (method, path, reply.body)
        assert reply.headers["Content-Type"].startswith("application/json")
        assert isinstance(reply.json, dict)
        assert "errors" not in reply.json
        assert reply.json["meta"]["api_status"] == "stable"


async def test_rule_1_a_failure_has_code_title_and_details(site: Integration) -> None:
    replies = [
        await site.call(route.method, path, token="x" * 43)
        for route in ROUTES
        if route.method != "HEAD"
        for path in (route.path.replace("{", "").replace("}", ""),)
    ]
    replies += [
        await site.call("GET", "/v1/none"),
        await site.call("TRACE", "/v1/messages"),
        await site.send(data=b"{"),
        await site.send({}),
    ]
    failures = [r for r in replies if r.status >= 400]
    assert len(failures) > 10
    for reply in failures:
        error = reply.json["errors"][0]
        assert isinstance(error["code"], int)
        assert error["title"]
        assert error["details"]


async def test_rule_2_login_in_every_spelling(site: Integration) -> None:
    for body in (None, {}, {"new_password": site.cluster.password}, {"new_password": ""}):
        reply = await site.login(body=body)
        assert reply.status == 200
    json_type = {"Authorization": site.basic, "Content-Type": "application/json"}
    assert (await site.login(headers=json_type, data=b"")).status == 200
    (await site.login(headers={"Authorization": "Basic YWRtaW4="})).refused(401, 1005)


async def test_rule_3_exact_statuses(site: Integration) -> None:
    assert (await site.send(TEXT)).status == 201
    assert (await site.login()).status == 200
    contacts = await site.call("POST", "/v1/contacts", {"contacts": ["+16315551000"]})
    assert contacts.status == 200
    created = await site.call("POST", "/v1/users", {"username": "rule3", "password": "Rul3!passw"})
    assert created.status == 201
    assert (await site.call("DELETE", "/v1/users/rule3")).status == 200
    assert (await site.call("PATCH", "/v1/settings/application", {})).status == 200
    d = site.cluster.description()
    wish = {"cc": d["cc"], "phone_number": d["phone_number"], "shards": 2, "pin": None}
    assert (await site.call("POST", "/v1/account/shards", wish)).status == 201


@pytest.mark.asyncio(loop_scope="function")
async def test_rule_4_a_trailing_slash_on_every_route(api: Api) -> None:
    for route in ROUTES:
        path = route.path.replace("{", "").replace("}", "")
        if path == "/" or path.endswith("logout"):
            continue
        headers = {"Authorization": f"Bearer {api.admin}"}
        plain = await api.call(route.method, path, headers=headers)
        slashed = await api.call(route.method, f"{path}/", headers=headers)
        assert slashed.status == plain.status, (route.method, path)
        assert not 300 <= slashed.status < 400
        assert slashed.status != 404 or "no such path" not in slashed.body.decode()


SPELLINGS = [
    "+1 (631) 555-1004",
    "1-631-555-1004",
    "16315551004",
    "+16315551004",
    "0016315551004",
    "1.631.555.1004",
]


async def test_rule_5_inputs_come_back_and_one_number_is_one_recipient(site: Integration) -> None:
    inputs = [*SPELLINGS, "12", *reversed(SPELLINGS)]
    body = {"contacts": inputs, "blocking": "wait"}
    reply = await site.call("POST", "/v1/contacts", body)
    assert [c["input"] for c in reply.json["contacts"]] == inputs
    for contact in reply.json["contacts"]:
        assert ("wa_id" in contact) == (contact["status"] == "valid")
    assert {c["wa_id"] for c in reply.json["contacts"] if "wa_id" in c} == {"16315551004"}
    replies = [await site.send({**TEXT, "to": to}) for to in SPELLINGS]
    slots = {slot_of_id(parse(r.json["messages"][0]["id"])) for r in replies}
    assert slots == {slot_of("16315551004")}


async def test_rule_7_numbers_as_strings_and_unknown_keys(site: Integration) -> None:
    before = await site.settings()
    patch = {"heartbeat_interval": "7", "tcp_listen_address": "any", "on_mars": {"a": ["1"]}}
    assert (await site.call("PATCH", "/v1/settings/application", patch)).status == 200
    after = await site.settings()
    assert after.pop("heartbeat_interval") == 7
    before.pop("heartbeat_interval")
    assert after == before


LENIENT: dict[str, dict[str, Any]] = {
    "no type": {"text": {"body": "x"}},
    "null caption": {"type": "image", "image": {"link": "https://x.example/a", "caption": None}},
    "coordinates": {"type": "location", "location": {"latitude": "1.5", "longitude": "-2"}},
    "preview inside": {"type": "text", "text": {"body": "https://x.example", "preview_url": True}},
    "nulls": {"type": "text", "text": {"body": "x"}, "image": None, "recipient_type": None},
    "empty others": {"type": "text", "text": {"body": "x"}, "image": {}, "template": {}},
}


@pytest.mark.parametrize("case", LENIENT)
async def test_rule_8_what_senders_leave_out_or_add(site: Integration, case: str) -> None:
    reply = await site.send({"to": "250788123123", **LENIENT[case]})
    assert reply.status == 201, reply.body


async def test_rule_10_shards_without_cert_and_with_a_null_pin(site: Integration) -> None:
    d = site.cluster.description()
    wish = {"cc": d["cc"], "phone_number": d["phone_number"], "pin": None}
    for shards in (4, "2"):
        reply = await site.call("POST", "/v1/account/shards", {**wish, "shards": shards})
        assert reply.status == 201, reply.body


async def test_nothing_hangs(site: Integration) -> None:
    """Every route answers a token that is none at once, many at a time."""
    paths = itertools.islice(itertools.cycle(r.path for r in ROUTES if r.method == "GET"), 200)
    async with asyncio.timeout(PATIENCE):
        replies = await asyncio.gather(*(site.call("GET", path, token="none") for path in paths))
    assert all(reply.status < 500 for reply in replies)
