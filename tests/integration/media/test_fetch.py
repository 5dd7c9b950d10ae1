"""S14 for media links: nothing that a link says makes a connection where none may be made.

A trap listens where no connection may ever arrive. One allowed loopback address stands for the
public internet: what is refused is refused by the same check, whatever stands on the other side.
"""

from __future__ import annotations

import asyncio
import ipaddress
import resource
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from tests.harness import inner
from tests.harness.certificates import contexts
from tests.harness.wait import PATIENCE
from warouter.config import Settings
from warouter.errors import BodyTooLarge, MediaRefused
from warouter.local.ports import free_port
from warouter.media.directory import MediaDirectory
from warouter.media.fetch import Fetcher, LinkFailed
from warouter.media.providers import Credentials, CredentialsRefused
from warouter.owner.media.work import link_fetcher

PUBLIC, TRAP = "127.0.0.2", "127.0.0.1"
ALLOWED = (ipaddress.ip_network(f"{PUBLIC}/32"),)
MIB = 1 << 20


class Names(AbstractResolver):
    """A DNS that lies: each lookup of a name takes the next of its answers, the last for ever."""

    def __init__(self, **answers: list[list[str]]) -> None:
        self.answers = answers
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked.append(host)
        left = self.answers.get(host.partition(".")[0], [[TRAP]])
        addresses = left.pop(0) if len(left) > 1 else left[0]
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        return None


