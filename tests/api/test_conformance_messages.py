"""The cases of real clients, by id, that end beyond a webapp: what becomes of what is sent, shards.

What is taken of a client, and how it is answered, is in the other tests of the API.
"""

from __future__ import annotations

import pytest

from tests.api.test_messages import CASES, LINK
from tests.harness.integration import TEXT, Integration

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("site")]


async def test_c17_to_c24_what_is_taken_is_delivered(site: Integration) -> None:
    taken = [await site.sent(body) for body in CASES.values() if LINK["link"] not in str(body)]
    assert len(taken) >= 9
    for message_id in taken:
        await site.receiver.status(message_id, "read")


async def test_c26_a_link_that_is_dead_fails_later(site: Integration) -> None:
    link = {"link": "https://foo.invalid/file"}
    ids = [
        await site.sent({"to": TEXT["to"], "type": kind, kind: link})
        for kind in ("image", "video", "audio", "document")
    ]
    # Temporary trouble, as an unknown name may be, is tried again first.
    for message_id in ids:
        status = await site.receiver.status(message_id, "failed", 90)
        assert status["errors"][0]["code"]


async def test_c46_every_count_of_shards(site: Integration) -> None:
    d = site.cluster.description()
    number = {"cc": d["cc"], "phone_number": d["phone_number"]}
    cert = {"cert": d["cert"]}
    for shards, more in (
        (1, cert),
        (4, {"pin": None}),
        ("8", cert | {"pin": None}),
        (16, {}),
        (32, {}),
        (2, cert),
    ):
        wish = number | {"shards": shards} | more
        reply = await site.call("POST", "/v1/account/shards", wish)
        assert reply.status == 201, reply.body
        shown = await site.call("GET", "/v1/account/shards")
        assert shown.json["account"] == {"shards": int(str(shards))}
    await site.sent(TEXT)
