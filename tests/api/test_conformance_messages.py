"""The cases of real clients, by id: what is sent, and what becomes of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.harness.integration import JPEG, PDF, TEXT, Integration

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("site")]


TO = "250788123123"


async def test_c17_a_text(site: Integration) -> None:
    message_id = await site.sent(TEXT)
    assert (await site.receiver.status(message_id, "read"))["id"] == message_id


TAKEN: dict[str, dict[str, Any]] = {
    "C18 signs": {"text": {"body": "☺"}},
    "C18 the longest text": {"text": {"body": "x" * 4096}},
    "C18 the longest of signs": {"text": {"body": "☺" * 4096}},
    "C19 a preview": {"preview_url": True, "text": {"body": "see https://example.com"}},
    "C20 no type is a text": {"text": {"body": "no type"}},
    "C22 a template without components": {
        "type": "template",
        "template": {
            "namespace": "wa_template_namespace",
            "name": "revive_issue",
            "language": {"policy": "deterministic", "code": "en"},
        },
    },
    "C23 reply buttons": {
        "type": "interactive",
        "interactive": {
            "type": "button",
            "body": {"text": "Interactive"},
            "action": {"buttons": [{"type": "reply", "reply": {"id": "0", "title": "BUTTON1"}}]},
        },
    },
    "C24 a list": {
        "type": "interactive",
        "interactive": {
            "type": "list",
            "body": {"text": "Interactive List"},
            "action": {
                "button": "Menu",
                "sections": [
                    {
                        "rows": [
                            {"id": "0", "title": "ROW0"},
                            {"id": "1", "title": "ROW1", "description": "the second"},
                            {"id": "2", "title": "ROW2"},
                            {"id": "3", "title": "ROW3"},
                        ]
                    }
                ],
            },
        },
    },
}


@pytest.mark.parametrize("case", TAKEN)
async def test_c18_to_c24_what_is_taken_is_delivered(site: Integration, case: str) -> None:
    message_id = await site.sent({"to": TO, **TAKEN[case]})
    await site.receiver.status(message_id, "delivered")


async def test_c18_a_text_that_is_too_long(site: Integration) -> None:
    reply = await site.send({**TEXT, "text": {"body": "x" * 4097}})
    reply.refused(400, 1001)


def template(image: dict[str, Any]) -> dict[str, Any]:
    components = [
        {"type": "header", "parameters": [{"type": "image", "image": image}]},
        {"type": "body", "parameters": [{"type": "text", "text": "x"}]},
    ]
    content = {
        "namespace": "ns",
        "name": "hello",
        "language": {"policy": "deterministic", "code": "en_US"},
        "components": components,
    }
    return {"to": TO, "type": "template", "template": content}


async def test_c21_a_template_with_an_image_to_the_path_with_a_slash(site: Integration) -> None:
    media_id = await site.uploaded(JPEG, "image/jpeg")
    message_id = await site.sent(template({"id": media_id}), "/v1/messages/")
    await site.receiver.status(message_id, "delivered")


async def test_c25_buttons_under_a_document(site: Integration) -> None:
    media_id = await site.uploaded(PDF, "application/pdf")
    interactive = {
        "type": "button",
        "header": {"type": "document", "document": {"id": media_id, "filename": "a.pdf"}},
        "body": {"text": "Choose"},
        "footer": {"text": "or not"},
        "action": {"buttons": [{"type": "reply", "reply": {"id": "0", "title": "BUTTON1"}}]},
    }
    await site.sent({"to": TO, "type": "interactive", "interactive": interactive})


LINK = {"link": "https://foo.invalid/file"}


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("image", {**LINK, "caption": "c"}),
        ("video", {**LINK, "caption": "c"}),
        ("audio", LINK),
        ("document", {**LINK, "filename": "a.pdf", "caption": "c"}),
    ],
)
async def test_c26_a_link_that_is_dead_fails_later(
    site: Integration, kind: str, content: dict[str, Any]
) -> None:
    message_id = await site.sent({"to": TO, "type": kind, kind: content})
    # Temporary trouble, as an unknown name may be, is tried again first.
    status = await site.receiver.status(message_id, "failed", 90)
    assert status["errors"][0]["code"]


async def test_c28_an_uploaded_image_in_a_header(site: Integration) -> None:
    media_id = await site.uploaded(JPEG, "image/jpeg")
    await site.sent(template({"id": media_id}))
    await site.sent({"to": TO, "type": "image", "image": {"id": media_id, "caption": None}})


async def test_c38_over_the_tier(site: Integration) -> None:
    await site.faults(tier=1)
    try:
        ids = [await site.sent({**TEXT, "to": f"25078855500{n}"}) for n in range(3)]
        failed = [await site.receiver.status(i, "failed") for i in ids[1:]]
    finally:
        await site.faults()
    for status in failed:
        assert status["errors"][0]["code"] == 471


USERS, EACH = 300, 3


async def test_c49_three_hundred_users_at_once(site: Integration) -> None:
    """The load test of a mock: 10 s there; nothing here depends on its length."""
    ids: list[str] = []

    async def user(number: int) -> None:
        body = {**TEXT, "to": f"49151{number:07d}"}
        taken = 0
        while taken < EACH:
            reply = await site.send(body)
            assert reply.status in (201, 503), reply.body
            if reply.status == 201:
                ids.append(reply.json["messages"][0]["id"])
                taken += 1

    await asyncio.gather(*map(user, range(USERS)))
    assert len(set(ids)) == len(ids)
    wanted = set(ids)
    await site.receiver.until(lambda: wanted <= site.receiver.ended)
