"""Calls about the profile: what a Graph API may answer that is not as its pages say."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from msgspec.structs import replace

from tests.harness.cloud import client_settings
from tests.harness.cloud_number import some_number
from tests.harness.served import serving
from warouter.lab.simulator.cloud.facts import CloudFacts
from warouter.lab.simulator.cloud.server import CloudSimulator
from warouter.upstream.cloud.graph.calls import Calls
from warouter.upstream.cloud.graph.failed import CallAway, CallRefused
from warouter.upstream.cloud.graph.profile_calls import Profile
from warouter.upstream.cloud.secrets import Secrets
from warouter.variables import SecretSource

FACTS = CloudFacts(token="t")
NUMBER = FACTS.phone_number_id
OF = some_number(phone_number_id=NUMBER)
PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)


class Odd:
    """A server that gives the answer of each path, and what it was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.asked: list[str] = []

    async def says(self, request: web.Request) -> web.Response:
        self.asked.append(request.raw_path)
        return web.json_response(self.answers[request.path.removeprefix("/v25.0/")])


@pytest_asyncio.fixture
async def odd() -> AsyncIterator[tuple[Odd, Profile]]:
    odd = Odd()
    async with serving(odd.says) as url:
        cloud, _ = client_settings(FACTS, url)
        calls = Calls(cloud, Secrets(OF))
        yield odd, Profile(calls)
        await calls.close()


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ({"data": [{"about": "a"}]}, {"about": "a"}),
        # As Meta's OpenAPI document has it, other than Meta's pages.
        ({"data": [{"business_profile": {"about": "a"}}]}, {"about": "a"}),
        ({"data": []}, {}),
        ({"data": ["x"]}, {}),
        ({"data": None}, {}),
        ({}, {}),
    ],
)
async def test_forms_of_the_profile(
    odd: tuple[Odd, Profile], answer: dict[str, Any], found: dict[str, Any]
) -> None:
    server, profile = odd
    server.answers[f"{NUMBER}/whatsapp_business_profile"] = answer
    assert await profile.fields(OF, "about", "email") == found
    assert server.asked == [f"/v25.0/{NUMBER}/whatsapp_business_profile?fields=about,email"]


GOOD: dict[str, Any] = {
    "app": {"id": "12"},
    "12/uploads": {"id": "upload:MTph/+d=?sig=AR_-z"},
    "upload:MTph/+d=": {"h": "4:handle"},
}


async def test_the_id_of_a_session_is_used_as_it_was_given(odd: tuple[Odd, Profile]) -> None:
    server, profile = odd
    server.answers = GOOD
    assert await profile.upload(OF, await profile.app(OF), PNG, "image/png") == "4:handle"
    assert server.asked == [
        "/v25.0/app?fields=id",
        f"/v25.0/12/uploads?file_length={len(PNG)}&file_type=image/png&file_name=photo.png",
        "/v25.0/upload:MTph/+d=?sig=AR_-z",
    ]


@pytest.mark.parametrize(
    "answers",
    [
        {"app": {}},
        {"app": {"id": "../me"}},
        {"12/uploads": {"id": None}},
        {"12/uploads": {"id": "https://evil.example/"}},
        {"12/uploads": {"id": "upload:a b"}},
        {"12/uploads": {"id": "upload:a#b"}},
        {"12/uploads": {"id": "upload:a/../../106/deregister"}},
        {"12/uploads": {"id": "upload:.."}},
        {"upload:MTph/+d=": {"h": 5}},
        {"upload:MTph/+d=": {}},
    ],
)
async def test_an_upload_that_is_answered_oddly_is_away(
    odd: tuple[Odd, Profile], answers: dict[str, Any]
) -> None:
    server, profile = odd
    server.answers = GOOD | answers
    with pytest.raises(CallAway):
        await profile.upload(OF, await profile.app(OF), PNG, "image/png")


async def test_an_upload_reads_a_refused_token_again(tmp_path: Path) -> None:
    """The content goes a second time, and with the scheme that an upload needs."""
    file = tmp_path / "token"
    file.write_text("old")
    simulator = CloudSimulator(CloudFacts(token="new"))
    cloud, of = client_settings(FACTS, (await simulator.start()).graph_url)
    of = replace(of, token=SecretSource(path=str(file)))
    calls = Calls(cloud, Secrets(of))
    try:
        begun = simulator.uploads.begin(
            {"file_length": len(PNG), "file_type": "image/png", "file_name": "a"}
        )
        file.write_text("new")
        handle = (await calls.upload(of, begun["id"], PNG))["h"]
        assert simulator.uploads.find(handle) == ("image/png", PNG)
        with pytest.raises(CallRefused, match="has ended"):
            await calls.upload(of, begun["id"], PNG)
    finally:
        await calls.close()
        await simulator.stop()