class Sites:
    """A server at the allowed address, and a trap at the same port of the forbidden ones."""

    def __init__(self) -> None:
        self.trapped = 0
        self.requests: list[web.BaseRequest] = []
        self.answer: Callable[[web.BaseRequest], Any] = lambda _request: web.Response(body=b"ok")
        self.port = 0
        self._server = web.Server(self._handle, access_log=None)
        self._listening: list[asyncio.Server] = []

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self.port = free_port()  # one and the same at all addresses
        self._listening = [
            await loop.create_server(self._server, PUBLIC, self.port),
            await asyncio.start_server(self._trap, TRAP, self.port),
            await asyncio.start_server(self._trap, "::1", self.port),
        ]

    async def stop(self) -> None:
        for listening in self._listening:
            listening.close()
        await self._server.shutdown(0.1)
        for listening in self._listening:
            await listening.wait_closed()

    def url(self, host: str = PUBLIC, path: str = "/x.jpg") -> str:
        return f"http://{host}:{self.port}{path}"

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.requests.append(request)
        answer = self.answer(request)
        return await answer if asyncio.iscoroutine(answer) else answer

    def _trap(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.trapped += 1
        writer.close()


@pytest_asyncio.fixture
async def sites() -> AsyncIterator[Sites]:
    sites = Sites()
    await sites.start()
    yield sites
    await sites.stop()


@asynccontextmanager
async def https(sites: Sites, *names: str) -> AsyncIterator[tuple[int, ssl.SSLContext]]:
    """The same server with TLS under these names: its port, and what a client is to trust."""
    server, client = contexts(*names)
    listening = await asyncio.get_running_loop().create_server(sites._server, PUBLIC, 0, ssl=server)
    try:
        yield listening.sockets[0].getsockname()[1], client
    finally:
        listening.close()


async def fetched(fetcher: Fetcher, link: str, shown: Credentials | None = None) -> bytes:
    async with fetcher.open(link, shown) as answer:
        return b"".join([chunk async for chunk in answer.chunks])


def fetcher(**more: Any) -> Fetcher:
    return Fetcher(**{"allow_http": True, "allow_private": ALLOWED, "total": 5.0, **more})


async def test_media_links_reach_fewer_addresses_than_the_webhook(sites: Sites) -> None:
    """Any user writes a link, and could read what answers; an administrator sets a webhook."""
    opened = Settings(allow_private=f"{PUBLIC}/32", media_allow_http=True)
    with pytest.raises(MediaRefused, match="not allowed by WAROUTER_MEDIA_ALLOW_PRIVATE"):
        await fetched(link_fetcher(opened), sites.url())
    assert sites.requests == []
    of_its_own = Settings(media_allow_private=f"{PUBLIC}/32", media_allow_http=True)
    assert await fetched(link_fetcher(of_its_own), sites.url()) == b"ok"


NAMES = ["trap.test", "trap.test.", "trap.xn--p1ai", "tráp.test", "a.b.trap.test"]


@pytest.mark.parametrize("host", inner.HOSTS + NAMES)
async def test_no_form_of_a_forbidden_address_is_connected_to(sites: Sites, host: str) -> None:
    """The resolver answers every name with the trap, as DNS of an attacker would."""
    for scheme in ("http", "https"):
        link = f"{scheme}://{host}:{sites.port}/x.jpg"
        with pytest.raises(MediaRefused):
            await fetched(fetcher(resolver=Names()), link)
    # And with the system's own resolver; whether the name is known at all does not matter.
    with pytest.raises((MediaRefused, LinkFailed)):
        await fetched(fetcher(), f"http://{host}:{sites.port}/x.jpg")
    assert (sites.trapped, sites.requests) == (0, [])


def test_there_are_enough_forms() -> None:
    assert len(set(inner.HOSTS + NAMES)) >= 60


@pytest.mark.parametrize(
    "link",
    [
        *("file:///etc/passwd", "ftp://127.0.0.2/x", "gopher://127.0.0.2/", "javascript:1", "//x"),
        *("", "http://", "http:///x", "http://127.0.0.2:99999/", "http://127.0.0.2:x/", "data:,x"),
        *("http://127.0.0.2/\r\nHost: x", "http://127.0.0.2\\@127.0.0.1/", "http://[::1/"),
    ],
)
async def test_malformed_links_are_refused(sites: Sites, link: str) -> None:
    with pytest.raises(MediaRefused):
        await fetched(fetcher(), link)
    assert sites.trapped == 0


async def test_a_name_that_is_rebound_after_the_check(sites: Sites) -> None:
    names = Names(rebind=[[PUBLIC], [TRAP]])
    fetch = fetcher(resolver=names)
    assert await fetched(fetch, sites.url("rebind.test")) == b"ok"
    assert names.asked == ["rebind.test"]  # one lookup, and its very address was connected to
    with pytest.raises(MediaRefused):
        await fetched(fetch, sites.url("rebind.test"))
    assert sites.trapped == 0


@pytest.mark.parametrize(
    "mix", [[TRAP, PUBLIC], [PUBLIC, TRAP], ["::1", PUBLIC], [TRAP, "::1", PUBLIC]]
)
async def test_of_mixed_addresses_only_the_allowed_one_is_used(
    sites: Sites, mix: list[str]
) -> None:
    assert await fetched(fetcher(resolver=Names(mix=[mix])), sites.url("mix.test")) == b"ok"
    assert sites.trapped == 0


@pytest.mark.parametrize(
    "location",
    [
        *("http://169.254.169.254/latest/meta-data/", "http://[::1]:{port}/", "//127.1:{port}/"),
        *("http://127.0.0.1:{port}/", "http://trap.test:{port}/", "file:///etc/passwd"),
        "http://2130706433:{port}/",
    ],
)
async def test_redirects_are_checked_anew(sites: Sites, location: str) -> None:
    to = location.format(port=sites.port)
    sites.answer = lambda _request: web.Response(status=302, headers={"Location": to})
    with pytest.raises(MediaRefused):
        await fetched(fetcher(resolver=Names()), sites.url())
    assert sites.trapped == 0
    assert len(sites.requests) == 1


async def test_three_redirects_are_followed_and_not_four(sites: Sites) -> None:
    def answer(request: web.BaseRequest) -> web.Response:
        left = int(request.path[1:])
        if not left:
            return web.Response(body=b"there")
        return web.Response(status=302, headers={"Location": f"/{left - 1}"})

    sites.answer = answer
    assert await fetched(fetcher(), sites.url(path="/3")) == b"there"
    with pytest.raises(MediaRefused, match="more than 3"):
        await fetched(fetcher(), sites.url(path="/4"))


async def test_a_public_address_only_on_ports_of_the_web() -> None:
    """Nothing is sent: the socket is refused before there is one."""
    with pytest.raises(MediaRefused, match="from port 22"):
        await fetched(fetcher(), "http://8.8.8.8:22/")


async def test_http_only_when_it_is_allowed(sites: Sites) -> None:
    with pytest.raises(MediaRefused, match="https"):
        await fetched(fetcher(allow_http=False), sites.url())
    assert sites.requests == []


async def test_no_proxy_of_the_environment(sites: Sites, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://{TRAP}:{sites.port}")
    assert await fetched(fetcher(), sites.url()) == b"ok"
    assert sites.trapped == 0


def for_origins(*origins: str) -> Credentials:
    return Credentials("cdn", {"Authorization": "Bearer secret"}, frozenset(origins))


def shown_to(sites: Sites) -> list[tuple[str, str | None]]:
    return [(r.host.partition(":")[0], r.headers.get("Authorization")) for r in sites.requests]


async def test_credentials_go_to_the_origins_of_their_provider_and_nowhere_else(
    sites: Sites,
) -> None:
    """Neither where a message's link leads, nor where the provider's own host redirects to."""

    def answer(request: web.BaseRequest) -> web.Response:
        if request.path == "/ok":
            return web.Response(body=b"ok")
        host = {"/away": "other.test", "/back": "one.test"}[request.path]
        to = f"https://{host}:{port}/ok"
        return web.Response(status=307, headers={"Location": to})

    sites.answer = answer
    async with https(sites, "one.test", "other.test") as (port, context):
        names = Names(one=[[PUBLIC]], other=[[PUBLIC]])
        fetch = fetcher(allow_http=True, context=context, resolver=names)
        mine = for_origins(f"https://one.test:{port}")
        assert await fetched(fetch, f"https://one.test:{port}/ok", mine) == b"ok"
        assert shown_to(sites) == [("one.test", "Bearer secret")]
        sites.requests.clear()
        await fetched(fetch, f"https://one.test:{port}/away", mine)
        assert shown_to(sites) == [("one.test", "Bearer secret"), ("other.test", None)]
        sites.requests.clear()
        for link in (
            f"https://other.test:{port}/ok",
            f"https://other.test:{port}/back",
            f"http://one.test:{sites.port}/ok",
            f"https://one.test:{port + 1 if port < 65535 else port - 1}/ok",
            f"https://one.test:{port}@other.test:{port}/ok",
            f"https://one.test.:{port}/ok",
        ):
            with pytest.raises(CredentialsRefused, match="not one of the origins"):
                await fetched(fetch, link, mine)
        with pytest.raises(CredentialsRefused, match="has no origins"):
            await fetched(fetch, f"https://one.test:{port}/ok", for_origins())
        assert sites.requests == []
        # Two origins of one provider: a redirect from one to the other takes nothing along.
        both = for_origins(f"https://one.test:{port}", f"https://other.test:{port}")
        await fetched(fetch, f"https://one.test:{port}/away", both)
        assert shown_to(sites) == [("one.test", "Bearer secret"), ("other.test", None)]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        *((404, MediaRefused), (403, MediaRefused), (410, MediaRefused), (304, MediaRefused)),
        *((500, LinkFailed), (503, LinkFailed), (429, LinkFailed), (408, LinkFailed)),
    ],
)
async def test_headers_that_may_and_may_not_change_between_parts(
    sites: Sites, status: int, error: type[Exception]
) -> None:
    sites.answer = lambda _request: web.Response(status=status)
    with pytest.raises(error, match=str(status)):
        await fetched(fetcher(), sites.url())


