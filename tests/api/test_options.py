"""``Warouter-In-Doubt`` and ``Warouter-Priority``: additions to the product's API."""

from __future__ import annotations

import pytest

from tests.harness.api import Api, Webapp
from tests.harness.described import DOCUMENT
from warouter.config import Settings
from warouter.kinds import (
    FAIL,
    HOLD,
    MEDIA,
    MESSAGE,
    NO_POLICY,
    READ_MARK,
    RESEND,
    base_of,
    kind_with,
)
from warouter.message_id import mark_of, mark_of_id
from warouter.node.webapp import api_config

TEXT = {"to": "250788123123", "type": "text", "text": {"body": "Simple Message"}}
IMAGE = {"to": "250788123123", "type": "image", "image": {"link": "https://example.com/a.png"}}
IN_DOUBT, PRIORITY = "Warouter-In-Doubt", "Warouter-Priority"
ASKED = {
    "nothing": ({}, NO_POLICY, False),
    "resend": ({IN_DOUBT: "resend"}, RESEND, False),
    "fail": ({"warouter-in-doubt": " fail "}, FAIL, False),
    "hold, first": ({IN_DOUBT: "hold", PRIORITY: "high"}, HOLD, True),
    "first": ({PRIORITY: "high"}, NO_POLICY, True),
    "in turn": ({IN_DOUBT: "fail", PRIORITY: "normal"}, FAIL, False),
}


@pytest.mark.parametrize("case", ASKED)
async def test_options_in_headers_travel_with_the_message(webapp: Webapp, case: str) -> None:
    headers, policy, priority = ASKED[case]
    api = await webapp(options=True)
    for body, base in ((TEXT, MESSAGE), (IMAGE, MEDIA)):
        assert (await api.send(body, headers=headers)).status == 201
        assert api.recorder.submitted[-1].kind == kind_with(base, policy, priority)


async def test_media_is_the_users_all_the_same(webapp: Webapp) -> None:
    """Two bytes of the id tell an owner whose links it shares its places among."""
    api = await webapp(options=True)
    assert (await api.send(IMAGE, headers={PRIORITY: "high"})).status == 201
    sent = api.recorder.submitted[0]
    assert (base_of(sent.kind), sent.kind == MEDIA) == (MEDIA, False)
    assert mark_of_id(sent.id) == mark_of("worker")


async def test_with_the_simulator_they_are_checked_and_that_is_all(api: Api) -> None:
    """It drops repeats by itself, so no message is ever in doubt."""
    assert (await api.send(TEXT, headers={IN_DOUBT: "hold", PRIORITY: "high"})).status == 201
    assert api.recorder.submitted[0].kind == MESSAGE
    (await api.send(TEXT, headers={IN_DOUBT: "never"})).refused(400, 1009, IN_DOUBT)


@pytest.mark.parametrize("header", [IN_DOUBT, PRIORITY])
@pytest.mark.parametrize("value", ["", "Fail", "HIGH", "fail, hold", "high;q=1", "\xe9"])
async def test_any_other_value_is_refused(webapp: Webapp, header: str, value: str) -> None:
    api = await webapp(options=True)
    answer = await api.send(TEXT, headers={header: value})
    answer.refused(400, 1009, f"{header} must be given once, as ")
    assert api.recorder.submitted == []


async def test_a_read_mark_has_no_options(webapp: Webapp) -> None:
    api = await webapp(options=True)
    api.recorder.inbound["wamid.1"] = "4915112345"
    headers = {IN_DOUBT: "fail", PRIORITY: "high"}
    mark = {"status": "read"}
    path = "/v1/messages/wamid.1"
    assert (await api.call("PUT", path, mark, token=api.user, headers=headers)).status == 200
    assert [m.kind for m in api.recorder.submitted] == [READ_MARK]


def test_a_webapp_passes_them_on_if_its_upstream_is_the_cloud_api() -> None:
    for upstream, passed in (("simulator", False), ("cloud", True)):
        settings = Settings(db_hostname="db", db_username="u", db_password="p", upstream=upstream)
        assert api_config(settings).options is passed


def test_the_description_lists_them() -> None:
    parameters = DOCUMENT["paths"]["/v1/messages"]["post"]["parameters"]
    values = {p["name"]: p["schema"].get("enum") for p in parameters if p["in"] == "header"}
    assert values == {
        "Idempotency-Key": None,
        IN_DOUBT: ["resend", "fail", "hold"],
        PRIORITY: ["high", "normal"],
    }
    assert not any(p.get("required") for p in parameters)
