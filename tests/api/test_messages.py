"""POST /v1/messages and PUT /v1/messages/{id} (C17 to C26; rules 1, 3, 4, 8)."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.harness.api import Api
from warouter._hash import slot_of
from warouter.errors import NotReady, OutcomeUnknown, Overloaded
from warouter.link.wire import Outgoing
from warouter.message_id import parse, slot_of_id
from warouter.upstream.cloud.identity import slot_of_shown

TO = "250788123123"
TEXT = {"to": TO, "type": "text", "text": {"body": "Simple Message"}}
LINK = {"link": "https://example.com/file"}


def message(**fields: Any) -> dict[str, Any]:
    return {"to": TO, **fields}


def template(**fields: Any) -> dict[str, Any]:
    content = {
        "namespace": "ns",
        "name": "hello",
        "language": {"policy": "deterministic", "code": "en_US"},
        **fields,
    }
    return message(type="template", template=content)


def interactive(**fields: Any) -> dict[str, Any]:
    return message(type="interactive", interactive={"body": {"text": "Choose"}, **fields})


BUTTON = {"buttons": [{"type": "reply", "reply": {"id": "0", "title": "BUTTON1"}}]}
ROWS = [{"id": "0", "title": "ROW0"}, {"id": "1", "title": "ROW1", "description": "the second"}]
HEADER_IMAGE = [
    {"type": "header", "parameters": [{"type": "image", "image": LINK}]},
    {"type": "body", "parameters": [{"type": "text", "text": "x"}]},
]
NAME = {"formatted_name": "Ann", "first_name": "Ann"}
PHONE = {"phone": "+491511", "type": "HOME"}
CASES = {
    "C17": TEXT,
    "C18 signs": message(text={"body": "☺"}),
    "C18 the longest text": message(text={"body": "x" * 4096}),
    "C18 the longest of signs": message(text={"body": "☺" * 4096}),
    "C19 a preview": message(preview_url=True, text={"body": "see https://example.com"}),
    "C20 no type is a text": message(text={"body": "no type"}),
    "C21": template(components=HEADER_IMAGE),
    "C22": template(),
    "C23 reply buttons": interactive(type="button", action=BUTTON),
    "C24 a list": interactive(type="list", action={"button": "Menu", "sections": [{"rows": ROWS}]}),
    "C25": interactive(
        type="button",
        header={"type": "document", "document": {**LINK, "filename": "a.pdf"}},
        footer={"text": "foot"},
        action=BUTTON,
    ),
    "C26 image": message(type="image", image={**LINK, "caption": "c"}),
    "C26 video": message(type="video", video={**LINK, "caption": None}),
    "C26 audio": message(type="audio", audio=LINK),
    "C26 document": message(type="document", document={**LINK, "filename": "a.pdf"}),
    "location": message(
        type="location",
        location={"latitude": 1.5, "longitude": 2.5, "name": "a", "address": "b"},
        recipient_type="individual",
    ),
    "contacts": message(type="contacts", contacts=[{"name": NAME, "phones": [PHONE]}]),
}


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/"])
@pytest.mark.parametrize("case", CASES)
async def test_sends(api: Api, case: str, path: str) -> None:
    body = msgspec.json.encode(CASES[case])
    answer = await api.call("POST", path, data=body, token=api.user)
    assert answer.status == 201
    assert set(answer.json) == {"messages", "meta"}
    assert set(answer.json["meta"]) == {"api_status", "version"}
    (shown,) = answer.json["messages"]
    assert set(shown) == {"id"}
    raw = parse(shown["id"])
    # The body travels on byte for byte, under the id that was answered.
    kind = 2 if b'"link"' in body else 0  # what refers to media is prepared by its owner
    assert api.recorder.submitted == [Outgoing(slot_of(TO), raw, TO, kind, body)]
    assert slot_of_id(raw) == slot_of(TO)


async def test_the_body_is_not_encoded_again(api: Api) -> None:
    body = (
        b' { "unknown" : [1.0, "\\u00e9"] , "text": {"body" : "\\ud83d\\ude00"}, "to":"+%b" } \n'
        % (TO.encode())
    )
    assert (await api.send(data=body)).status == 201
    assert api.recorder.submitted[0].body == body


async def test_an_action_as_text_travels_as_the_object(api: Api) -> None:
    written = interactive(type="button", action=msgspec.json.encode(BUTTON).decode())
    assert (await api.send(written)).status == 201
    (sent,) = api.recorder.submitted
    assert msgspec.json.decode(sent.body) == interactive(type="button", action=BUTTON)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (message(text={"body": "x" * 4097}), 400, 1001),
        (message(text={"body": "x"}, recipient_type="group"), 400, 1002),
        (message(type="text"), 400, 1008),
        ({"text": {"body": "x"}}, 400, 1008),
        ({"to": "not a number", "text": {"body": "x"}}, 400, 1009),
        (message(type="fax"), 400, 1009),
        (interactive(type="button", action="{"), 400, 1009),
        (message(text={"body": "x"}, ttl="soon"), 400, 1009),
        ([], 400, 1009),
    ],
)
async def test_refusals(api: Api, body: object, status: int, code: int) -> None:
    (await api.send(body)).refused(status, code)
    assert api.recorder.submitted == []


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "application/json; charset=utf-8", "text/plain", "x", "a/b; c=\xfc"],
)
async def test_the_content_type_does_not_matter(api: Api, content_type: str) -> None:
    answer = await api.send(TEXT, headers={"Content-Type": content_type})
    assert answer.status == 201


async def test_client_extras_do_not_matter(api: Api) -> None:
    headers = {"X-Turn-Claim-Extend": "abc", "Accept": "application/json"}
    answer = await api.call("POST", "/v1/messages?retry=1", TEXT, token=api.user, headers=headers)
    assert answer.status == 201


@pytest.mark.parametrize(
    ("refusal", "status", "code"),
    [
        (NotReady("not accepted"), 503, 1011),
        (NotReady("outcome unknown", retry_after=3), 503, 1011),
        (Overloaded("too many requests are held"), 503, 1016),
        (ConnectionResetError(), 503, 1011),
        (OutcomeUnknown("no answer"), 503, 1011),
    ],
)
async def test_when_nobody_takes_it(api: Api, refusal: Exception, status: int, code: int) -> None:
    api.recorder.refuse = refusal
    answer = await api.send(TEXT)
    answer.refused(status, code)
    assert int(answer.headers["Retry-After"]) >= 1


async def test_mark_read(api: Api) -> None:
    api.recorder.inbound["wamid.ABC="] = TO
    for path in ("/v1/messages/wamid.ABC=", "/v1/messages/wamid.ABC=/"):
        (await api.call("PUT", path, {"status": "read"}, token=api.user)).done()
    sent = api.recorder.submitted[0]
    assert (sent.slot, sent.recipient, sent.kind) == (slot_of(TO), TO, 1)
    assert slot_of_id(sent.id) == sent.slot
    assert msgspec.json.decode(sent.body) == {"status": "read", "message_id": "wamid.ABC="}


async def test_a_message_of_a_user_without_a_number_is_marked_too(api: Api) -> None:
    """With WAROUTER_CLOUD_BSUID=raw its sender is a user id."""
    api.recorder.inbound["wamid.1"] = "US.1122334455"
    (await api.call("PUT", "/v1/messages/wamid.1", {"status": "read"}, token=api.user)).done()
    [sent] = api.recorder.submitted
    assert (sent.recipient, sent.slot) == ("US.1122334455", slot_of_shown("US.1122334455"))


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("unknown", {"status": "read"}, 404, 1006),
        ("%00", {"status": "read"}, 404, 1006),
        ("%0d%0aX", {"status": "read"}, 404, 1006),
        ("x" * 300, {"status": "read"}, 404, 1006),
        ("%FF", {"status": "read"}, 404, 1006),
        ("known", {"status": "delivered"}, 400, 1009),
        ("known", {"status": 1}, 400, 1009),
        ("known", {}, 400, 1008),
    ],
)
async def test_marks_that_are_refused(
    api: Api, path: str, body: object, status: int, code: int
) -> None:
    api.recorder.inbound["known"] = TO
    (await api.call("PUT", f"/v1/messages/{path}", body, token=api.user)).refused(status, code)
    assert api.recorder.submitted == []