async def test_an_unreachable_host_is_no_verdict_on_the_link(sites: Sites) -> None:
    with socket.socket() as free:
        free.bind((PUBLIC, 0))
        port = free.getsockname()[1]
    with pytest.raises(LinkFailed):
        await fetched(fetcher(), f"http://{PUBLIC}:{port}/")


async def test_compressed_content_is_refused(sites: Sites) -> None:
    gzip = {"Content-Encoding": "gzip"}
    sites.answer = lambda _request: web.Response(body=b"x", headers=gzip)
    with pytest.raises(MediaRefused, match="compressed"):
        await fetched(fetcher(), sites.url())


def dripping(sites: Sites, drop: bytes) -> asyncio.Event:
    """Answers that never end, a drop at a time; set when the one who asked has gone."""
    ended = asyncio.Event()

    async def drip(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(drop)
                await asyncio.sleep(0.01)
        finally:
            ended.set()

    sites.answer = drip
    return ended


@pytest.mark.parametrize(
    ("drop", "limits"),
    [(b".", {"total": 0.5}), (bytes(100), {"total": 600.0, "grace": 0.5})],
    ids=["in time", "below the least pace"],
)
async def test_a_link_that_drips_gives_its_place_to_the_next(
    sites: Sites, monkeypatch: pytest.MonkeyPatch, drop: bytes, limits: dict[str, float]
) -> None:
    """Never quiet, never done: within a total of minutes only its pace tells."""
    monkeypatch.setattr("warouter.media.fetch.LEAST_PACE", MIB)
    ended = dripping(sites, drop)
    with pytest.raises(LinkFailed, match="in time"):
        await fetched(fetcher(**limits), sites.url())
    await asyncio.wait_for(ended.wait(), PATIENCE)


async def test_a_reader_that_is_slow_itself_cuts_nobody_off(sites: Sites) -> None:
    sites.answer = lambda _request: web.Response(body=bytes(4 * MIB))
    got = 0
    async with fetcher(total=600.0, grace=0.5).open(sites.url()) as answer:
        async for chunk in answer.chunks:
            if not got:
                await asyncio.sleep(1.0)  # a volume that hesitates
            got += len(chunk)
    assert got == 4 * MIB


async def test_1_gib_without_a_length_is_cut_at_the_limit(sites: Sites, tmp_path: Any) -> None:
    sent = 0

    async def flood(request: web.BaseRequest) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(1024):
            await response.write(bytes(MIB))
            sent += 1
        return response

    sites.answer = flood
    directory = MediaDirectory(tmp_path)
    high = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(BodyTooLarge):
        async with fetcher(total=60.0).open(sites.url()) as answer:
            await directory.stage(answer.chunks, 5 * MIB)
    assert sent < 64
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - high < 32 * 1024  # KiB
    await directory.close()


async def test_https_holds_the_name_of_the_link_to_its_certificate(sites: Sites) -> None:
    """The address is pinned, the name is not given up for it."""
    async with https(sites, "good.test") as (port, context):
        names = Names(good=[[PUBLIC]], other=[[PUBLIC]])
        fetch = fetcher(allow_http=False, context=context, resolver=names)
        assert await fetched(fetch, f"https://good.test:{port}/") == b"ok"
        with pytest.raises(LinkFailed, match="certificate"):
            await fetched(fetch, f"https://other.test:{port}/")
        with pytest.raises(LinkFailed, match="certificate"):  # the usual authorities
            await fetched(fetcher(resolver=names), f"https://good.test:{port}/")


async def test_a_length_of_thousands_of_digits_is_refused() -> None:
    """llhttp takes zeros without end, and Python reads no number of so many digits."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: " + b"0" * 5000 + b"2\r\n\r\nok")
        writer.close()

    server = await asyncio.start_server(serve, PUBLIC, 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(MediaRefused, match="Content-Length"):
        await fetched(fetcher(), f"http://{PUBLIC}:{port}/x.jpg")
    server.close()
