"""Business profile, compliance information, about and photo (C11; onprem-api.md 1.4)."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import asyncpg
import pytest

from tests.harness.api import Answer, Api, key_of
from warouter.api.profile.fields import PHOTO_BYTES
from warouter.api.profile.local import LocalProfile
from warouter.store.account.accounts import Accounts
from warouter.store.account.photo import Photo, Photos

PROFILE = "/v1/settings/business/profile"
COMPLIANCE = "/v1/settings/business/compliance_info"
ABOUT = "/v1/settings/profile/about"
PHOTO = "/v1/settings/profile/photo"
JPEG = b"\xff\xd8\xff\xe0" + bytes(range(256))
PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)


async def shown(api: Api, path: str, *names: str) -> Any:
    answer = await api.call("GET", path, token=api.user)
    assert answer.status == 200
    value = answer.json["settings"]
    for name in names:
        value = value[name]
    return value


async def profile(api: Api) -> Any:
    return await shown(api, PROFILE, "business", "profile")


async def refused(answer: Answer, words: str, code: int = 1009) -> None:
    assert (answer.status, answer.code) == (400, code)
    assert words in answer.error["details"]


async def test_c11_a_fresh_install(api: Api) -> None:
    empty = {"address": "", "description": "", "email": "", "vertical": "", "websites": []}
    assert await profile(api) == empty
    assert await shown(api, COMPLIANCE, "business", "compliance_info") == {}
    assert await shown(api, ABOUT, "profile", "about") == {"text": ""}
    (await api.call("GET", PHOTO, token=api.user)).refused(404, 1006)


async def test_a_profile_is_changed_field_by_field(api: Api) -> None:
    whole = {
        "address": "a" * 256,
        "description": "d" * 512,
        "email": "e" * 128,
        "vertical": "v" * 128,
        "websites": ["https://a.example", "w" * 256],
    }
    (await api.call("POST", PROFILE, whole | {"unknown": 1}, token=api.admin)).done()
    assert await profile(api) == whole
    part = {"email": "", "websites": [], "vertical": None}
    assert (await api.call("POST", PROFILE, part, token=api.admin)).status == 200
    assert await profile(api) == whole | {"email": "", "websites": []}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"address": "a" * 257}, "address has 257 characters"),
        ({"description": "a" * 513}, "description has 513"),
        ({"email": "a" * 129}, "email has 129"),
        ({"vertical": "a" * 129}, "vertical has 129"),
        ({"websites": ["a", "b", "c"]}, "websites has more than 2"),
        ({"websites": ["a", "b" * 257]}, "websites[1] has 257"),
        ({"websites": "a"}, "websites must be a list"),
        ({"address": 5}, "address must be a string"),
        ([], "the body must be an object"),
    ],
)
async def test_a_profile_that_is_refused_changes_nothing(
    api: Api, body: object, words: str
) -> None:
    before = await profile(api)
    answer = await api.call("POST", PROFILE, body, token=api.admin)
    await refused(answer, words)
    assert await profile(api) == before


async def test_compliance_information(api: Api) -> None:
    given = {
        "entity_name": "Lucky Shrub",
        "entity_type": "OTHER",
        "entity_type_custom": "Nursery",
        "is_registered": "true",
        "customer_care_details": {"email": "a@example.com", "landline_number": "+9111"},
        "grievance_officer_details": {"name": "N", "mobile_number": "+9122"},
    }
    assert (await api.call("POST", COMPLIANCE, given, token=api.admin)).status == 200
    expected = given | {"is_registered": True}
    assert await shown(api, COMPLIANCE, "business", "compliance_info") == expected
    too_long = {"customer_care_details": {"email": "e" * 257}}
    answer = await api.call("POST", COMPLIANCE, too_long, token=api.admin)
    await refused(answer, "customer_care_details.email has 257")
    assert await shown(api, COMPLIANCE, "business", "compliance_info") == expected


async def test_about(api: Api) -> None:
    text = "é" * 139
    assert (await api.call("PATCH", ABOUT, {"text": text}, token=api.admin)).status == 200
    assert await shown(api, ABOUT, "profile", "about") == {"text": text}
    await refused(
        await api.call("PATCH", ABOUT, {"text": "é" * 140}, token=api.admin), "text has 140"
    )
    await refused(await api.call("PATCH", ABOUT, {}, token=api.admin), "text is required", 1008)
    assert await shown(api, ABOUT, "profile", "about") == {"text": text}


@pytest.mark.parametrize(("data", "mime"), [(JPEG, "image/jpeg"), (PNG, "image/png")])
async def test_a_photo(api: Api, data: bytes, mime: str) -> None:
    headers = {"Content-Type": "image/jpeg"}  # as the collection says, whatever the bytes are
    (await api.call("POST", PHOTO, data=data, headers=headers, token=api.admin)).done()
    answer = await api.call("GET", PHOTO, token=api.user)
    assert (answer.status, answer.body) == (200, data)
    assert answer.headers["Content-Type"] == mime
    assert answer.headers["Content-Length"] == str(len(data))
    link = await api.call("GET", f"{PHOTO}?format=link", token=api.user)
    url = link.json["settings"]["profile"]["photo"]["link"]
    assert url == f"http://{api.client.host}:{api.client.port}{PHOTO}"
    for _ in range(2):
        (await api.call("DELETE", PHOTO, token=api.admin)).done()
    for path in (PHOTO, f"{PHOTO}?format=link"):
        (await api.call("GET", path, token=api.user)).refused(404, 1006)


async def test_each_number_has_a_photo_of_its_own(pool: asyncpg.Pool) -> None:
    await key_of(pool, 2)
    first, second = (LocalProfile(n, Accounts(pool), Photos(pool)) for n in (1, 2))
    await first.set_photo(Photo("image/jpeg", JPEG))
    assert await second.photo() is await second.photo_link() is None
    await second.delete_photo()
    await second.set_photo(Photo("image/png", PNG))
    assert [await each.photo() for each in (first, second)] == [
        ("image/jpeg", JPEG),
        ("image/png", PNG),
    ]
    await first.delete_photo()
    assert (await first.photo_link(), await second.photo_link()) == (None, "")


async def test_a_file_that_is_no_photo_is_refused(api: Api) -> None:
    assert (await api.call("POST", PHOTO, data=JPEG, token=api.admin)).status == 200
    for data, status, code in ((b"GIF89a", 400, 1009), (b"", 400, 1008)):
        (await api.call("POST", PHOTO, data=data, token=api.admin)).refused(status, code)
    large = JPEG.ljust(PHOTO_BYTES, b"\0")
    more = BytesIO(large + b"\0")
    assert (await api.call("POST", PHOTO, data=more, token=api.admin)).status == 413
    answer = await api.call("GET", f"{PHOTO}?format=bytes", token=api.user)
    await refused(answer, "format must be link")
    assert (await api.call("GET", PHOTO, token=api.user)).body == JPEG
    assert (await api.call("POST", PHOTO, data=BytesIO(large), token=api.admin)).status == 200
    assert len((await api.call("GET", PHOTO, token=api.user)).body) == PHOTO_BYTES
