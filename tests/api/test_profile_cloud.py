"""The profile, its photo and compliance information, against the Cloud door of the simulator."""

from __future__ import annotations

from collections.abc import AsyncIterator
from random import Random
from typing import Any, NamedTuple

import asyncpg
import pytest
import pytest_asyncio

from tests.harness.api import Answer, Api, Webapp
from tests.harness.cloud import client_settings
from warouter.api.profile.cloud_profile import CloudProfile
from warouter.http.pace import LOOPBACK
from warouter.lab.simulator.cloud.facts import CloudFacts
from warouter.lab.simulator.cloud.faults import CloudFaults
from warouter.lab.simulator.cloud.graph.profile_edge import ProfilePhoto
from warouter.lab.simulator.cloud.server import CloudSimulator
from warouter.media.fetch import Fetcher
from warouter.store.audit import DONE
from warouter.upstream.cloud.graph.calls import Calls
from warouter.upstream.cloud.graph.profile_calls import Profile
from warouter.upstream.cloud.secrets import Secrets

PROFILE = "/v1/settings/business/profile"
COMPLIANCE = "/v1/settings/business/compliance_info"
ABOUT = "/v1/settings/profile/about"
PHOTO = "/v1/settings/profile/photo"
FACTS = CloudFacts(token="token-1")
JPEG = b"\xff\xd8\xff\xe0" + bytes(range(256))
PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
WHOLE = {
    "address": "a" * 256,
    "description": "d" * 512,
    "email": "a@example.com",
    "vertical": "Shopping and Retail",
    "websites": ["https://a.example/", "https://b.example/"],
}
INFO = {
    "entity_name": "Lucky Shrub",
    "entity_type": "PARTNERSHIP",
    "is_registered": True,
    "customer_care_details": {"email": "a@example.com", "landline_number": "+913857614343"},
    "grievance_officer_details": {"name": "N", "email": "n@example.com"},
}
CALLS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("GET", PROFILE, {}),
    ("POST", PROFILE, {"body": {"address": "x"}}),
    ("GET", COMPLIANCE, {}),
    ("POST", COMPLIANCE, {"body": INFO}),
    ("GET", ABOUT, {}),
    ("PATCH", ABOUT, {"body": {"text": "x"}}),
    ("GET", PHOTO, {}),
    ("GET", f"{PHOTO}?format=link", {}),
    ("POST", PHOTO, {"data": JPEG}),
)


class Shown(NamedTuple):
    """An API whose profile is kept by Meta's stand-in."""

    api: Api
    simulator: CloudSimulator

    async def call(self, method: str, path: str, body: object = None, **options: Any) -> Answer:
        return await self.api.call(method, path, body, token=self.api.admin, **options)

    async def shown(self, path: str, *names: str) -> Any:
        answer = await self.api.call("GET", path, token=self.api.user)
        assert answer.status == 200, answer.body
        value = answer.json["settings"]
        for name in names:
            value = value[name]
        return value

    async def profile(self) -> Any:
        return await self.shown(PROFILE, "business", "profile")

    async def compliance(self) -> Any:
        return await self.shown(COMPLIANCE, "business", "compliance_info")

    def at_meta(self, *names: str) -> Any:
        """These fields, as Meta shows them."""
        return self.simulator.profile.fields({"fields": ",".join(names)})["data"][0]


@pytest_asyncio.fixture
async def cloud(webapp: Webapp) -> AsyncIterator[Shown]:
    simulator = CloudSimulator(FACTS, random=Random(1))
    settings, of = client_settings(FACTS, (await simulator.start()).graph_url)
    calls = Calls(settings, Secrets(of))
    fetcher = Fetcher(allow_http=True, allow_private=LOOPBACK)
    try:
        yield Shown(await webapp(profile=CloudProfile(of, Profile(calls), fetcher)), simulator)
    finally:
        await calls.close()
        await simulator.stop()


async def test_a_number_whose_profile_is_empty(cloud: Shown) -> None:
    empty = {"address": "", "description": "", "email": "", "vertical": "", "websites": []}
    assert await cloud.profile() == empty
    assert await cloud.compliance() == {"is_registered": False}
    assert await cloud.shown(ABOUT, "profile", "about") == {"text": ""}
    for path in (PHOTO, f"{PHOTO}?format=link"):
        (await cloud.call("GET", path)).refused(404, 1006)


