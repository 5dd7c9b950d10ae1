"""GET /v1/openapi.json and /v1/docs: valid, complete, true (rules 1 and 3; S25)."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import jsonschema_rs
import msgspec
import pytest
from aiohttp import web

from tests.harness.answer import Answer
from tests.harness.api import Api, Webapp, basic
from tests.harness.described import DOCUMENT, EVERY, Undocumented, check_answer
from tests.harness.documented import rows
from tests.harness.offers import Registered, owned
from tests.harness.twice import GOOD, Wire, settled
from warouter import SERVER
from warouter.api.app import ROUTES, build_app
from warouter.api.description.openapi import errors_of, words_on, written
from warouter.api.description.page import Description
from warouter.api.messages.fastpath import FastPath
from warouter.api.route import Route
from warouter.http.door import FrontDoor
from warouter.http.envelope import Envelopes, common_fields
from warouter.upstream.causes import known_codes

COMMON = common_fields(server_version=True)


def name(route: Route) -> str:
    return f"{route.method} {route.path}"


def test_every_schema_is_a_valid_one() -> None:
    for schema in DOCUMENT["components"]["schemas"].values():
        dialect = "https://json-schema.org/draft/2020-12/schema"
        jsonschema_rs.meta.validate({**schema, "$schema": dialect})


def test_every_reference_leads_somewhere() -> None:
    text = msgspec.json.encode(DOCUMENT).decode()
    named = set(re.findall(r'"#/components/schemas/([^"]+)"', text))
    assert named == set(DOCUMENT["components"]["schemas"])


def test_every_route_is_described_once() -> None:
    described = {
        f"{method.upper()} {path}"
        for path, operations in DOCUMENT["paths"].items()
        for method in operations
    }
    assert described == {name(r) for r in EVERY}
    assert len(described) == len(EVERY)
    operations = [o for path in DOCUMENT["paths"].values() for o in path.values()]
    assert len({o["operationId"] for o in operations}) == len(EVERY)


def test_every_route_says_what_it_does() -> None:
    words = written().routes
    assert list(words) == [f"{r.method} {r.path}" for r in EVERY]
    assert [route for route, said in words.items() if not said.summary.strip()] == []


@pytest.mark.parametrize("route", EVERY, ids=name)
def test_errors_have_their_statuses(route: Route) -> None:
    responses = DOCUMENT["paths"][route.path][route.method.lower()]["responses"]
    assert set(responses) == {str(s) for s in route.status} | {
        str(e.status) for e in errors_of(route)
    }
    for status, response in responses.items():
        if status in ("429", "503"):
            assert "Retry-After" in response["headers"]
    assert ("401" in responses) == (route.access.name != "OPEN")


WHO = {"OPEN": "open", "LOGIN": "Basic", "USER": "token", "ADMIN": "admin", "MONITOR": "monitor"}


def test_every_route_is_in_the_tables_of_the_docs() -> None:
    """And every row but those of what is not there is served."""
    documented = rows()
    promised = {route for route, row in documented.items() if row.kind != "not there"}
    assert promised == {(r.method, r.path) for r in EVERY}
    for route in EVERY:
        row = documented.get((route.method, route.path))
        assert row is not None, f"docs/api.md has no row for {name(route)}"
        assert row.who == WHO[route.access.name], name(route)
        assert row.kind in ("same", "better", "ours", "gone"), name(route)
        assert row.cloud, f"docs/api.md does not say what {name(route)} is on the Cloud API"
        assert (row.cloud == "-") == (row.kind == "gone"), name(route)
    assert {row.kind for row in documented.values()} >= {"same", "better", "ours", "not there"}


def test_created_is_answered_where_clients_want_it() -> None:
    for path in ("/v1/messages", "/v1/users", "/v1/account/shards"):
        assert next(r for r in EVERY if (r.method, r.path) == ("POST", path)).status == (201,)
    assert all(204 not in r.status for r in EVERY)


def test_examples_fit_what_they_show() -> None:
    shown = [(route, example) for route in EVERY for example in words_on(route).examples.values()]
    assert len(shown) > 10
    for route, example in shown:
        msgspec.convert(example, route.body)
        content = DOCUMENT["paths"][route.path][route.method.lower()]["requestBody"]["content"]
        schema = content["application/json"]["schema"]
        whole = {**schema, "components": DOCUMENT["components"]}
        jsonschema_rs.Draft202012Validator(whole).validate(example)


META = {"api_status": "stable", "version": "v2.53.0"}
ERROR = {"code": 1, "title": "t", "details": "d", "href": "h"}


@pytest.mark.parametrize(
    ("method", "path", "status", "body"),
    [
        ("POST", "/v1/messages", 200, {"messages": [{"id": "x"}], "meta": META}),
        ("POST", "/v1/messages", 201, {"messages": [{"id": "x"}]}),
        ("POST", "/v1/messages", 201, {"messages": [{"id": 1}], "meta": META}),
        ("POST", "/v1/messages", 201, {"messages": [{"id": "x"}], "meta": META, "errors": []}),
        ("POST", "/v1/messages/", 201, {"messages": [{"id": "x"}], "meta": META, "slot": 1}),
        ("POST", "/v1/users/logout", 200, {"users": [], "meta": META}),
        ("GET", "/v1/users/x?y=1", 200, {"users": [{"username": "x"}], "meta": META}),
        ("GET", "/v1/health", 200, {"health": {"a": {"gateway_status": "odd"}}, "meta": META}),
        ("POST", "/v1/users", 400, {"meta": META, "errors": []}),
        ("POST", "/v1/users", 400, {"meta": META, "errors": [{**ERROR, "details": ""}]}),
        ("POST", "/v1/users", 503, {"meta": META, "errors": [ERROR]}),  # no Retry-After
        ("GET", "/v1/users", 200, {"meta": META}),
        ("DELETE", "/v1/users/x", 204, {}),
    ],
)
def test_answers_that_are_not_as_described_are_found(
    method: str, path: str, status: int, body: Any
) -> None:
    headers = COMMON | {"Content-Type": "application/json; charset=utf-8"}
    with pytest.raises(Undocumented):
        check_answer(method, path, status, headers, msgspec.json.encode(body))


def test_answers_as_described_are_not() -> None:
    headers = COMMON | {"Content-Type": "application/json"}
    for method, path, status, body in (
        ("POST", "/v1/messages/", 201, {"messages": [{"id": "x"}], "meta": META}),
        ("GET", "/v1/health?x=y", 200, {"health": {}, "meta": META}),
        ("GET", "/v1/health", 200, {"health": {"gateway_status": "connected"}, "meta": META}),
        ("POST", "/v1/users", 400, {"meta": META, "errors": [ERROR]}),
    ):
        check_answer(method, path, status, headers, msgspec.json.encode(body))


async def test_the_description_has_the_routes_that_are_served(api: Api) -> None:
    described = (await api.call("GET", "/v1/openapi.json")).json
    assert described == msgspec.json.decode(msgspec.json.encode(Description(ROUTES).document))
    assert len(described["paths"]) < len(DOCUMENT["paths"])


async def test_the_description_is_served_to_anybody(webapp: Webapp) -> None:
    api = await webapp(d360=True)
    answer = await api.call("GET", "/v1/openapi.json")
    assert answer.status == 200
    assert answer.json == msgspec.json.decode(msgspec.json.encode(DOCUMENT))
    assert answer.json["info"]["version"] == "v2.53.0"
    tag = answer.headers["ETag"]
    for known in (tag, f'"other", W/{tag}', "*"):
        again = await api.call("GET", "/v1/openapi.json", headers={"If-None-Match": known})
        assert (again.status, again.body, again.headers["ETag"]) == (304, b"", tag)
    other = await api.call("GET", "/v1/openapi.json/", headers={"If-None-Match": '"x"'})
    assert other.status == 200


class Page(HTMLParser):
    """Reads a page: what it names, what it would load, whether its elements close."""

    VOID = frozenset({"meta"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        found = {k: v or "" for k, v in attrs}
        self.ids += [found["id"]] if "id" in found else []
        self.links += [found["href"]] if "href" in found else []
        self.loaded += [v for k, v in found.items() if k in ("src", "srcset", "data", "action")]
        assert not any(k.startswith("on") or k == "style" for k in found)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


async def read(api: Api, path: str) -> tuple[Answer, Page]:
    """A page, of which everything is closed and which loads nothing."""
    answer = await api.call("GET", path)
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    page = Page()
    page.feed(answer.body.decode())
    page.close()
    assert page.open == []
    assert page.loaded == []
    assert "script" not in page.seen
    assert "viewport" in answer.body.decode()
    assert len(page.ids) == len(set(page.ids))
    return answer, page


async def test_the_page_reads_alone(webapp: Webapp) -> None:
    api = await webapp(d360=True)
    answer, page = await read(api, "/v1/docs")
    inner = {link[1:] for link in page.links if link.startswith("#")}
    assert inner <= set(page.ids)
    assert [link for link in page.links if not link.startswith("#")] == [
        "/v1/openapi.json",
        "/v1/errors",
    ]
    assert page.seen.count("details") == len(EVERY)
    for route in EVERY:
        assert f"<code>{route.path}</code>" in answer.body.decode()
    tag = answer.headers["ETag"]
    again = await api.call("GET", "/v1/docs/", headers={"If-None-Match": tag})
    assert again.status == 304


async def test_each_href_leads_to_a_place_of_the_page_of_codes(api: Api) -> None:
    _, page = await read(api, "/v1/errors")
    assert page.ids == [str(code.code) for code in known_codes()]
    refused = await api.call("GET", "/v1/nothing")
    path, _, place = refused.error["href"].partition("#")
    assert (path, place) == ("/v1/errors", "1006")
    assert place in page.ids


# The fields that every answer has; that they are there, each test of the API checks


@pytest.mark.parametrize(
    "fields",
    [
        {"Cache-Control": "no-store"},
        {"X-Content-Type-Options": "nosniff"},
        {"X-Content-Type-Options": "nosniff", "Cache-Control": "max-age=60"},
    ],
)
def test_an_answer_without_them_is_found(fields: dict[str, str]) -> None:
    with pytest.raises(Undocumented):
        check_answer("GET", "/v1/nothing", 404, fields, b"")


async def test_the_description_may_be_kept_and_still_is_not_guessed_at(api: Api) -> None:
    for path in ("/v1/docs", "/v1/openapi.json", "/v1/errors"):
        answer = await api.call("GET", path)
        assert answer.headers.getall("Cache-Control") != ["no-store"]
        assert answer.headers.getall("X-Content-Type-Options") == ["nosniff"]


NOT_HTTP = b"G{}T / HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize("shown", [True, False])
async def test_the_version_is_in_the_answers_unless_it_is_switched_off(
    webapp: Webapp, shown: bool
) -> None:
    other = await webapp(server_version=shown)
    context = other.context
    head = f"POST /v1/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {other.user}\r\n"
    message = f"{head}Content-Length: {len(GOOD)}\r\n\r\n".encode() + GOOD
    await context.tokens.caller(other.user)
    runner = web.AppRunner(build_app(context), shutdown_timeout=0.1)
    await runner.setup()
    try:
        login = await other.client.get("/v1/nothing", headers={"Authorization": basic("a", "b")})
        said = [login.headers["Server"]]
        fast = FastPath(context, owned(lambda m, done: done(m.id)), Registered())
        words = Envelopes(common_fields(server_version=shown))
        connections = FrontDoor(runner.server, None, fast, words=words)
        said.extend([server_of(await answered(connections, r)) for r in (message, NOT_HTTP)])
        said.append(server_of(connections.refuse()))
    finally:
        await runner.cleanup()
    assert context.operations.meter.fast == 1
    assert said == [SERVER if shown else "warouter"] * 4


async def answered(connections: FrontDoor, request: bytes) -> bytes:
    connection, wire = connections.enter(""), Wire()
    assert connection is not None
    connection.connection_made(wire)
    connection.data_received(request)
    await settled(connection, wire)
    connection.connection_lost(None)
    return wire.written


def server_of(answer: bytes) -> Any:
    (field,) = [line for line in answer.split(b"\r\n") if line.startswith(b"Server: ")]
    return field.removeprefix(b"Server: ").decode()
