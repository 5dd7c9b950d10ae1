"""Routes, roles, the envelope, health (C06, C07, C08, C48; rules 1 and 4; S6, S7, S25)."""

from __future__ import annotations

import json
import logging
import re

import pytest

from tests.harness.api import API_KEY, USER_PASSWORD, Api, Webapp
from warouter.api import groups
from warouter.api.app import ROUTES, build_app
from warouter.api.context import NodeState
from warouter.log import JsonLines

NONE, USER, ADMIN, KEY, REVOKED = "none", "user", "admin", "apikey", "revoked"
CALLERS = (NONE, USER, ADMIN, KEY, REVOKED)

# What each caller gets with an empty body: 401 and 403 are refusals of the caller, all else shows
# that the handler was reached. A route without a line here fails the build.
OPEN = dict.fromkeys(CALLERS, 200)
ANY_USER = {NONE: 401, USER: 400, ADMIN: 400, KEY: 401, REVOKED: 401}
ONLY_ADMIN = {NONE: 401, USER: 403, ADMIN: 400, KEY: 401, REVOKED: 401}
MONITOR = {NONE: 401, USER: 200, ADMIN: 200, KEY: 200, REVOKED: 401}
MATRIX: dict[tuple[str, str], dict[str, int]] = {
    ("GET", "/"): OPEN,
    ("HEAD", "/"): OPEN,
    ("GET", "/v1/health"): MONITOR,
    ("HEAD", "/v1/health"): MONITOR,
    ("GET", "/metrics"): MONITOR,
    ("GET", "/v1/metrics"): MONITOR,
    ("GET", "/v1/stats/app"): MONITOR,
    ("GET", "/v1/stats/app/internal"): MONITOR,
    ("GET", "/v1/stats/db"): MONITOR,
    ("GET", "/v1/stats/db/internal"): MONITOR,
    ("GET", "/v1/support"): {**ONLY_ADMIN, ADMIN: 200},
    ("POST", "/v1/users/login"): dict.fromkeys(CALLERS, 401),  # it takes Basic only
    ("POST", "/v1/users/logout"): {**ANY_USER, USER: 200, ADMIN: 200},
    ("POST", "/v1/users"): ONLY_ADMIN,
    ("GET", "/v1/users/{username}"): {**ONLY_ADMIN, ADMIN: 404},
    ("PUT", "/v1/users/{username}"): ONLY_ADMIN,
    ("DELETE", "/v1/users/{username}"): {**ONLY_ADMIN, ADMIN: 404},
    ("POST", "/v1/keys"): ONLY_ADMIN,
    ("GET", "/v1/keys"): {**ONLY_ADMIN, ADMIN: 200},
    ("GET", "/v1/keys/{key}"): {**ONLY_ADMIN, ADMIN: 404},
    ("DELETE", "/v1/keys/{key}"): {**ONLY_ADMIN, ADMIN: 404},
    ("POST", "/v1/messages"): ANY_USER,
    ("GET", "/v1/messages/{message}"): {**ANY_USER, USER: 404, ADMIN: 404},
    ("PUT", "/v1/messages/{message}"): ANY_USER,
    ("POST", "/v1/media"): ANY_USER,
    ("GET", "/v1/media/{media}"): {**ANY_USER, USER: 404, ADMIN: 404},
    ("DELETE", "/v1/media/{media}"): {**ANY_USER, USER: 404, ADMIN: 404},
    ("POST", "/v1/contacts"): ANY_USER,
    ("GET", "/v1/contacts/{wa_id}/identity"): {**ANY_USER, USER: 404, ADMIN: 404},
    ("PUT", "/v1/contacts/{wa_id}/identity"): {**ANY_USER, USER: 404, ADMIN: 404},
    ("GET", "/v1/settings/application"): {**ONLY_ADMIN, ADMIN: 200},
    ("PATCH", "/v1/settings/application"): ONLY_ADMIN,
    ("DELETE", "/v1/settings/application"): {**ONLY_ADMIN, ADMIN: 200},
    ("GET", "/v1/account/shards"): {**ONLY_ADMIN, ADMIN: 200},
    ("POST", "/v1/account/shards"): ONLY_ADMIN,
    ("GET", "/v1/openapi.json"): OPEN,
    ("GET", "/v1/docs"): OPEN,
    ("GET", "/v1/errors"): OPEN,
    ("POST", "/v1/account"): ONLY_ADMIN,
    ("POST", "/v1/account/verify"): ONLY_ADMIN,
    ("POST", "/v1/settings/account/two-step"): ONLY_ADMIN,
    ("DELETE", "/v1/settings/account/two-step"): {**ONLY_ADMIN, ADMIN: 404},
    ("POST", "/v1/settings/backup"): ONLY_ADMIN,
    ("POST", "/v1/settings/restore"): ONLY_ADMIN,
}