async def test_a_profile_is_changed_field_by_field(cloud: Shown, pool: asyncpg.Pool) -> None:
    (await cloud.call("POST", PROFILE, WHOLE | {"unknown": 1})).done()
    assert await cloud.profile() == WHOLE
    assert cloud.at_meta("vertical")["vertical"] == "RETAIL"
    part = {"email": "", "websites": [], "vertical": None}
    (await cloud.call("POST", PROFILE, part)).done()
    assert await cloud.profile() == WHOLE | {"email": "", "websites": []}
    (await cloud.call("POST", PROFILE, {})).done()
    assert await pool.fetchval("select count(*) from setting") == 0
    rows = await pool.fetch(
        "select action, subject, outcome from audit where of is not null order by id"
    )
    assert tuple(rows[1]) == (f"POST {PROFILE}", "email, websites", DONE)


async def test_changes_made_at_meta_are_shown(cloud: Shown) -> None:
    whatsapp = {"messaging_product": "whatsapp"}
    cloud.simulator.profile.change(whatsapp | {"about": "Open", "vertical": "OTC_DRUGS"})
    assert (await cloud.profile())["vertical"] == "OTC_DRUGS"
    assert await cloud.shown(ABOUT, "profile", "about") == {"text": "Open"}


@pytest.mark.parametrize(
    ("text", "name", "shown"),
    [
        ("beauty, spa and salon", "BEAUTY", "Beauty, Spa and Salon"),
        ("prof_services", "PROF_SERVICES", "Professional Services"),
        ("", "UNDEFINED", ""),
    ],
)
async def test_the_vertical_has_metas_name_at_meta(
    cloud: Shown, text: str, name: str, shown: str
) -> None:
    (await cloud.call("POST", PROFILE, {"vertical": "Other"})).done()
    (await cloud.call("POST", PROFILE, {"vertical": text})).done()
    assert cloud.at_meta("vertical")["vertical"] == name
    assert (await cloud.profile())["vertical"] == shown


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"address": "a" * 257}, "address has 257 characters"),
        ({"websites": ["https://a", "https://b", "https://c"]}, "websites has more than 2"),
        ({"vertical": "Bakery"}, "vertical must be one of: Automotive; Beauty, Spa and Salon;"),
        ({"vertical": "Bakery"}, "Not a Business; Other; or a name of the Cloud API"),
        ({"email": "nobody"}, "the profile is not valid: Param email must be a valid email"),
        ({"websites": ["a.example"]}, "the profile is not valid: Param websites"),
    ],
)
async def test_a_profile_that_is_refused_changes_nothing(
    cloud: Shown, body: dict[str, Any], words: str
) -> None:
    (await cloud.call("POST", PROFILE, WHOLE)).done()
    (await cloud.call("POST", PROFILE, {"description": "other"} | body)).refused(400, 1009, words)
    assert await cloud.profile() == WHOLE


async def test_the_about_text_can_be_changed_and_not_cleared(cloud: Shown) -> None:
    (await cloud.call("PATCH", ABOUT, {"text": "é" * 139})).done()
    (await cloud.call("PATCH", ABOUT, {"text": "é" * 140})).refused(400, 1009, "text has 140")
    (await cloud.call("PATCH", ABOUT, {"text": ""})).refused(400, 1009, "not clear it")
    (await cloud.call("PATCH", ABOUT, {})).refused(400, 1008, "text is required")
    assert await cloud.shown(ABOUT, "profile", "about") == {"text": "é" * 139}


async def test_compliance_information(cloud: Shown) -> None:
    given = INFO | {"entity_type": "Partnership", "is_registered": "true"}
    (await cloud.call("POST", COMPLIANCE, given)).done()
    assert await cloud.compliance() == INFO
    company = {"entity_type": "private company", "is_registered": None}
    (await cloud.call("POST", COMPLIANCE, INFO | company)).done()
    shown = await cloud.compliance()
    assert (shown["entity_type"], shown["is_registered"]) == ("PRIVATE_COMPANY", False)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"entity_name": "a" * 257}, "entity_name has 257"),
        ({"entity_name": "a" * 200}, "the compliance information is not valid: Param entity_name"),
        ({"entity_type": "Bakery"}, "entity_type must be one of {LIMITED_LIABILITY_PARTNERSHIP"),
        ({"entity_type": "OTHER"}, "entity_type_custom is required"),
        ({"grievance_officer_details": {"name": "N"}}, "grievance_officer_details[email]"),
        ({"customer_care_details": None}, "customer_care_details is required"),
    ],
)
async def test_compliance_information_that_is_refused_changes_nothing(
    cloud: Shown, body: dict[str, Any], words: str
) -> None:
    (await cloud.call("POST", COMPLIANCE, INFO)).done()
    (await cloud.call("POST", COMPLIANCE, INFO | body)).refused(400, 1009, words)
    assert await cloud.compliance() == INFO


