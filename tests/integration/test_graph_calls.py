"""Calls of the Graph API beside messages: the number, its templates, media; and odd answers."""

from __future__ import annotations

import asyncio
import json
import time
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import unused_port
from msgspec.structs import replace

from tests.harness.cloud import client_settings
from tests.harness.cloud_number import some_number
from tests.harness.served import AnswerTo, serving
from warouter.cloud_number import NumberCloud
from warouter.flow.share import HIGH, SHARED, STANDARD
from warouter.lab.simulator.cloud.facts import CloudFacts
from warouter.lab.simulator.cloud.faults import CloudFaults
from warouter.lab.simulator.cloud.server import CloudSimulator
from warouter.upstream.cloud.answers import Class, Judged, judge
from warouter.upstream.cloud.graph.app_calls import App
from warouter.upstream.cloud.graph.calls import Calls
from warouter.upstream.cloud.graph.client import Answers, CloudUpstream, MessagePost
from warouter.upstream.cloud.graph.described import TokenFacts
from warouter.upstream.cloud.graph.exchange import Exchanged, ExchangeOutcome, GraphExchange
from warouter.upstream.cloud.graph.failed import CallAway, CallFailed, CallRefused
from warouter.upstream.cloud.graph.marketing import Marketing
from warouter.upstream.cloud.graph.media_calls import CloudMedia, NumberMedia, may_carry_token
from warouter.upstream.cloud.graph.number_calls import NumberCalls
from warouter.upstream.cloud.graph.recovery import Recovery
from warouter.upstream.cloud.secrets import Secrets
from warouter.upstream.media_service import ServiceAway, ServiceRefused
from warouter.variables import SecretSource

TOKEN = "EAAtoken"
CONTENT = bytes(range(256)) * 1000
POST = MessagePost(some_number(), 3, 1, bytes(20), 1, b"{}")


class Client:
    """Everything that a process has for such calls."""

    def __init__(self, url: str, token_file: str = "") -> None:
        self.cloud, self.of = client_settings(CloudFacts(token=TOKEN), url)
        if token_file:
            self.of = replace(self.of, token=SecretSource(path=token_file))
        self.secrets = Secrets(self.of)
        self.calls = Calls(self.cloud, self.secrets)
        self.number = NumberCalls(self.calls)
        self.app = App(self.calls, self.secrets)
        self.contents = CloudMedia(self.cloud, self.secrets, self.calls)
        self.media = NumberMedia(self.of, self.contents)

    async def close(self) -> None:
        await self.media.close()
        await self.calls.close()


@pytest_asyncio.fixture
async def simulator() -> AsyncIterator[CloudSimulator]:
    simulator = CloudSimulator(CloudFacts(token=TOKEN))
    addresses = await simulator.start()
    simulator.url = addresses.graph_url  # type: ignore[attr-defined]
    yield simulator
    await simulator.stop()


@pytest_asyncio.fixture
async def client(simulator: CloudSimulator) -> AsyncIterator[Client]:
    client = Client(simulator.url)  # type: ignore[attr-defined]
    yield client
    await client.close()


@asynccontextmanager
async def odd(answer: AnswerTo) -> AsyncIterator[Client]:
    """A client of a server with these answers."""
    async with serving(answer) as url:
        client = Client(url)
        try:
            yield client
        finally:
            await client.close()