# Settings, certificates, sticker packs, groups.
READ, GONE = ANY_USER | {USER: 200, ADMIN: 200}, ANY_USER | {USER: 404, ADMIN: 404}
ADMIN_READ, ADMIN_GONE = ONLY_ADMIN | {ADMIN: 200}, ONLY_ADMIN | {ADMIN: 404}
_SETTINGS, _CERTIFICATES, _PACK = "/v1/settings", "/v1/certificates", "/v1/stickerpacks/{pack}"
MATRIX |= {
    ("GET", f"{_SETTINGS}/application/media/providers"): ADMIN_READ,
    ("POST", f"{_SETTINGS}/application/media/providers"): ONLY_ADMIN,
    ("DELETE", f"{_SETTINGS}/application/media/providers/{{name}}"): ADMIN_GONE,
    ("POST", f"{_SETTINGS}/application/webhook-secrets"): ONLY_ADMIN,
    ("DELETE", f"{_SETTINGS}/application/webhook-secrets"): ADMIN_READ,
    ("GET", f"{_SETTINGS}/business/profile"): READ,
    ("POST", f"{_SETTINGS}/business/profile"): ONLY_ADMIN,
    ("GET", f"{_SETTINGS}/business/compliance_info"): READ,
    ("POST", f"{_SETTINGS}/business/compliance_info"): ONLY_ADMIN,
    ("GET", f"{_SETTINGS}/profile/about"): READ,
    ("PATCH", f"{_SETTINGS}/profile/about"): ONLY_ADMIN,
    ("GET", f"{_SETTINGS}/profile/photo"): GONE,
    ("POST", f"{_SETTINGS}/profile/photo"): ONLY_ADMIN,
    ("DELETE", f"{_SETTINGS}/profile/photo"): ADMIN_READ,
    ("POST", f"{_CERTIFICATES}/external"): ONLY_ADMIN,
    ("DELETE", f"{_CERTIFICATES}/external"): ADMIN_READ,
    ("GET", f"{_CERTIFICATES}/external/ca"): ADMIN_GONE,
    ("POST", f"{_CERTIFICATES}/webhooks/ca"): ONLY_ADMIN,
    ("GET", f"{_CERTIFICATES}/webhooks/ca"): ADMIN_GONE,
    ("DELETE", f"{_CERTIFICATES}/webhooks/ca"): ADMIN_GONE,
    ("PUT", "/v1/services/message/gc"): ADMIN_READ,
    ("GET", "/v1/stickerpacks"): READ,
    ("POST", "/v1/stickerpacks"): ANY_USER,
    **{
        (method, _PACK + path): GONE
        for path, methods in (
            ("", ("GET", "PATCH", "DELETE")),
            ("/stickers", ("GET", "POST")),
            ("/stickers/{index}", ("GET", "PATCH", "DELETE")),
        )
        for method in methods
    },
    **{(route.method, route.path): GONE for route in groups.ROUTES},
}


async def test_every_served_route_is_in_the_matrix(api: Api) -> None:
    served = {
        (route.method, route.resource.canonical.rstrip("/") or "/")
        for route in build_app(api.context).router.routes()
        if route.resource is not None
    }
    assert served == {(r.method, r.path) for r in ROUTES}
    assert served - set(MATRIX) == set(), "give these a line in MATRIX"
    assert set(MATRIX) - served == set(), "are not served: take them off MATRIX"


@pytest.mark.parametrize("caller", CALLERS)
async def test_matrix_of_roles(api: Api, caller: str) -> None:
    revoked = await api.token_of("worker", USER_PASSWORD)
    assert (await api.call("POST", "/v1/users/logout", token=revoked)).status == 200
    headers = {
        NONE: {},
        USER: {"Authorization": f"Bearer {api.user}"},
        ADMIN: {"Authorization": f"bearer  {api.admin}"},
        KEY: {"Authorization": f"Apikey {API_KEY}"},
        REVOKED: {"Authorization": f"Bearer {revoked}"},
    }[caller]
    # Logout last: it ends the token.
    for method, path in sorted(MATRIX, key=lambda route: route[1].endswith("logout")):
        for slash in ("", "/") if path != "/" and not path.endswith("logout") else ("",):
            filled = re.sub(r"{\w+}", "nobody", path) + slash
            answer = await api.call(method, filled, headers=headers)
            assert answer.status == MATRIX[method, path][caller], (method, filled, answer.body)
            assert "Location" not in answer.headers
            if answer.status in (401, 403) and method != "HEAD":
                assert answer.code == 1005
    assert api.recorder.submitted == []


async def test_a_node_that_does_not_answer_has_an_error_beside_its_status(api: Api) -> None:
    api.recorder.nodes = [
        NodeState("host:core1", "disconnected", "coreapp", "the node does not answer")
    ]
    answer = await api.call("GET", "/v1/health", token=api.user)
    assert "errors" not in answer.json
    node = answer.json["health"]["host:core1"]
    assert (node["gateway_status"], node["role"]) == ("disconnected", "coreapp")
    (error,) = node["errors"]
    assert (error["code"], error["details"]) == (1011, "the node does not answer")


