"""Impostors where the Graph API, a business's webhook or a provider of media should be: they learn
nothing. Each takes connections, notes every byte that it can read, and answers as if all were well.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Self

import aiohttp
import pytest
from trustme import CA

from tests.harness.certificates import Pair, alone, in_pem, issued, key_of, text_of
from tests.harness.cloud import client_settings
from tests.harness.wait import PATIENCE
from warouter.cloud_number import NumberCloud
from warouter.errors import MediaRefused, WarouterError
from warouter.lab.simulator.cloud.facts import CloudFacts
from warouter.media.fetch import Fetcher, LinkFailed
from warouter.media.providers import Credentials
from warouter.tls import pem
from warouter.upstream.cloud.graph.calls import Calls
from warouter.upstream.cloud.graph.exchange import ExchangeOutcome, GraphExchange
from warouter.upstream.cloud.graph.failed import CallAway, CallRefused
from warouter.upstream.cloud.graph.media_calls import CloudMedia, NumberMedia
from warouter.upstream.cloud.secrets import Secrets
from warouter.upstream.media_service import ServiceAway, ServiceRefused
from warouter.webhook.post import SUCCESS, Receiver

TOKEN, APP_SECRET = "EAAcanary-of-the-token", "canary-of-the-app-secret"
TEXT, BEARER = b"canary of a message", "canary-of-a-provider"
SECRETS = (TOKEN.encode(), APP_SECRET.encode(), TEXT, BEARER.encode())
HERE = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"


def taken(url: str = "") -> bytes:
    """The answer that each of the callers would believe."""
    body = f'{{"id": "1", "url": "{url}", "messages": [{{"id": "wamid.1"}}]}}'.encode()
    return OK % (len(body), body)


class Server:
    """At ``port``: ``heard`` is what it could read, beneath TLS where it has a context.

    ``came`` counts connections that it heard a first byte of. What it ``says`` is its answer to
    each head of a request.
    """

    def __init__(self, tls: ssl.SSLContext | None) -> None:
        self.heard = b""
        self.came = 0
        self.says = taken()
        self._tls = tls
        if tls is not None:
            tls.sni_callback = self._greeted

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    def _greeted(self, *_: object) -> None:
        self.came += 1

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.came += self._tls is None
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                self.heard += data
                if b"\r\n\r\n" in data or self._tls is None:
                    writer.write(self.says)
        writer.close()


# ---------------------------------------------------------------- who speaks to them

Caller = Callable[[str, ssl.SSLContext | None], Awaitable[bool]]
"""It tells what is secret to the server at a URL, whose certificate the context judges (None: the
system's authorities do). True if it was answered as by the right one.
"""


FACTS = CloudFacts(phone_number_id="1065", token=TOKEN, app_secret=APP_SECRET)
settings = partial(client_settings, FACTS)


async def message(url: str, tls: ssl.SSLContext | None) -> bool:
    cloud, of = settings(url)
    graph = GraphExchange(cloud, Secrets(of), 65536, tls=tls, seconds=PATIENCE)
    try:
        return (await graph.post(of, TEXT, lambda: True)).outcome is ExchangeOutcome.ANSWERED
    finally:
        graph.close()


async def called(
    url: str, tls: ssl.SSLContext | None, call: Callable[[Calls, NumberCloud], Awaitable[object]]
) -> bool:
    cloud, of = settings(url)
    calls = Calls(cloud, Secrets(of), tls)
    try:
        await call(calls, of)
    except (CallAway, CallRefused, ServiceAway, ServiceRefused):
        return False
    finally:
        await calls.close()
    return True


async def a_call(url: str, tls: ssl.SSLContext | None) -> bool:
    return await called(url, tls, lambda calls, of: calls.get(of, "1065", {"fields": "id"}))


async def a_change(url: str, tls: ssl.SSLContext | None) -> bool:
    change = {"about": TEXT.decode()}
    return await called(url, tls, lambda calls, of: calls.post(of, "1065", change))


async def app_secret(url: str, tls: ssl.SSLContext | None) -> bool:
    token = f"1|{APP_SECRET}"
    return await called(url, tls, lambda calls, of: calls.get_as(of, token, "debug_token"))


async def upload(url: str, tls: ssl.SSLContext | None) -> bool:
    async def content() -> AsyncIterator[bytes]:
        yield TEXT

    return await moved(url, tls, lambda media: media.upload(1, content(), "image/jpeg", len(TEXT)))


async def download(url: str, tls: ssl.SSLContext | None) -> bool:
    async def read(media: NumberMedia) -> None:
        async with media.download(1, "1") as chunks:
            async for _ in chunks:
                pass

    return await moved(url, tls, read)


async def moved(
    url: str, tls: ssl.SSLContext | None, move: Callable[[NumberMedia], Awaitable[object]]
) -> bool:
    async def with_media(calls: Calls, of: NumberCloud) -> None:
        cloud, _ = settings(url)
        media = NumberMedia(of, CloudMedia(cloud, Secrets(of), calls, tls))
        try:
            await move(media)
        finally:
            await media.close()

    return await called(url, tls, with_media)


async def webhook(url: str, tls: ssl.SSLContext | None) -> bool:
    receiver = Receiver(allow_private=HERE, timeout=PATIENCE)
    receiver.adopt(f"{url}/hook")
    assert receiver.url
    if tls is not None:
        receiver.tls = tls
    connections = receiver.connections()
    try:
        ended = await receiver.post(connections, TEXT, {}, lambda: True)
        return ended.result == SUCCESS
    finally:
        await connections.close()


async def provider(url: str, tls: ssl.SSLContext | None) -> bool:
    shown = Credentials("cdn", {"Authorization": f"Bearer {BEARER}"}, frozenset([url]))
    try:
        async with Fetcher(allow_private=HERE, context=tls).open(f"{url}/x.jpg", shown) as answer:
            return b"wamid" in b"".join([chunk async for chunk in answer.chunks])
    except (MediaRefused, LinkFailed):
        return False


GRAPH = (message, a_call, a_change, app_secret, upload, download)
CALLERS = (*GRAPH, webhook, provider)
each_caller = pytest.mark.parametrize("caller", CALLERS, ids=lambda caller: caller.__name__)


# ---------------------------------------------------------------- who they are


def named(authority: CA, name: str) -> Pair:
    leaf = authority.issue_cert(name)
    return Pair(
        leaf.cert_chain_pems[0].bytes().decode(),
        in_pem(key_of(leaf.private_key_pem.bytes().decode())),
    )


IMPOSTORS: dict[str, Callable[[CA], Pair | None]] = {
    "its certificate signs itself": lambda _: alone(),
    "of another authority": lambda _: issued(CA()),
    "of another name": lambda authority: named(authority, "localhost.elsewhere.example"),
    "ended": lambda authority: issued(authority, begins=-3, ends=-1),
    "not begun": lambda authority: issued(authority, begins=1, ends=3),
    "without TLS": lambda _: None,
}


@pytest.fixture(scope="module")
def authority() -> CA:
    return CA()


def server(pair: Pair | None) -> Server:
    return Server(pem.server_context(pair.pem + pair.key) if pair else None)


def trusting(authority: CA) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=text_of(authority))


def secrets_in(heard: bytes) -> list[bytes]:
    return [secret for secret in SECRETS if secret in heard]


@each_caller
async def test_the_right_server_is_told(caller: Caller, authority: CA) -> None:
    """Else the tests below would see nothing, whatever was told."""
    async with server(issued(authority)) as right:
        right.says = taken(f"{right.url}/content")
        assert await caller(right.url, trusting(authority))
        assert secrets_in(right.heard)


@each_caller
@pytest.mark.parametrize("impostor", IMPOSTORS)
async def test_an_impostor_is_told_nothing(caller: Caller, impostor: str, authority: CA) -> None:
    async with server(IMPOSTORS[impostor](authority)) as false:
        assert not await caller(false.url, trusting(authority))
        assert false.came > 0
        if impostor == "without TLS":
            assert false.heard.startswith(b"\x16\x03")  # the beginning of TLS, and no request
        else:
            assert false.heard == b""
        assert secrets_in(false.heard) == []


@each_caller
async def test_by_default_the_authorities_of_the_system_judge(
    caller: Caller, authority: CA
) -> None:
    async with server(issued(authority)) as false:
        assert not await caller(false.url, None)
        assert (false.came > 0, false.heard) == (True, b"")


@each_caller
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_takes_nothing_along(caller: Caller, status: int, authority: CA) -> None:
    """Not even to a host that has a good certificate. A provider may redirect, for media is often
    elsewhere: its credentials stay.
    """
    async with server(issued(authority)) as right, server(issued(authority)) as other:
        right.says = (
            f"HTTP/1.1 {status} There\r\nLocation: {other.url}/\r\nContent-Length: 0\r\n\r\n"
        ).encode()
        if caller is not provider:
            assert await caller(right.url, trusting(authority)) is (caller is message)
            assert other.came == 0
        else:
            await caller(right.url, trusting(authority))
            assert other.heard.startswith(b"GET / ")
        assert secrets_in(right.heard)
        assert secrets_in(other.heard) == []


@each_caller
async def test_no_proxy_of_the_environment_hears_of_it(
    caller: Caller, authority: CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with server(issued(authority)) as right, server(None) as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
            monkeypatch.setenv(name.lower(), f"http://127.0.0.1:{proxy.port}")
        right.says = taken(f"{right.url}/content")
        assert await caller(right.url, trusting(authority))
        assert (proxy.came, proxy.heard) == (0, b"")


async def test_media_at_an_impostor(authority: CA) -> None:
    """The right Graph API names a URL whose host is another one by now."""
    async with server(issued(authority)) as right, server(alone()) as false:
        right.says = taken(f"{false.url}/content")
        assert not await download(right.url, trusting(authority))
        assert (false.came > 0, false.heard) == (True, b"")


async def test_errors_are_told_without_secrets(authority: CA) -> None:
    async with server(alone()) as false:
        cloud, of = settings(false.url)
        calls = Calls(cloud, Secrets(of), trusting(authority))
        with pytest.raises(WarouterError) as caught:
            await calls.get(of, "oauth/access_token", {"client_secret": APP_SECRET})
        await calls.close()
        assert isinstance(caught.value, CallAway)
        assert APP_SECRET not in repr(caught.value)
        assert TOKEN not in repr(caught.value)
        assert not isinstance(caught.value.__cause__, aiohttp.ClientError)
