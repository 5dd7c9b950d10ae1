"""Sticker packs and their stickers (onprem-api.md 1.9); groups, which are gone (C48)."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import asyncpg
import pytest

from tests.harness.api import Answer, Api, key_of
from warouter.api.groups import ROUTES as GROUPS

PATH = "/v1/stickerpacks"
PACK = {
    "publisher": "Lucky Shrub",
    "name": "Cacti",
    "ios_app_store_link": "https://apps.apple.example/1",
    "android_app_store_link": "",
}
STICKER = {"image_data_id": "36c484d1-1283-4b94-988d-7276bdec4de2", "emojis": ["🌵", "👍🏽"]}


async def call(api: Api, method: str, path: str = "", body: object = None) -> Answer:
    return await api.call(method, PATH + path, body, token=api.user)


async def new_pack(api: Api) -> str:
    answer = await call(api, "POST", "", PACK)
    assert answer.status == 201
    (pack,) = answer.json["stickerpacks"]
    assert set(pack) == {"id"}
    return f"/{pack['id']}"


def missing(answer: Answer) -> bool:
    return (answer.status, answer.code) == (404, 1006)


async def test_packs(api: Api) -> None:
    assert (await call(api, "GET")).json["stickerpacks"] == []
    pack = await new_pack(api)
    whole = PACK | {"id": pack[1:]}
    assert (await call(api, "GET")).json["stickerpacks"] == [whole]
    assert (await call(api, "GET", pack)).json["stickerpacks"] == [whole]
    answer = await call(api, "PATCH", pack, {"name": "Succulents", "publisher": None})
    assert answer.json["stickerpacks"] == [{"id": pack[1:]}]
    changed = whole | {"name": "Succulents"}
    assert (await call(api, "GET", pack)).json["stickerpacks"] == [changed]
    (await call(api, "DELETE", pack)).done()
    for method, body in (("GET", None), ("PATCH", {"name": "x"}), ("DELETE", None)):
        assert missing(await call(api, method, pack, body))


async def test_a_number_neither_sees_nor_changes_packs_of_another(
    api: Api, pool: asyncpg.Pool
) -> None:
    other = await key_of(pool, 2)
    pack = await new_pack(api)
    stickers = f"{pack}/stickers"
    assert (await call(api, "POST", stickers, STICKER)).status == 201
    for method, path, body in (
        *(
            (method, pack, body)
            for method, body in (("GET", None), ("PATCH", PACK), ("DELETE", None))
        ),
        *((method, stickers, body) for method, body in (("GET", None), ("POST", STICKER))),
        *((method, f"{stickers}/0", body) for method, body in (("GET", None), ("PATCH", STICKER))),
        ("DELETE", f"{stickers}/0", None),
    ):
        assert missing(await api.call(method, PATH + path, body, token=other)), (method, path)
    assert (await api.call("GET", PATH, token=other)).json["stickerpacks"] == []
    made = await api.call("POST", PATH, PACK, token=other)
    [own] = made.json["stickerpacks"]
    assert (await api.call("GET", PATH, token=other)).json["stickerpacks"] == [PACK | own]
    assert missing(await call(api, "GET", f"/{own['id']}"))
    assert (await call(api, "GET")).json["stickerpacks"] == [PACK | {"id": pack[1:]}]
    assert (await call(api, "GET", stickers)).json["stickers"] == [STICKER | {"index": 0}]


async def test_stickers(api: Api) -> None:
    pack = await new_pack(api)
    stickers = f"{pack}/stickers"
    assert (await call(api, "GET", stickers)).json["stickers"] == []
    for index in range(3):
        answer = await call(api, "POST", stickers, STICKER)
        assert (answer.status, answer.json["stickers"]) == (201, [{"index": index}])
    assert (await call(api, "PATCH", f"{stickers}/1", {"emojis": ["🌿"]})).status == 200
    one = STICKER | {"index": 1, "emojis": ["🌿"]}
    assert (await call(api, "GET", f"{stickers}/1")).json["stickers"] == [one]
    assert (await call(api, "DELETE", f"{stickers}/2")).status == 200
    # An index is given once: whoever kept one does not find another sticker under it.
    assert (await call(api, "POST", stickers, STICKER)).json["stickers"] == [{"index": 3}]
    found = (await call(api, "GET", stickers)).json["stickers"]
    assert [s["index"] for s in found] == [0, 1, 3]
    assert missing(await call(api, "GET", f"{stickers}/2"))
    await call(api, "DELETE", pack)
    for method, body in (("GET", None), ("POST", STICKER)):
        assert missing(await call(api, method, stickers, body))
    for method, body in (("GET", None), ("PATCH", {"emojis": ["x"]}), ("DELETE", None)):
        assert missing(await call(api, method, f"{stickers}/0", body))


async def test_a_pack_is_full_at_thirty_also_when_asked_at_once(api: Api) -> None:
    stickers = f"{await new_pack(api)}/stickers"
    answers = await asyncio.gather(*(call(api, "POST", stickers, STICKER) for _ in range(33)))
    assert sorted(answer.status for answer in answers) == [201] * 30 + [400] * 3
    assert len((await call(api, "GET", stickers)).json["stickers"]) == 30


async def test_the_namespace_of_whatsapp_has_no_stickers(api: Api) -> None:
    pack = await new_pack(api)
    query = "?namespace=whatsapp"
    assert (await call(api, "GET", query)).json["stickerpacks"] == []
    for path in ("", "/stickers", "/stickers/0"):
        assert missing(await call(api, "GET", f"{pack}{path}{query}"))
    assert (await call(api, "POST", query, PACK)).status == 400
    assert (await call(api, "GET", "?namespace=other")).status == 400


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        ({}, 1008, "publisher is required"),
        (PACK | {"name": None}, 1008, "name is required"),
        (PACK | {"name": ""}, 1009, "name must not be empty"),
        (PACK | {"publisher": "p" * 129}, 1009, "publisher has 129"),
        (PACK | {"ios_app_store_link": "ftp://x"}, 1009, "ios_app_store_link must be a URL"),
        (PACK | {"name": 5}, 1009, "name must be a string"),
        ([], 1009, "the body must be an object"),
    ],
)
async def test_packs_that_are_refused(api: Api, body: object, code: int, words: str) -> None:
    (await call(api, "POST", "", body)).refused(400, code, words)
    assert (await call(api, "GET")).json["stickerpacks"] == []


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        ({"emojis": ["x"]}, 1008, "image_data_id is required"),
        ({"image_data_id": "x"}, 1008, "emojis is required"),
        ({"image_data_id": "", "emojis": ["x"]}, 1009, "image_data_id must not be empty"),
        ({"image_data_id": "x", "emojis": []}, 1009, "emojis must not be empty"),
        ({"image_data_id": "x", "emojis": ["x"] * 4}, 1009, "emojis has 4"),
        ({"image_data_id": "x", "emojis": ["x" * 33]}, 1009, "emojis[0] has 33"),
        ({"image_data_id": "x", "emojis": [5]}, 1009, "emojis[0] must be a string"),
    ],
)
async def test_stickers_that_are_refused(api: Api, body: object, code: int, words: str) -> None:
    stickers = f"{await new_pack(api)}/stickers"
    (await call(api, "POST", stickers, body)).refused(400, code, words)
    assert (await call(api, "GET", stickers)).json["stickers"] == []


async def test_a_malformed_sticker_pack_id_is_404(api: Api) -> None:
    pack = await new_pack(api)
    for name in ("x", pack[1:].replace("-", ""), f"{{{pack[1:]}}}", "0" * 300, str(uuid4())):
        assert missing(await call(api, "GET", f"/{name}"))
    for index in ("x", "-1", "1.0", "9" * 10, "9" * 300, "²"):
        assert missing(await call(api, "GET", f"{pack}/stickers/{index}"))


async def test_c48_groups_are_gone(api: Api) -> None:
    for route in GROUPS:
        answer = await api.call(route.method, route.path.replace("{group}", "1"), token=api.user)
        assert missing(answer)
        assert answer.error["details"] == "groups are no longer part of the API"
