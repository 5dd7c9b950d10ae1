"""360dialog's dialect: its calls beside v1's, with a stand-in for Meta behind them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from random import Random
from typing import Any, NamedTuple

import asyncpg
import pytest
import pytest_asyncio

from tests.harness.answer import Answer
from tests.harness.api import ADMIN_PASSWORD, API_KEY, Api, Webapp, basic
from tests.harness.cloud import client_settings
from warouter.api.app import D360_ROUTES
from warouter.api.configs import template_list
from warouter.api.configs.template_list import TemplateList
from warouter.lab.simulator.cloud.facts import CloudFacts
from warouter.lab.simulator.cloud.faults import CloudFaults
from warouter.lab.simulator.cloud.server import CloudSimulator
from warouter.store.views.audit import read_audit
from warouter.upstream.cloud.graph.calls import Calls
from warouter.upstream.cloud.graph.template_calls import TemplateCalls
from warouter.upstream.cloud.secrets import Secrets

WEBHOOK, TEMPLATES = "/v1/configs/webhook", "/v1/configs/templates"
SETTINGS = "/v1/settings/application"
URL = "https://chat.example.com/webhooks/whatsapp/+16315551000"
CANARY = "canary-header-2236"
HEADERS = {"Authorization": f"Bearer {CANARY}", "X-Inbox": "4"}
FACTS = CloudFacts(token="token-1")
BODY = {"type": "BODY", "text": "Order {{1}}", "example": {"body_text": [["4711"]]}}
ORDER = {"name": "order", "language": "en_US", "category": "UTILITY", "components": [BODY]}


async def rows(pool: asyncpg.Pool) -> list[tuple[str, str, str]]:
    """(actor, action, subject) of the audit log, the oldest first."""
    return [(e.actor, e.action, e.subject) for e in reversed(await read_audit(pool, 1000))]


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Dialect(NamedTuple):
    """An API with the dialect, and Meta's stand-in."""

    api: Api
    simulator: CloudSimulator
    clock: Clock

    async def call(self, method: str, path: str, body: object = None) -> Answer:
        return await self.api.call(method, path, body, token=self.api.admin)

    async def names(self, query: str = "") -> list[str]:
        answer = await self.call("GET", f"{TEMPLATES}{query}")
        assert answer.status == 200, answer.body
        return [one["name"] for one in answer.json["waba_templates"]]

    def has(self, *names: str) -> None:
        """Meta has these templates."""
        self.simulator.use(CloudFaults(categories=dict.fromkeys(names, "UTILITY")))


@pytest_asyncio.fixture
async def native(webapp: Webapp) -> Api:
    return await webapp(d360=True)


@pytest_asyncio.fixture
async def dialect(webapp: Webapp) -> AsyncIterator[Dialect]:
    simulator, clock = CloudSimulator(FACTS, random=Random(1)), Clock()
    settings, of = client_settings(FACTS, (await simulator.start()).graph_url)
    calls = Calls(settings, Secrets(of))
    templates = TemplateList(TemplateCalls(of, calls), clock)
    try:
        yield Dialect(await webapp(d360=True, templates=templates), simulator, clock)
    finally:
        await calls.close()
        await simulator.stop()


# Who may, and where there is nothing


async def test_without_the_variable_there_are_no_such_paths(api: Api) -> None:
    for route in D360_ROUTES:
        for slash in ("", "/"):
            path = route.path.replace("{name}", "x") + slash
            bearer = {"Authorization": f"Bearer {api.admin}"}
            async with api.client.request(route.method, path, headers=bearer) as answer:
                body = await answer.json()
            assert (answer.status, body["errors"][0]["code"]) == (404, 1006)
            assert set(body["meta"]) == {"api_status", "version"}


@pytest.mark.parametrize("route", D360_ROUTES, ids=lambda r: f"{r.method} {r.path}")
async def test_they_are_the_administrators(native: Api, route: Any) -> None:
    path = route.path.replace("{name}", "x")
    (await native.call(route.method, path, {})).refused(401, 1005)
    (await native.call(route.method, path, {}, token=native.user)).refused(403, 1005)
    answer = await native.call(route.method, f"{path}/", {}, token=native.admin)
    assert answer.status in (200, 400)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [("GET", TEMPLATES, None), ("POST", TEMPLATES, ORDER), ("DELETE", f"{TEMPLATES}/x", None)],
)
async def test_without_the_cloud_api_there_are_no_templates(
    native: Api, method: str, path: str, body: object
) -> None:
    answer = await native.call(method, path, body, token=native.admin)
    answer.refused(400, 1000, "not the Cloud API")


