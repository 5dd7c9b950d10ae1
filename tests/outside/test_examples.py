"""Examples of Meta's OpenAPI file: its own, and how a cluster's listener takes those of webhooks.

They come from outside at the time of the run, so that their number is not known before.
"""

from __future__ import annotations

import base64
import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from tests.harness.cloud import TO, door
from tests.harness.webhooks import text
from tests.outside.bodies import UPLOAD
from tests.outside.conftest import wrong_with
from tests.outside.exceptions import OF_META, UNPASSED, UNTAKEN
from tests.outside.scene import FACTS, Scene, entry, envelope, now
from tests.outside.told import upload

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("outside_scene")]

Json = dict[str, Any]
SENDS = "/{Version}/{Phone-Number-ID}/messages"
WEBHOOKS = "/whatsapp/webhooks"
MEDIA = {"image", "audio", "video", "document", "sticker"}
V1_TYPES = {"unsupported": "unknown"}
_numbers = itertools.count(1)


def examples(openapi: Json, path: str) -> dict[str, Json]:
    body = openapi["paths"][path]["post"]["requestBody"]["content"]["application/json"]
    return {name: example["value"] for name, example in body["examples"].items()}


@pytest.mark.parametrize(
    ("path", "schema", "count"), [(SENDS, "Message", 50), (WEBHOOKS, "WebhookPayload", 16)]
)
async def test_the_repaired_file_agrees_with_itself(
    openapi: Json, path: str, schema: str, count: int
) -> None:
    """Otherwise it is no judge of anything."""
    found = examples(openapi, path)
    wrong = {name for name, value in found.items() if wrong_with(openapi, schema, value)}
    assert len(found) >= count
    assert wrong == OF_META.keys() & found.keys()


async def test_each_webhook_reaches_the_business_with_its_neighbours(
    openapi: Json, scene: Scene
) -> None:
    """Each is in one POST with good messages before and after it, and in an entry with one."""
    readable = 0
    for name, example in examples(openapi, WEBHOOKS).items():
        messages = list(renamed(example))
        good = [text(new_id(), f"4917{next(_numbers):08d}", timestamp=now()) for _ in range(3)]
        example["entry"][0]["changes"].insert(0, entry(good[:1])["changes"][0])
        body = envelope([entry(good[1:2]), *example["entry"], entry(good[2:])])
        assert await scene.told(body) == 200, name
        await scene.arrived(*(one["id"] for one in good))
        for message in messages:
            (shown,) = await scene.arrived(message["id"])
            assert_is_v1(shown, message)
        readable += bool(messages)
    assert readable >= 13


def renamed(example: Json) -> Iterator[Json]:
    """The messages of a webhook, of now, with ids of their own: some examples share one."""
    for change in (change for one in example["entry"] for change in one["changes"]):
        assert change["value"]["metadata"]["phone_number_id"] == FACTS.phone_number_id
        for message in change["value"].get("messages", ()):
            message |= {"id": new_id(), "timestamp": now()}
            yield message


def new_id() -> str:
    return f"wamid.HBgExample{next(_numbers)}"


def in_v1(given: Json) -> Json:
    """An object without an id of media, which nobody has here, and with its hash in hex."""
    if "sha256" not in given:
        return given
    kept = {key: value for key, value in given.items() if key not in ("id", "sha256")}
    return kept | {"sha256": base64.b64decode(given["sha256"]).hex()}


def assert_is_v1(shown: Json, message: Json) -> None:
    kind = message["type"]
    assert shown["type"] == V1_TYPES.get(kind, kind)
    assert (shown["from"], shown["timestamp"]) == (message["from"], message["timestamp"])
    for name in ("context", "referral", kind):
        given = message.get(name)
        if isinstance(given, dict):
            given = in_v1(given)
            assert {key: shown[name].get(key) for key in given} == given
        elif given is not None:
            assert shown[name] == given
    if kind == "unsupported":
        assert shown["errors"][0]["code"] == 501


async def test_each_message_of_metas_is_taken_by_the_door(openapi: Json) -> None:
    """The door is not narrower than Meta."""
    async with door() as meta:
        media = await upload(meta)
        refused = {}
        for name, example in examples(openapi, SENDS).items():
            code, answer = await meta.call(
                "POST", meta.messages_url, json=filled_in(example, media)
            )
            if code != 200:
                refused[name] = answer["error"]["error_data"]["details"]
    assert refused.keys() == UNTAKEN.keys(), refused


async def test_each_message_of_metas_goes_through_v1_as_it_is(openapi: Json, scene: Scene) -> None:
    """A client that writes what Meta takes is understood, and nothing gets lost on the way."""
    found = examples(openapi, SENDS).items()
    bodies = {name: filled_in(one, UPLOAD) for name, one in found if "type" in one}
    sent = await scene.sent(bodies)
    changed = {name: with_change(body, sent[name]) for name, body in bodies.items()}
    changed = {name: change for name, change in changed.items() if change}
    assert changed.keys() == UNPASSED.keys(), changed


def with_change(asked: Json, sent: Json) -> str:
    """How a message was changed on its way, if it was."""
    if "errors" in sent:
        return str(sent["errors"][0]["details"])
    names = {asked["type"], "context"}
    before = comparable({name: asked.get(name) for name in names})
    after = comparable({name: sent.get(name) for name in names})
    return "" if before == after else f"{before} became {after}"


def comparable(value: Any) -> Any:
    """Without ids of media, which are others at Meta, and with what every template is given:
    the policy, the index as a string, and of a time only the text that Meta shows.
    """
    if isinstance(value, list):
        return [comparable(one) for one in value]
    if not isinstance(value, dict):
        return value
    found = {name: comparable(one) for name, one in value.items()}
    for name in found.keys() & MEDIA:
        found[name].pop("id", None)
    if "index" in found:
        found["index"] = str(found["index"])
    if "language" in found:
        found["language"].setdefault("policy", "deterministic")
    if "date_time" in found:
        found["date_time"] = {"fallback_value": found["date_time"]["fallback_value"]}
    return found


def filled_in(value: Any, media: str) -> Any:
    """An example to a number that exists, with this id for its media."""
    if isinstance(value, list):
        return [filled_in(one, media) for one in value]
    if not isinstance(value, dict):
        return f"+{TO}" if isinstance(value, str) and "Phone-Number" in value else value
    found = {name: filled_in(one, media) for name, one in value.items()}
    for name in found.keys() & MEDIA:
        found[name].pop("link", None)
        found[name]["id"] = media
    return found
