"""The product and the emulator were written apart: what one says, the other must understand."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.unit.lab.simulator.cloud.cloud_world import TO, WALL, Meta, template
from warouter.api.description.openapi import written
from warouter.api.messages.validate import parse_message
from warouter.lab.simulator.cloud.graph import errors
from warouter.lab.simulator.cloud.inbound import GraphMedia
from warouter.lab.simulator.cloud.message import read
from warouter.lab.simulator.inbound import build
from warouter.message_id import text_of
from warouter.upstream.cloud import elements, inbound, statuses
from warouter.upstream.cloud.answers import judge
from warouter.upstream.cloud.batch import Batch
from warouter.upstream.cloud.outgoing import Addressee, read_mark, translate
from warouter.upstream.cloud.reference import reference

EXAMPLES = written().routes["POST /v1/messages"].examples
ID = bytes((1, 3)) + bytes(18)
REFERENCE = reference(ID, 2)


def heard(meta: Meta, **dealt: Any) -> Batch:
    """What the product reads of everything that is told by now, in one POST."""
    meta.wait(1)
    meta.use(**dealt)
    meta.world.tick(meta.now, WALL + meta.now)
    (post,) = meta.world.outbox.leaving(meta.now)
    meta.world.outbox.done(post, answered=True, now=meta.now)
    found = elements.read(post.body, {meta.world.facts.phone_number_id: 1})
    assert not found.counted, found.reason
    return found


@pytest.mark.parametrize("name", EXAMPLES)
def test_bodies_of_the_product_are_taken(name: str) -> None:
    came = msgspec.json.encode(EXAMPLES[name])
    body = parse_message(came).body or came
    sent = translate(body, Addressee(TO), REFERENCE, media=["1", "2", "3"])
    asked = read(sent, need_plus=True)
    assert (asked.number, asked.reference) == (TO, REFERENCE)
    mark = read(read_mark(b'{"status":"read","message_id":"wamid.x"}', typing=True))
    assert (mark.read, mark.typing) == ("wamid.x", True)


def test_answers_are_understood() -> None:
    meta = Meta()
    answer = meta.answer(biz_opaque_callback_data=REFERENCE)
    judged = judge(200, msgspec.json.encode(answer))
    assert (judged.cls.name, judged.wamid) == ("TAKEN", answer["messages"][0]["id"])
    assert judged.wa_id == TO
    held = Meta(held_templates=("promo",)).template("promo")
    assert judge(200, msgspec.json.encode(held)).held


@pytest.mark.parametrize(
    ("code", "cls"),
    [
        (130429, "NOT_TAKEN"),
        (131056, "LANE"),
        (131057, "PAUSE"),
        (190, "OPERATOR"),
        (133010, "OPERATOR"),
        (131042, "FINAL"),
        (131026, "FINAL"),
        (131016, "NOT_TAKEN"),
        (131000, "DOUBT"),
    ],
)
def test_errors_are_understood(code: int, cls: str) -> None:
    judged = judge(errors.status_of(code), errors.answer(code, "", "trace"))
    assert (judged.cls.name, judged.meta_code) == (cls, code)


@pytest.mark.parametrize(("entries", "changes"), [(1, 1), (3, 2)])
def test_statuses_are_understood(entries: int, changes: int) -> None:
    meta = Meta()
    wamid = meta.answer(biz_opaque_callback_data=REFERENCE)["messages"][0]["id"]
    found = heard(meta, entries=entries, changes=changes).elements
    assert {e.status for e in found} == {"sent", "delivered", "read"}
    for one in found:
        assert (one.wamid, one.reference, one.wa_id) == (wamid, REFERENCE, TO)
        v1 = statuses.to_v1(one.raw, text_of(ID), TO)
        assert v1 is not None
        payload = msgspec.json.decode(v1.payload)
        assert (payload["id"], payload["status"]) == (text_of(ID), one.status)


def test_failures_are_understood() -> None:
    meta = Meta(failed=1.0, failed_code=131049, opaque="not_failed")
    meta.answer(**template("t"))
    (one,) = heard(meta).elements
    assert (one.status, one.reference) == ("failed", "")
    v1 = statuses.to_v1(one.raw, text_of(ID), TO)
    assert v1 is not None
    assert msgspec.json.decode(v1.payload)["errors"][0]["code"] == 472


KINDS: dict[str, Any] = {
    "text": {"body": "hi"},
    "button": {"body": "b"},
    "image": {"data": "YWJj", "body": "c"},
    "voice": {"data": "YWJj"},
    "document": {"data": "YWJj", "document": {"filename": "f.pdf"}},
    "location": {"location": {"latitude": 1.5, "longitude": 2.5}},
    "contacts": {"contacts": [{"name": {"formatted_name": "Ann"}}]},
    "interactive": {
        "interactive": {"type": "button_reply", "button_reply": {"id": "1", "title": "t"}}
    },
    "order": {"order": {"catalog_id": "1", "product_items": []}},
    "unknown": {},
}


@pytest.mark.parametrize("kind", KINDS)
def test_inbound_messages_are_in_the_v1_form_what_the_native_door_says(kind: str) -> None:
    asked = {"from": TO, "type": kind, "name": "Ann", "timestamp": 5} | KINDS[kind]
    native = build(asked, "wamid.1", 5)
    meta = Meta()
    kept = {place: GraphMedia("77", "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=", "https://m")
            for place in native.contents}  # fmt: skip
    meta.world.inject(native, kept, meta.now, WALL)
    (one,) = heard(meta).elements
    assert (one.wamid, one.wa_id, one.name) == ("wamid.1", TO, "Ann")
    v1 = inbound.to_v1(one.raw, one.contact, one.wa_id)
    assert v1 is not None
    shown = msgspec.json.decode(v1.payload)
    expected = msgspec.json.decode(native.payload)
    assert (shown["id"], shown["from"], shown["type"]) == ("wamid.1", TO, kind)
    if kind in shown:
        assert (
            shown[kind].items() >= expected[kind].items()
            if kind in native.contents
            else (shown[kind] == expected[kind])
        )
    assert set(v1.media) == set(native.contents)


def test_a_customer_without_a_number_is_understood() -> None:
    meta = Meta(withheld=(TO,))
    meta.write(body="hi", name="Ann")
    (one,) = heard(meta, withheld=(TO,)).elements
    assert (one.wa_id, one.user_id, one.username) == (
        "",
        meta.world.intake.people.shown(TO).user_id,
        meta.world.intake.people.shown(TO).username,
    )


def test_an_upgrade_is_understood() -> None:
    meta = Meta(upgrade_s=0.5)
    found = heard(meta)
    assert [notice.field for notice in found.notices] == ["phone_number_quality_update"]