async def test_errors_say_what_clients_of_the_dialect_read(native: Api) -> None:
    for answer in (
        await native.call("GET", WEBHOOK),
        await native.call("POST", WEBHOOK, {}, token=native.admin),
        await native.call("POST", "/v1/messages", {"to": "x"}, token=native.user),
        await native.call("GET", "/v1/nothing"),
        await native.call("PUT", WEBHOOK),
    ):
        assert answer.status >= 400
        meta = answer.json["meta"]
        assert meta.pop("success") is False
        assert meta.pop("developer_message") == answer.error["details"]
        assert set(meta) == {"api_status", "version"}
    done = await native.call("GET", WEBHOOK, token=native.admin)
    assert set(done.json["meta"]) == {"api_status", "version"}


# The credential


async def by_key(api: Api, key: str, **headers: str) -> Answer:
    return await api.call("GET", WEBHOOK, headers={"D360-API-KEY": key, **headers})


async def test_a_token_is_a_key_on_every_route(native: Api) -> None:
    for method, path, key, status in (
        ("GET", WEBHOOK, native.admin, 200),
        ("GET", WEBHOOK, native.user, 403),
        ("GET", "/v1/health", native.user, 200),
        ("GET", SETTINGS, native.admin, 200),
        ("POST", "/v1/users/login", native.admin, 401),
        ("POST", "/v1/users/logout", native.user, 200),
        ("GET", "/v1/health", native.user, 401),
    ):
        answer = await native.call(method, path, headers={"d360-api-key": f" {key}"})
        assert answer.status == status, (method, path)


async def test_two_credentials_are_of_one_caller(native: Api) -> None:
    bearer = {name: f"Bearer {getattr(native, name)}" for name in ("admin", "user")}
    assert (await by_key(native, native.admin, Authorization=bearer["admin"])).status == 200
    for key, authorization in (
        (native.admin, bearer["user"]),
        (native.user, bearer["admin"]),
        ("x" * 43, bearer["admin"]),
        ("", bearer["admin"]),
        (native.admin, "Bearer x"),
        (native.admin, "Bearer"),
        (native.admin, basic("admin", ADMIN_PASSWORD)),
        (native.admin, f"Apikey {API_KEY}"),
    ):
        (await by_key(native, key, Authorization=authorization)).refused(401, 1005)


async def test_without_the_variable_a_key_is_no_credential(api: Api) -> None:
    key = {"D360-API-KEY": api.admin}
    (await api.call("GET", SETTINGS, headers=key)).refused(401, 1005)
    bearer = {"Authorization": f"Bearer {api.admin}", "D360-API-KEY": "another"}
    assert (await api.call("GET", SETTINGS, headers=bearer)).status == 200


# The webhook


async def test_a_webhook_is_registered_shown_and_emptied(native: Api, pool: asyncpg.Pool) -> None:
    empty = {"url": "", "headers": {}}
    assert (await contents(native, "GET")) == empty
    assert (await contents(native, "POST", {"url": URL, "headers": HEADERS})) == {
        **{"url": URL, "headers": HEADERS}
    }
    shown = {"url": URL, "headers": dict.fromkeys(HEADERS, "***")}
    assert (await contents(native, "GET")) == shown
    settings = await native.call("GET", SETTINGS, token=native.admin)
    assert settings.json["settings"]["application"]["webhooks"]["url"] == URL
    assert CANARY.encode() not in settings.body
    assert (await contents(native, "DELETE")) == empty
    assert (await contents(native, "GET")) == empty
    assert CANARY not in str(await pool.fetch("select value from setting"))


async def contents(api: Api, method: str, body: object = None) -> Any:
    """The content of a success."""
    answer = await api.call(method, WEBHOOK, body, token=api.admin)
    assert answer.status == 200, answer.body
    return {name: value for name, value in answer.json.items() if name != "meta"}


@pytest.mark.parametrize(
    "body", [{"url": URL}, {"url": URL, "headers": None}, {"url": URL, "x": 1}]
)
async def test_a_webhook_without_headers_ends_those_before(native: Api, body: object) -> None:
    await contents(native, "POST", {"url": URL, "headers": HEADERS})
    assert (await contents(native, "POST", body)) == {"url": URL, "headers": {}}
    assert (await contents(native, "GET")) == {"url": URL, "headers": {}}