@pytest.mark.parametrize(("data", "mime"), [(JPEG, "image/jpeg"), (PNG, "image/png")])
async def test_a_photo(cloud: Shown, data: bytes, mime: str, pool: asyncpg.Pool) -> None:
    (await cloud.call("POST", PHOTO, data=data)).done()
    answer = await cloud.api.call("GET", PHOTO, token=cloud.api.user)
    assert (answer.status, answer.body) == (200, data)
    assert answer.headers["Content-Type"] == mime
    link = await cloud.shown(f"{PHOTO}?format=link", "profile", "photo", "link")
    assert link == cloud.at_meta("profile_picture_url")["profile_picture_url"]
    assert await pool.fetchval("select count(*) from profile_photo") == 0


async def test_a_photo_is_replaced_and_not_deleted(cloud: Shown) -> None:
    for data in (JPEG, PNG):
        (await cloud.call("POST", PHOTO, data=data)).done()
    (await cloud.call("DELETE", PHOTO)).refused(400, 1009, "cannot delete the photo")
    assert (await cloud.call("GET", PHOTO)).body == PNG


async def test_a_file_that_is_no_photo_is_refused(cloud: Shown) -> None:
    (await cloud.call("POST", PHOTO, data=b"GIF89a")).refused(400, 1009, "not a JPEG or PNG")
    (await cloud.call("POST", PHOTO)).refused(400, 1008, "image is required")
    answer = await cloud.call("GET", f"{PHOTO}?format=bytes")
    answer.refused(400, 1009, "format must be link")
    assert cloud.simulator.profile.fields({"fields": "profile_picture_url"})["data"][0].keys() == {
        "messaging_product"
    }


async def test_a_photo_that_meta_shows_is_bounded_and_an_image(cloud: Shown) -> None:
    (await cloud.call("POST", PHOTO, data=JPEG)).done()
    key, _ = cloud.simulator.profile._picture or ("", None)
    for picture, words in (
        (ProfilePhoto("image/jpeg", bytes((5 << 20) + 1)), "it is larger than"),
        (ProfilePhoto("text/html", b"<html>"), "it is neither JPEG, PNG nor WebP"),
        (ProfilePhoto("image/svg+xml", b"<svg/>"), "it is neither JPEG, PNG nor WebP"),
    ):
        cloud.simulator.profile._picture = key, picture
        (await cloud.call("GET", PHOTO)).refused(503, 1011, words)
    cloud.simulator.profile._picture = key, ProfilePhoto("image/jpeg", b"RIFF\0\0\0\0WEBPVP8 ")
    answer = await cloud.call("GET", PHOTO)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "image/webp")


async def test_a_photo_at_an_address_that_no_one_may_ask_is_not_fetched(cloud: Shown) -> None:
    (await cloud.call("POST", PHOTO, data=JPEG)).done()
    cloud.simulator.profile.base = "http://10.1.2.3"
    refused = (await cloud.call("GET", PHOTO)).refused(503, 1011, "cannot be fetched from Meta")
    assert "an address that is not public" in refused["details"]


@pytest.mark.parametrize(("method", "path", "options"), CALLS)
async def test_the_graph_api_is_away(
    cloud: Shown, method: str, path: str, options: dict[str, Any]
) -> None:
    await cloud.simulator.stop()
    answer = await cloud.call(method, path, **options)
    answer.refused(503, 1011, "the Graph API cannot be reached")
    assert answer.headers["Retry-After"] == "5"


@pytest.mark.parametrize(("method", "path", "options"), CALLS)
async def test_the_token_is_refused(
    cloud: Shown, method: str, path: str, options: dict[str, Any]
) -> None:
    cloud.simulator.use(CloudFaults(no_token=True))
    (await cloud.call(method, path, **options)).refused(
        503, 1011, "the Graph API refused: The access token expired or was revoked."
    )


async def test_users_see_and_do_not_change(cloud: Shown) -> None:
    for method, path, options in CALLS:
        if method != "GET":
            answer = await cloud.api.call(method, path, token=cloud.api.user, **options)
            answer.refused(403, 1005)
