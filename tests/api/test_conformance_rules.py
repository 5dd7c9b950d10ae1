"""The rules that follow from all clients, each on every route or case it is about.

Rule 2 (log-in in every spelling) is C01 to C05, rule 6 stands with the media, rule 9 with the
callbacks, rule 10 (shards without a certificate, with a null pin) is C46.
"""

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


async def test_rules_1_and_3_a_success_is_an_object_without_errors_and_exactly_its_status(
    site: Integration,
) -> None:
    login = await site.login()
    assert login.status == 200
    token = login.json["users"][0]["token"]
    user = {"username": "rule-one", "password": "Rul3!passw"}
    d = site.cluster.description()
    wish = {"cc": d["cc"], "phone_number": d["phone_number"], "shards": 2, "pin": None}
    for method, path, body, status in (
        ("POST", "/v1/users", user, 201),
        ("GET", "/v1/users/rule-one", None, 200),
        ("PUT", "/v1/users/rule-one", {"password": "Oth3r!passw"}, 200),
        ("DELETE", "/v1/users/rule-one", None, 200),
        ("PATCH", "/v1/settings/application", {"sent_status": True}, 200),
        ("PATCH", "/v1/settings/application", {}, 200),
        ("GET", "/v1/settings/application", None, 200),
        ("POST", "/v1/contacts", {"contacts": ["16315551000"]}, 200),
        ("POST", "/v1/messages", TEXT, 201),
        ("POST", "/v1/account/shards", wish, 201),
        ("GET", "/v1/account/shards", None, 200),
        ("GET", "/v1/health", None, 200),
        ("GET", "/", None, 200),
        ("POST", "/v1/users/logout", None, 200),
    ):
        reply = await site.call(method, path, body, token=token)
        assert reply.status == status, (method, path, reply.body)
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


async def test_nothing_hangs(site: Integration) -> None:
    """Every route answers a token that is none at once, many at a time."""
    paths = itertools.islice(itertools.cycle(r.path for r in ROUTES if r.method == "GET"), 200)
    async with asyncio.timeout(PATIENCE):
        replies = await asyncio.gather(*(site.call("GET", path, token="none") for path in paths))
    assert all(reply.status < 500 for reply in replies)