async def test_notes_stand_beside_the_nodes(webapp: Webapp) -> None:
    for multiconnect in (True, False):
        api = await webapp(multiconnect=multiconnect)
        api.recorder.notes = ["a sentence"]
        answer = await api.call("GET", "/v1/health", token=api.user)
        assert "errors" not in answer.json
        assert answer.json["meta"]["warnings"] == ["a sentence"]


async def test_c06_health_of_a_single_instance(webapp: Webapp) -> None:
    single = await webapp(multiconnect=False)
    for statuses, expected in (
        ([], "disconnected"),
        (["disconnected"], "disconnected"),
        (["disconnected", "connecting"], "connecting"),
        (["connecting", "connected", "disconnected"], "connected"),
    ):
        single.recorder.nodes = [
            NodeState("h:m", "connected", "primary_master"),
            *(NodeState(f"h:{n}", s, "coreapp") for n, s in enumerate(statuses)),
        ]
        answer = await single.call("GET", "/v1/health", token=single.user)
        assert answer.json["health"] == {"gateway_status": expected}


async def test_c08_keys_that_are_none(webapp: Webapp) -> None:
    for api, keys in (
        (await webapp(api_keys=tuple), ("", " ", " None", f" {API_KEY}")),
        (await webapp(), ("", f" {API_KEY}x", f" {API_KEY[:-1]}", " " + "a" * 129)),
    ):
        for key in keys:
            headers = {"Authorization": f"Apikey{key}"}
            (await api.call("GET", "/v1/health", headers=headers)).refused(401, 1005)
        (await api.call("GET", "/v1/health", token=API_KEY)).refused(401, 1005)


@pytest.mark.parametrize(
    "path",
    [
        "/v1",
        "/v1/",
        "/v1/groups/123/invite/more",
        "/v1/messages/a/b",
        "/v2/messages",
        "/v1//messages",
        "/favicon.ico",
        "/.env",
        "/v1/%00",
        "/%ff%fe",
        "/v1/messages%2f..%2fusers",
    ],
)
async def test_c48_unknown_paths_are_404(api: Api, path: str) -> None:
    for method in ("GET", "POST", "DELETE", "TRACE", "PROPFIND"):
        (await api.call(method, path, token=api.admin)).refused(404, 1006)


async def test_c07_headers_and_version_of_every_answer(api: Api) -> None:
    seen = set()
    for method, path in (("GET", "/"), ("GET", "/x"), ("POST", "/v1/users"), ("PUT", "/v1/users")):
        answer = await api.call(method, path)
        assert answer.headers["Server"].startswith("warouter/")
        assert answer.json["meta"]["version"] == "v2.53.0"
        seen.add(answer.headers["X-Request-Id"])
    assert len(seen) == 4


async def test_a_surprise_is_500_and_logged_in_one_line(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    api.recorder.refuse = RuntimeError("line one\r\nline two, secret")
    with caplog.at_level(logging.ERROR):
        answer = await api.send({"to": "12345678", "text": {"body": "x"}})
    assert (answer.status, answer.code) == (500, 1014)
    assert b"secret" not in answer.body
    assert answer.headers["X-Request-Id"] in answer.error["details"]
    (record,) = [r for r in caplog.records if r.name.startswith("warouter")]
    assert record.getMessage() == "request failed"
    line = JsonLines().format(record)
    assert "\n" not in line
    assert json.loads(line)["request"] == answer.headers["X-Request-Id"]
    assert "12345678" not in line.split('"error"')[0]


@pytest.mark.parametrize("headers", [{"Expect": "100-continue"}, {"X-Odd": "\xfc\xfd" * 50}])
async def test_unusual_headers(api: Api, headers: dict[str, str]) -> None:
    body = {"to": "12345678", "text": {"body": "x"}}
    assert (await api.send(body, headers=headers)).status == 201


async def test_no_secret_shows_in_a_repr(api: Api) -> None:
    assert API_KEY not in repr(api.context)
    assert API_KEY not in repr(api.context.config)


async def test_double_slashes_and_a_byte_order_mark_get_v1_errors(api: Api) -> None:
    body = b'{"to":"4915112345678","text":{"body":"hello"}}'
    async with api.client.session.post(f"{api.client.make_url('/')}/v1/messages") as response:
        assert response.status == 404
        assert "two slashes" in (await response.json())["errors"][0]["details"]
    for data in (b"\xef\xbb\xbf" + body, b"\xef\xbb\xbf"):
        (await api.send(data=data)).refused(400, 1009, "byte order mark")
    assert api.recorder.submitted == []