async def test_another_url_ends_the_headers(native: Api) -> None:
    await contents(native, "POST", {"url": URL, "headers": HEADERS})
    other = {"webhooks": {"url": "https://other.example.com/"}}
    assert (await native.call("PATCH", SETTINGS, other, token=native.admin)).status == 200
    assert (await contents(native, "GET")) == {"url": "https://other.example.com/", "headers": {}}


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        ({}, 1008, "url is required"),
        ({"url": ""}, 1009, "url must not be empty"),
        ({"url": None}, 1009, "url must be a string"),
        ({"url": "http://chat.example.com"}, 1009, "url must start with https://"),
        ({"url": "https://10.0.0.1/"}, 1009, "url points to an address that is not public"),
        ({"url": URL, "headers": ["X"]}, 1009, "headers must be"),
        ({"url": URL, "headers": {"X": 5}}, 1009, "headers"),
        ({"url": URL, "headers": {"Host": CANARY}}, 1009, "headers.Host is a field"),
        ({"url": URL, "headers": {"Content-Type": CANARY}}, 1009, "headers.Content-Type is"),
        ({"url": URL, "headers": {"webhook-id": CANARY}}, 1009, "headers.webhook-id is"),
        ({"url": URL, "headers": {"X": f"{CANARY}\r\nY: z"}}, 1009, "headers.X must be printable"),
        ({"url": URL, "headers": {"X": CANARY * 100}}, 1009, "headers.X is longer than 1024"),
        ({"url": URL, "headers": {f"X{n}": CANARY for n in range(11)}}, 1009, "headers has 11"),
    ],
)
async def test_webhooks_that_are_refused(native: Api, body: Any, code: int, words: str) -> None:
    await contents(native, "POST", {"url": URL, "headers": {"X-Old": "1"}})
    answer = await native.call("POST", WEBHOOK, body, token=native.admin)
    assert answer.refused(400, code)["details"].startswith(words)
    assert CANARY.encode() not in answer.body
    assert (await contents(native, "GET"))["headers"] == {"X-Old": "***"}


async def test_no_value_of_a_header_is_told(
    native: Api, pool: asyncpg.Pool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await contents(native, "POST", {"url": URL, "headers": HEADERS})
    (row,) = await rows(pool)
    assert row == ("admin", f"POST {WEBHOOK}", "webhooks.url, webhooks.headers")
    told = [
        str(await rows(pool)),
        str([vars(record) for record in caplog.records]),
        *[
            (await native.call("GET", path, token=native.admin)).body.decode()
            for path in (WEBHOOK, SETTINGS, "/v1/support", "/v1/stats/app", "/metrics")
        ],
    ]
    assert not [where for where in told if CANARY in where]
    assert "webhook registered" in [record.message for record in caplog.records]


async def test_a_backup_brings_the_headers_along(native: Api) -> None:
    await contents(native, "POST", {"url": URL, "headers": HEADERS})
    password = {"password": "Back-up!4711"}
    saved = await native.call("POST", "/v1/settings/backup", password, token=native.admin)
    await contents(native, "DELETE")
    wish = {**password, "data": saved.json["settings"]["data"]}
    assert (
        await native.call("POST", "/v1/settings/restore", wish, token=native.admin)
    ).status == 200
    assert (await contents(native, "GET")) == {
        **{"url": URL, "headers": dict.fromkeys(HEADERS, "***")}
    }


# Templates


async def test_templates_are_listed_in_the_dialects_form(dialect: Dialect) -> None:
    made = await dialect.call("POST", TEMPLATES, ORDER | {"allow_category_change": True})
    assert made.status == 201
    expected = ORDER | {
        **{"id": made.json["id"], "status": "approved", "rejected_reason": "NONE"},
        "namespace": "ba30dd89_2ebd_41e4_b805_f2c05ae04cc9",
    }
    assert made.json == expected | {"meta": made.json["meta"]}
    answer = await dialect.call("GET", TEMPLATES)
    assert answer.json == {
        "waba_templates": [expected],
        **{"count": 1, "total": 1, "limit": 1000, "offset": 0, "filters": {}, "sort": []},
        "meta": answer.json["meta"],
    }


async def test_all_pages_are_followed(dialect: Dialect) -> None:
    names = [f"t{n:04}" for n in range(250)]
    dialect.has(*names)
    assert await dialect.names() == names
    assert await dialect.names("?limit=10&offset=95") == names[95:105]
    assert await dialect.names("?sort=-name&limit=1") == [names[-1]]
    assert await dialect.names('?filters={"name":"t0007"}') == ["t0007"]


async def test_the_list_is_kept_for_a_minute(dialect: Dialect) -> None:
    dialect.has("a")
    assert await dialect.names() == ["a"]
    dialect.has("a", "b")
    dialect.clock.now += 59.9
    assert await dialect.names() == ["a"]
    dialect.clock.now += 0.2
    assert await dialect.names() == ["a", "b"]


async def test_a_change_is_seen_at_once(dialect: Dialect) -> None:
    assert await dialect.names() == []
    assert (await dialect.call("POST", TEMPLATES, ORDER)).status == 201
    assert await dialect.names() == ["order"]
    assert (await dialect.call("DELETE", f"{TEMPLATES}/order")).status == 200
    assert await dialect.names() == []


async def test_clients_that_ask_at_once_share_one_reading(
    dialect: Dialect, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings: list[TemplateCalls] = []
    namespace = TemplateCalls.namespace

    async def counted(calls: TemplateCalls) -> str:
        readings.append(calls)
        return await namespace(calls)

    monkeypatch.setattr(TemplateCalls, "namespace", counted)
    dialect.has("a")
    assert await asyncio.gather(*[dialect.names() for _ in range(20)]) == [["a"]] * 20
    assert len(readings) == 1


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        ({}, 1008, "name is required"),
        (ORDER | {"name": 5}, 1009, "name must be a string"),
        (ORDER | {"components": {}}, 1009, "components must be a list"),
        (ORDER | {"name": ""}, 1009, "name must have 1 to 512"),
        (ORDER | {"name": "Not Meta's"}, 1009, "the template is not valid: A template's name has"),
        (ORDER | {"category": "NEWS"}, 1009, "the template is not valid: A template needs a name"),
    ],
)
async def test_templates_that_are_refused(
    dialect: Dialect, body: object, code: int, words: str
) -> None:
    answer = await dialect.call("POST", TEMPLATES, body)
    assert answer.refused(400, code)["details"].startswith(words)
    assert await dialect.names() == []