async def content(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def read(media: CloudMedia, handle: str) -> bytes:
    async with media.download(1, handle) as chunks:
        return b"".join([chunk async for chunk in chunks])


async def test_a_field_that_is_refused_costs_no_other() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        asked = request.query["fields"]
        if "health_status" in asked:
            error = {"message": "(#100) Tried accessing nonexisting field", "code": 100}
            return web.json_response({"error": error}, status=400)
        level = {"throughput": {"level": "HIGH"}} if "throughput" in asked else {}
        return web.json_response({"id": "106540352242922", **level})

    async with odd(answer) as client:
        facts = await client.number.facts(client.of)
    assert (facts.throughput, facts.level, facts.can_send) == ("HIGH", HIGH, "")


@pytest.mark.parametrize(
    ("code", "calls"),
    [(190, 1), (100, 10), (10, 10), (4, 1)],
    ids=["token", "all", "right", "limit"],
)
async def test_fields_are_asked_for_one_by_one_only_if_that_may_help(code: int, calls: int) -> None:
    seen = 0

    async def answer(_request: web.Request) -> web.StreamResponse:
        nonlocal seen
        seen += 1
        return web.json_response({"error": {"message": "no", "code": code}}, status=400)

    async with odd(answer) as client:
        with pytest.raises(CallFailed):
            await client.number.facts(client.of)
    assert seen == calls


async def test_facts_of_the_number(simulator: CloudSimulator, client: Client) -> None:
    facts = await client.number.facts(client.of)
    assert (facts.status, facts.connected, facts.can_send) == ("CONNECTED", True, "AVAILABLE")
    assert (facts.quality, facts.name_status) == ("GREEN", "APPROVED")
    await client.number.probe(client.of)
    for level, shown in ((80.0, STANDARD), (1000.0, HIGH)):
        simulator.use(CloudFaults(level=level))
        assert (await client.number.facts(client.of)).level == shown


async def test_a_number_that_stores_nothing_says_so(
    simulator: CloudSimulator, client: Client
) -> None:
    assert (await client.number.facts(client.of)).storage == ""
    settings = {"storage_configuration": {"status": "NO_STORAGE_ENABLED", "retention_minutes": 60}}
    await client.calls.post(client.of, f"{client.of.phone_number_id}/settings", settings)
    assert (await client.number.facts(client.of)).storage == "NO_STORAGE_ENABLED"


async def test_settings_that_are_away_cost_no_level() -> None:
    async def says(request: web.Request) -> web.Response:
        away = request.path.endswith("/settings")
        return web.json_response({"throughput": {"level": "HIGH"}}, status=500 if away else 200)

    async with odd(says) as client:
        facts = await client.number.facts(client.of)
        assert (facts.level, facts.storage) == (HIGH, "")


OFFER = b'{"to":"+1555","type":"template","template":{"name":"offer","language":{"code":"en_US"}}}'


@pytest.mark.parametrize(("state", "edges"), [("ONBOARDED", 1), ("ELIGIBLE", 0), (None, 0)])
async def test_marketing_templates_go_to_their_edge_and_back(state: str | None, edges: int) -> None:
    """With the messaging account, on either of them."""
    asked: list[tuple[str, Any]] = []
    template = {"name": "offer", "language": "en_US", "category": "MARKETING"}

    async def says(request: web.Request) -> web.Response:
        edge = request.path.rsplit("/", 1)[1]
        if request.method == "POST":
            asked.append((edge, await request.json()))
            refused = edge == "marketing_messages"
            error = {"error": {"code": 134100, "message": "no"}}
            taken = {"messages": [{"id": "wamid.1"}]}
            return web.json_response(error if refused else taken, status=400 if refused else 200)
        if edge == "message_templates":
            return web.json_response({"data": [template]})
        return web.json_response({"marketing_messages_onboarding_status": state})

    async with odd(says) as other:
        of = replace(other.of, messaging_account_id="77")
        marketing = Marketing(on=True)
        upstream = CloudUpstream(
            GraphExchange(other.cloud, other.secrets, 65536), Clock(), marketing=marketing
        )
        heard: asyncio.Queue[Judged] = asyncio.Queue()
        await NumberCalls(other.calls, marketing).categories(of)
        classes = []
        for _ in range(edges + 1):
            upstream.post(MessagePost(of, 3, 1, bytes(20), 1, OFFER), Heard(heard))
            classes.append((await heard.get()).cls)
        assert classes == [Class.NOT_TAKEN] * edges + [Class.TAKEN]
        sent = [edge for edge, _ in asked]
        assert sent == ["marketing_messages"] * edges + ["messages"]
        assert all(body["messaging_account_id"] == "77" for _, body in asked)
        assert asked[0][1] == json.loads(OFFER) | {"messaging_account_id": "77"}
        await upstream.close()


@pytest.mark.parametrize(
    ("answer", "level"),
    [
        ({"throughput": {"level": "NOT_APPLICABLE"}}, SHARED),
        ({"throughput": {"level": "NEWER"}}, STANDARD),
        ({"throughput": "HIGH"}, STANDARD),
        ({"throughput": {"level": 7}, "status": None, "health_status": []}, STANDARD),
    ],
)
async def test_facts_of_odd_answers(answer: object, level: float) -> None:
    async def says(_: web.Request) -> web.Response:
        return web.json_response(answer)

    async with odd(says) as client:
        facts = await client.number.facts(client.of)
        assert (facts.level, facts.connected, facts.can_send) == (level, False, "")
        with pytest.raises(CallAway, match="another number"):
            await client.number.probe(client.of)


async def test_categories_of_templates_of_all_pages(
    simulator: CloudSimulator, client: Client
) -> None:
    kinds = {f"t{n}": ("MARKETING", "UTILITY", "AUTHENTICATION")[n % 3] for n in range(450)}
    simulator.use(CloudFaults(categories=kinds))
    found = await client.number.categories(client.of)
    assert found == {(n, "en_US"): kind for n, kind in kinds.items()}


async def test_pages_without_an_end_end() -> None:
    asked: list[str] = []

    async def says(request: web.Request) -> web.Response:
        asked.append(request.query.get("after", ""))
        page = {"data": [{"name": "a", "language": "de", "category": "UTILITY"}, 7, {"name": 1}]}
        after = str(len(asked)) if len(asked) < 5 else "same"
        return web.json_response(page | {"paging": {"next": "x", "cursors": {"after": after}}})

    async with odd(says) as client:
        assert await client.number.categories(client.of) == {("a", "de"): "UTILITY"}
        assert asked == ["", "1", "2", "3", "4", "same"]


@pytest.mark.parametrize(
    ("status", "body", "kind", "for_operator"),
    [
        (400, '{"error":{"code":100,"message":"no"}}', CallRefused, False),
        (401, '{"error":{"code":190,"message":"expired"}}', CallAway, True),
        (403, '{"error":{"code":10,"message":"no"}}', CallAway, True),
        (400, '{"error":{"code":80007,"message":"slow"}}', CallAway, False),
        (429, "slow", CallAway, False),
        (503, "<html>", CallAway, False),
        (404, "<html>", CallAway, False),
        (302, "", CallRefused, False),
        (200, "no JSON", CallAway, False),
        (200, "[1]", CallAway, False),
        (200, "[" * 100_000, CallAway, False),
        (200, '{"x":"%s"}' % ("y" * 3_000_000), CallAway, False),
    ],
)
async def test_classes_of_failed_calls(
    status: int, body: str, kind: type[CallFailed], for_operator: bool
) -> None:
    async def says(_: web.Request) -> web.Response:
        headers = {"Location": "http://127.0.0.1:1/"} if status == 302 else {}
        return web.Response(status=status, text=body, headers=headers)

    async with odd(says) as client:
        with pytest.raises(kind) as raised:
            await client.number.facts(client.of)
        assert raised.value.for_operator is for_operator


SCOPES = frozenset({"whatsapp_business_messaging", "whatsapp_business_management"})


async def test_permissions_of_a_token(simulator: CloudSimulator, client: Client) -> None:
    app = simulator.facts.app_id
    token = await client.app.token(client.of)
    assert token[:5] == (app, True, 0, 0, SCOPES)
    assert (token.kind, token.app_name, token.granted) == ("SYSTEM_USER", "warouter test", {})
    assert await client.app.id(client.of) == app
    now = time.time()
    simulator.use(
        CloudFaults(token_s=3600, missing_scopes=("whatsapp_business_messaging",), granted=("7",))
    )
    token = await client.app.token(client.of)
    assert token.scopes == {"whatsapp_business_management"}
    assert token.granted == {"whatsapp_business_management": {"7"}}
    assert now + 3599 <= token.expires_at <= time.time() + 3600
    simulator.use(CloudFaults(no_debug_token=True))
    with pytest.raises(CallRefused):
        await client.app.token(client.of)


async def test_an_app_secret_is_this_app_s_or_not(
    simulator: CloudSimulator, client: Client
) -> None:
    app = simulator.facts.app_id
    assert await client.app.has_secret(client.of, app, "app-secret-1")
    assert not await client.app.has_secret(client.of, app, "app-secret-2")
    assert not await client.app.has_secret(client.of, "1", "app-secret-1")
    simulator.use(CloudFaults(other_secret=True))
    assert not await client.app.has_secret(client.of, app, "app-secret-1")
    with pytest.raises(CallAway) as raised:  # it says nothing of anything but the app
        await client.calls.get_as(client.of, f"{app}|app-secret-1", client.of.phone_number_id)
    assert raised.value.for_operator


@pytest.mark.parametrize(
    "answer",
    [
        {"data": {}},
        {"data": {"app_id": 7, "is_valid": 1, "expires_at": "1", "scopes": "x"}},
        {"data": {"expires_at": True, "scopes": [1, None, []], "granular_scopes": [7, {}]}},
        {"data": {"expires_at": 1e300, "data_access_expires_at": -1, "granular_scopes": "x"}},
    ],
)
async def test_odd_words_about_a_token(answer: object) -> None:
    async def says(_: web.Request) -> web.Response:
        return web.json_response(answer)

    async with odd(says) as client:
        token = await client.app.token(client.of)
        assert isinstance(token, TokenFacts)
        assert (token.valid, token.expires_at, token.data_access_ends_at) == (False, None, 0)
        assert token.granted == {}


async def test_no_error_of_a_call_shows_the_token() -> None:
    async def says(request: web.Request) -> web.StreamResponse:
        if request.path.endswith("cut"):
            assert request.transport is not None
            request.transport.write(b"HTTP/9 what\r\n\r\n")
            request.transport.close()
            return web.Response()
        words = f"Malformed access token {TOKEN}"
        return web.json_response({"error": {"code": 190, "message": words}}, status=401)

    secret = {"input_token": TOKEN}
    async with odd(says) as client:
        gone = Client(f"http://127.0.0.1:{unused_port()}")
        for calls, path in ((client.calls, "x"), (client.calls, "cut"), (gone.calls, "x")):
            with pytest.raises(CallAway) as raised:
                await calls.get(client.of, path, secret)
            shown = "".join(traceback.format_exception(raised.value))
            assert TOKEN not in shown, shown
            judged = raised.value.judged
            assert judged is None or TOKEN not in judged.details
        await gone.close()


async def test_no_server_is_away() -> None:
    client = Client(f"http://127.0.0.1:{unused_port()}")
    with pytest.raises(CallAway):
        await client.number.probe(client.of)
    with pytest.raises(ServiceAway):
        await client.media.upload(1, content(b"x"), "image/jpeg", 1)
    await client.close()


async def test_a_refused_token_is_read_again(tmp_path: Path) -> None:
    """By calls at once; a message does not go out again by itself, and the next has the new one."""
    file = tmp_path / "token"
    file.write_text("old")

    async def says(request: web.Request) -> web.Response:
        if request.headers["Authorization"] == "Bearer new":
            return web.json_response({"id": "106540352242922"})
        file.write_text("new")
        return web.json_response({"error": {"code": 190}}, status=401)

    async with odd(says) as other:
        client = Client(other.cloud.base_url, str(file))
        await client.number.probe(client.of)
        await client.close()
        file.write_text("old")
        secrets = Secrets(client.of)
        graph = GraphExchange(client.cloud, secrets, 65536)
        old = secrets.token_hash(client.of)
        first = await graph.post(client.of, b"{}", lambda: True)
        assert (first.status, first.token_hash) == (401, old)
        second = await graph.post(client.of, b"{}", lambda: True)
        assert (second.status, second.token_hash) == (200, secrets.token_hash(client.of))
        assert secrets.token(client.of) == "new"
        graph.close()


class Heard(Answers):
    """Whoever hears of the end of requests, here a test."""

    def __init__(self, heard: asyncio.Queue[Judged]) -> None:
        self._heard = heard

    def may_begin(self, post: MessagePost) -> bool:
        return True

    def on_judged(self, post: MessagePost, judged: Judged, token_hash: bytes) -> None:
        self._heard.put_nowait(judged)

    def on_server_time(self, unix_seconds: int) -> None:
        """It does not matter."""


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


async def _to_nobody(_word: str) -> None:
    """There are no others."""


@pytest.mark.parametrize("answers_an_error", [False, True])
async def test_an_idle_coreapp_that_was_cut_off_asks_whether_it_still_is(
    client: Client, simulator: CloudSimulator, answers_an_error: bool
) -> None:
    clock = Clock()
    upstream = CloudUpstream(GraphExchange(client.cloud, client.secrets, 65536), clock)
    recovery = Recovery(upstream.reach, partial(client.number.probe, client.of), _to_nobody, clock)
    simulator.use(CloudFaults(refuse=True))
    for clock.now in (0.0, 11.0):
        upstream._judge(POST, Exchanged(ExchangeOutcome.UNKNOWN, cause="Connection reset by peer"))
    assert not upstream.well
    clock.now = 22.0
    await recovery.look()
    assert not upstream.well
    simulator.use(CloudFaults(no_token=answers_an_error))
    clock.now = 31.0
    await recovery.look()
    assert not upstream.well  # it asked a moment ago
    clock.now = 32.0
    await recovery.look()
    assert upstream.well
    await upstream.close()


async def test_an_error_of_the_graph_api_tells_that_it_is_there(client: Client) -> None:
    clock = Clock()
    upstream = CloudUpstream(GraphExchange(client.cloud, client.secrets, 65536), clock)
    unclear = Exchanged(ExchangeOutcome.ANSWERED, 500, b'{"error":{"code":131000}}')
    page = Exchanged(ExchangeOutcome.ANSWERED, 502, b"<html>")
    for clock.now in (0.0, 11.0):
        assert upstream._judge(POST, unclear).cls is Class.DOUBT
        assert upstream.well
    for clock.now in (20.0, 31.0):
        assert upstream._judge(POST, page).cls is Class.DOUBT
    assert not upstream.well
    await upstream.close()


async def test_a_message_is_taken(client: Client, simulator: CloudSimulator) -> None:
    graph = GraphExchange(client.cloud, client.secrets, 65536)
    body = (
        b'{"messaging_product":"whatsapp","recipient_type":"individual","to":"+15550001111",'
        b'"type":"text","text":{"body":"hi"}}'
    )
    exchanged = await graph.post(client.of, body, lambda: True)
    graph.close()
    assert judge(exchanged.status, exchanged.body).cls is Class.TAKEN
    assert exchanged.server_time is not None
    assert simulator.record.counters.accepted == 1


async def test_media_goes_up_and_comes_down(client: Client) -> None:
    parts = [CONTENT[at : at + 10_000] for at in range(0, len(CONTENT), 10_000)]
    handle = await client.media.upload(1, content(*parts), "audio/ogg; codecs=opus", len(CONTENT))
    assert handle.isdigit()
    assert await read(client.media, handle) == CONTENT
    found = await client.calls.get(client.of, handle, {})
    assert found["mime_type"] == "audio/ogg; codecs=opus"


async def test_an_upload_announces_its_length() -> None:
    lengths: list[tuple[int | None, int]] = []

    async def says(request: web.Request) -> web.Response:
        lengths.append((request.content_length, len(await request.read())))
        return web.json_response({"id": "1"})

    async with odd(says) as client:
        await client.media.upload(1, content(CONTENT, b"x"), "image/jpeg", len(CONTENT) + 1)
    [(announced, came)] = lengths
    assert announced == came


async def test_media_of_a_number_without_a_place_at_meta_waits(client: Client) -> None:
    """Never with the token of another."""
    handle = await client.media.upload(1, content(CONTENT), "image/jpeg", len(CONTENT))
    with pytest.raises(ServiceAway, match="no place at Meta"):
        await client.media.upload(2, content(CONTENT), "image/jpeg", len(CONTENT))
    with pytest.raises(ServiceAway, match="no place at Meta"):
        async with client.media.download(2, handle):
            pass


async def test_unknown_media_is_refused(client: Client) -> None:
    with pytest.raises(ServiceRefused, match="does not exist"):
        await read(client.media, "123")
    with pytest.raises(ServiceRefused):
        await read(client.media, "../messages?x=")


async def test_a_url_that_has_died_is_asked_for_again(
    simulator: CloudSimulator, client: Client
) -> None:
    handle = await client.media.upload(1, content(CONTENT), "image/jpeg", len(CONTENT))
    urls: list[str] = []
    look_up = client.contents._looked_up

    async def looked_up(of: NumberCloud, handle: str) -> str:
        simulator.use(CloudFaults(media_url_s=300.0 if urls else 0.0))
        urls.append(await look_up(of, handle))
        return urls[-1]

    client.contents._looked_up = looked_up  # type: ignore[method-assign]
    assert await read(client.media, handle) == CONTENT
    assert len(urls) == 2


@pytest.mark.parametrize(("status", "kind"), [(500, ServiceAway), (429, ServiceAway)])
async def test_media_that_fails_for_a_while(
    simulator: CloudSimulator, client: Client, status: int, kind: type[Exception]
) -> None:
    simulator.use(CloudFaults(media_status=status))
    with pytest.raises(kind):
        await client.media.upload(1, content(CONTENT), "image/jpeg", len(CONTENT))
    with pytest.raises(kind):
        await read(client.media, "123")


async def test_errors_of_the_content_are_passed_on(client: Client) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x"
        raise FileNotFoundError("gone")

    with pytest.raises(FileNotFoundError, match="gone"):
        await client.media.upload(1, broken(), "image/jpeg", 2)
    with pytest.raises(ServiceRefused, match="no type"):
        await client.media.upload(1, content(b"x"), "image/jpeg\r\nX: y", 1)


@pytest.mark.parametrize("body", ["{}", '{"id":null}', '{"id":"a/b"}', "[]", '{"id":""}'])
async def test_an_upload_without_an_id_is_tried_again(body: str) -> None:
    async def says(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(text=body)

    async with odd(says) as client:
        with pytest.raises(ServiceAway):
            await client.media.upload(1, content(b"x"), "image/jpeg", 1)


async def test_the_token_goes_nowhere_by_a_redirect() -> None:
    asked: list[str] = []

    async def says(request: web.Request) -> web.Response:
        asked.append(request.path)
        if request.path.endswith("/1"):
            return web.json_response({"url": f"http://{request.host}/content"})
        raise web.HTTPFound(f"http://{request.host}/elsewhere")

    async with odd(says) as client:
        with pytest.raises(ServiceRefused, match="HTTP 302"):
            await read(client.media, "1")
        with pytest.raises(ServiceRefused, match="HTTP 302"):
            await client.media.upload(1, content(b"x"), "image/jpeg", 1)
        assert asked == ["/v25.0/1", "/content", "/v25.0/106540352242922/media"]


@pytest.mark.parametrize(
    ("url", "plain", "may"),
    [
        ("https://lookaside.fbsbx.com/whatsapp?mid=1&hash=a%2Fb", False, True),
        ("https://[::1]:8443/x", False, True),
        ("http://127.0.0.1:8080/x", True, True),
        ("http://localhost/x", True, True),
        ("http://127.0.0.1:8080/x", False, False),
        ("http://lookaside.fbsbx.com/x", True, False),
        ("http://127.0.0.1.evil.example/x", True, False),
        ("http://127.0.0.1@evil.example/x", True, False),
        ("https://user@lookaside.fbsbx.com/x", False, False),
        ("ftp://127.0.0.1/x", True, False),
        ("//127.0.0.1/x", True, False),
        ("https:///x", False, False),
        ("https://[bad/x", False, False),
        ("https://a.example/x\r\nY: z", False, False),
        ("", True, False),
    ],
)
def test_where_the_token_may_go(url: str, plain: bool, may: bool) -> None:
    assert may_carry_token(url, plain=plain) is may


async def test_the_token_goes_to_no_host_that_cannot_be_trusted() -> None:
    async def says(_: web.Request) -> web.Response:
        return web.json_response({"url": "http://media.example/content"})

    async with odd(says) as client:
        with pytest.raises(ServiceRefused, match="can be trusted"):
            await read(client.media, "1")


async def test_a_parameter_that_is_refused_is_left_out_once() -> None:
    """As the number's was for nine hours on 20 January 2026."""
    asked: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append(request.path_qs)
        if request.query:
            return web.json_response({"error": {"message": "no", "code": 100}}, status=400)
        if request.path.endswith("/content"):
            return web.Response(body=b"content")
        return web.json_response({"url": f"http://{request.host}/content"})

    async with odd(answer) as client:
        assert await read(client.media, "1037543291543636") == b"content"
    assert [path.partition("?")[2] for path in asked] == [
        "phone_number_id=106540352242922",
        "",
        "",
    ]


@pytest.mark.parametrize("status", [403, 404, 410, 500, 503])
async def test_a_url_of_media_that_is_refused_twice_may_be_well_later(status: int) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path.endswith("/content"):
            return web.Response(status=status)
        return web.json_response({"url": f"http://{request.host}/content"})

    async with odd(answer) as client:
        with pytest.raises(ServiceAway):
            await read(client.media, "1037543291543636")
