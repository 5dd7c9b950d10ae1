"""Media providers: kept for whoever fetches links, shown without their secrets."""

from __future__ import annotations

from typing import Any

import pytest

from tests.harness.api import Api
from warouter.api.providers import MASK

PATH = "/v1/settings/application/media/providers"
ORIGINS = ["https://cdn.example.com", "https://cdn.example.com:8443"]
BEARER = {
    "name": "cdn",
    "type": "www",
    "config": {"bearer": "s3cret-token"},
    "origins": ORIGINS,
}
BASIC = {
    "name": "files",
    "type": "www",
    "config": {"basic": {"username": "us", "password": "pässword"}},
    "origins": ["https://files.example.com"],
}
OLD = {"name": "cdn", "type": "www", "config": {"bearer": "s3cret-token"}}


async def shown(api: Api) -> Any:
    answer = await api.call("GET", PATH, token=api.admin)
    assert answer.status == 200
    return answer.json["settings"]["application"]["media"]["providers"]


async def stored(api: Api) -> Any:
    return (await api.context.accounts.setting(1, "media_providers")).get("providers", [])


async def add(api: Api, *providers: object) -> Any:
    return await api.call("POST", PATH, list(providers), token=api.admin)


async def test_secrets_are_kept_and_never_shown(api: Api) -> None:
    assert await shown(api) == []
    (await add(api, BEARER, BASIC)).done()
    assert await stored(api) == [BEARER, BASIC]
    masked = [
        BEARER | {"config": {"bearer": MASK}},
        BASIC | {"config": {"basic": {"username": "us", "password": MASK}}},
    ]
    assert await shown(api) == masked
    assert (await add(api, *masked)).status == 200  # what was read may be sent back
    assert await stored(api) == [BEARER, BASIC]


async def test_the_type_may_be_left_out_and_a_name_replaces(api: Api) -> None:
    assert (await add(api, {"name": "cdn", "config": {"bearer": "one"}})).status == 200
    assert (await add(api, BEARER)).status == 200
    assert await stored(api) == [BEARER]


async def test_a_client_that_knows_no_origins_keeps_those_that_are_there(api: Api) -> None:
    """Old integrations store their providers at each start."""
    await add(api, BEARER)
    assert (await add(api, OLD)).status == 200
    assert (await add(api, OLD | {"config": {"bearer": "new"}, "origins": None})).status == 200
    assert await stored(api) == [BEARER | {"config": {"bearer": "new"}}]
    assert (await add(api, OLD | {"origins": []})).status == 200  # said: nowhere
    assert await stored(api) == [OLD | {"origins": []}]


async def test_a_provider_without_origins_says_so(api: Api) -> None:
    """One of a client, and one that a build before this one has stored."""
    warning = "media provider cdn has no origins: its credentials are sent nowhere"
    answer = await add(api, OLD, BASIC)
    assert (answer.status, answer.json["meta"]["warnings"]) == (200, [warning])
    await api.context.accounts.change_setting(1, "media_providers", lambda _: {"providers": [OLD]})
    answer = await api.call("GET", PATH, token=api.admin)
    assert answer.json["meta"]["warnings"] == [warning]
    assert (await shown(api))[0]["origins"] == []
    answer = await add(api, BEARER)
    assert "warnings" not in answer.json["meta"]


async def test_an_origin_is_kept_in_one_spelling(api: Api) -> None:
    given = ["HTTPS://CDN.example.com:443/", "https://cdn.example.com", "https://tráp.test:8443"]
    assert (await add(api, BEARER | {"origins": given})).status == 200
    origins = ["https://cdn.example.com", "https://xn--trp-fla.test:8443"]
    assert (await shown(api))[0]["origins"] == origins


async def test_the_settings_of_the_application_are_another_matter(api: Api) -> None:
    await add(api, BEARER)
    await api.call("DELETE", "/v1/settings/application", token=api.admin)
    assert await stored(api) == [BEARER]


async def test_delete(api: Api) -> None:
    await add(api, BEARER, BASIC)
    (await api.call("DELETE", f"{PATH}/cdn", token=api.admin)).done()
    assert await stored(api) == [BASIC]
    (await api.call("DELETE", f"{PATH}/cdn", token=api.admin)).refused(404, 1006)


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        ([], 1009, "the body must not be empty"),
        ({}, 1009, "the body must be a list"),
        ([{"config": {"bearer": "x"}}], 1008, "[0].name is required"),
        ([{"name": "a"}], 1008, "[0].config is required"),
        ([{"name": "", "config": {"bearer": "x"}}], 1009, "[0].name must not be empty"),
        ([{"name": "a" * 65, "config": {"bearer": "x"}}], 1009, "[0].name has 65"),
        ([{"name": "a/b", "config": {"bearer": "x"}}], 1009, "[0].name must not contain slashes"),
        ([{"name": "a", "config": {}}], 1009, "[0].config must have either"),
        (
            [{"name": "a", "config": {"bearer": "x", "basic": {"username": "u", "password": "p"}}}],
            1009,
            "[0].config must have either",
        ),
        ([{"name": "a", "config": {"basic": {"username": "u"}}}], 1008, "password is required"),
        ([{"name": "a", "config": {"bearer": "x\r\nHost: y"}}], 1009, "control characters"),
        ([{"name": "a", "config": {"bearer": "x y"}}], 1009, "without spaces"),
        ([{"name": "a", "config": {"bearer": "x" * 4097}}], 1009, "has 4097"),
        ([{"name": "a", "type": "ftp", "config": {"bearer": "x"}}], 1009, "[0].type has a value"),
        ([BEARER | {"origins": "https://a"}], 1009, "[0].origins must be a list"),
        ([BEARER | {"origins": ["http://a.test"]}], 1009, "[0].origins[0] must start with https"),
        ([BEARER | {"origins": ["https://a.test/x"]}], 1009, "origins[0] must be https:// with"),
        ([BEARER | {"origins": [*ORIGINS, "*"]}], 1009, "[0].origins[2] must be https://host"),
        ([BEARER | {"origins": ["https://a.test"] * 33}], 1009, "[0].origins has 33"),
        ([BEARER | {"origins": ["https://" + "a" * 300]}], 1009, "[0].origins[0] has 308"),
        ([BASIC, 5], 1009, "[1] must be an object"),
        ([BEARER | {"name": f"n{i}"} for i in range(33)], 1009, "at most 32"),
    ],
)
async def test_refusals_change_nothing(api: Api, body: object, code: int, words: str) -> None:
    await add(api, BEARER)
    (await api.call("POST", PATH, body, token=api.admin)).refused(400, code, words)
    assert await stored(api) == [BEARER]


async def test_no_more_than_the_limit_in_several_calls(api: Api) -> None:
    assert (await add(api, *(BEARER | {"name": f"n{i}"} for i in range(32)))).status == 200
    assert (await add(api, BEARER)).status == 400
    assert len(await stored(api)) == 32