async def test_metas_refusals_are_told_in_its_words(dialect: Dialect) -> None:
    assert (await dialect.call("POST", TEMPLATES, ORDER)).status == 201
    twice = await dialect.call("POST", TEMPLATES, ORDER)
    twice.refused(400, 1009, "already content in this language")
    gone = await dialect.call("DELETE", f"{TEMPLATES}/nobody")
    gone.refused(400, 1009, "Message Template Not Found")


async def test_changes_stand_in_the_audit_log(dialect: Dialect, pool: asyncpg.Pool) -> None:
    await dialect.call("POST", TEMPLATES, ORDER)
    await dialect.call("DELETE", f"{TEMPLATES}/order")
    assert await rows(pool) == [
        ("admin", "make template", "order"),
        ("admin", "delete template", "order"),
    ]


async def test_while_meta_is_away_it_says_so(dialect: Dialect) -> None:
    dialect.has("a")
    assert await dialect.names() == ["a"]
    await dialect.simulator.stop()
    assert await dialect.names() == ["a"]  # what is known
    dialect.clock.now += 61
    (await dialect.call("GET", TEMPLATES)).refused(503, 1011)
    (await dialect.call("POST", TEMPLATES, ORDER)).refused(503, 1011)


@pytest.mark.parametrize(
    ("method", "path", "words"),
    [
        ("GET", TEMPLATES, "were not read"),
        ("POST", TEMPLATES, "may have been made"),
        ("DELETE", f"{TEMPLATES}/a", "may have been deleted"),
    ],
)
async def test_meta_has_so_much_time(
    dialect: Dialect, monkeypatch: pytest.MonkeyPatch, method: str, path: str, words: str
) -> None:
    monkeypatch.setattr(template_list, "SECONDS", 0.2)
    dialect.simulator.use(CloudFaults(deaf_s=600))
    answer = await dialect.call(method, path, ORDER if method == "POST" else None)
    answer.refused(503, 1016, words)
    assert answer.headers["Retry-After"] == "5"


async def test_a_template_is_as_small_as_any_body(dialect: Dialect) -> None:
    large = ORDER | {"components": [{"text": "x" * 70_000}]}
    (await dialect.call("POST", TEMPLATES, large)).refused(413, 1009)
