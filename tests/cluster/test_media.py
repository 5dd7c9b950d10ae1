"""Media through a cluster of real processes: out by id and by link, in, and through a failover.

The tests share a cluster: each has recipients of its own, and the record is read as what was added.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import signal
import zlib
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from tests.cluster.conftest import ONE, PAIR, running
from tests.harness.business import Business
from tests.harness.facts import Facts
from tests.harness.served import AnswerTo, serving
from tests.harness.wait import PATIENCE
from warouter._hash import slot_of

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("media")]

JPEG = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 300
PARKED = "select count(*) from parked_message"
MEDIA = "select count(*) from media"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def business() -> AsyncIterator[Business]:
    async with running(**PAIR) as (_, business):
        yield business


@pytest.fixture
def numbers(request: pytest.FixtureRequest) -> tuple[str, str]:
    """Two recipients of this test's own."""
    first = zlib.crc32(request.node.name.encode())
    return f"4917{first:010}", f"4918{first:010}"


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


async def added(business: Business, before: dict[str, Any], *names: str) -> tuple[int, ...]:
    """How much more there is of these in the record."""
    found = await business.record()
    return tuple(found[name] - before[name] for name in names)


class Site:
    """A server that links lead to."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.let_go = asyncio.Event()
        self.url = ""
        self.broken = 2

    async def answer(self, request: web.Request) -> web.StreamResponse:
        page: AnswerTo | None = getattr(self, request.path[1:], None)
        return await page(request) if page else web.Response(status=404)

    async def slow(self, _request: web.Request) -> web.Response:
        self.asked.set()
        await self.let_go.wait()
        return web.Response(body=JPEG, content_type="image/jpeg")

    async def quick(self, _request: web.Request) -> web.Response:
        return web.Response(body=JPEG, content_type="image/jpeg")

    async def flaky(self, request: web.Request) -> web.Response:
        self.broken -= 1
        return web.Response(status=503) if self.broken >= 0 else await self.quick(request)

    async def page(self, _request: web.Request) -> web.Response:
        return web.Response(text="<html>", content_type="text/html")

    async def large(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "image/jpeg"})
        await response.prepare(request)
        for _ in range(64):
            await response.write(bytes(1 << 20))
        return response


@asynccontextmanager
async def opened() -> AsyncIterator[Site]:
    site = Site()
    async with serving(site.answer) as site.url:
        try:
            yield site
        finally:
            site.let_go.set()


async def test_media_by_id_is_brought_once_and_named_in_order(
    business: Business, numbers: tuple[str, str]
) -> None:
    to, _ = numbers
    before = await business.record()
    first = await business.uploaded(JPEG)
    second = await business.uploaded(b"%PDF-" + JPEG, "application/pdf")
    ids = [await business.message(to, image={"id": first}) for _ in range(3)]
    parameters = [
        {"type": "image", "image": {"id": first}},
        {"type": "document", "document": {"id": second, "filename": "a.pdf"}},
    ]
    template = {
        "name": "t",
        "language": {"policy": "deterministic", "code": "en"},
        "components": [{"type": "header", "parameters": parameters}],
    }
    ids.append(await business.message(to, template=template))
    await business.called_back("read", *ids)
    found = await business.record("ids=1&media=1")
    assert found["ids"][to] == ids
    assert await added(business, before, "media_uploads", "media_unknown") == (2, 0)
    named = {i: [(m["sha256"], m["mime"]) for m in found["media"][i]] for i in ids}
    image = (digest(JPEG), "image/jpeg")
    document = (digest(b"%PDF-" + JPEG), "application/pdf")
    assert named == {**{i: [image] for i in ids[:3]}, ids[3]: [image, document]}


async def test_links_that_cannot_be_had_are_failed_statuses(
    business: Business, numbers: tuple[str, str]
) -> None:
    to, other = numbers
    before = await business.record()
    async with opened() as site:
        wrong = {
            f"{site.url}/missing": "404",
            f"{site.url}/page": "text/html",
            f"{site.url}/large": "larger",
            "http://10.0.0.1/x.jpg": "address",
            "http://169.254.169.254/latest/meta-data": "address",
        }
        ids = {
            await business.message(f"{to[:-1]}{n}", image={"link": link}): why
            for n, (link, why) in enumerate(wrong.items())
        }
        stranger = {"link": f"{site.url}/quick", "provider": {"name": "nobody"}}
        ids[await business.message(f"{other}9", image=stranger)] = "nobody"
        good = await business.message(other, image={"link": f"{site.url}/flaky", "caption": "c"})
        await business.called_back("failed", *ids)
        await business.called_back("read", good)
        for message_id, why in ids.items():
            error = business.failure(message_id)
            assert error["code"] in (1009, 1014), error
            assert why in error["details"], error
        # What failed was never sent.
        assert await added(business, before, "unique", "media_uploads") == (1, 1)


async def test_an_owner_dies_while_it_fetches(business: Business, numbers: tuple[str, str]) -> None:
    to, _ = numbers
    before = await business.record()
    async with Facts(business.cluster) as facts, opened() as site:
        image = await business.message(to, image={"link": f"{site.url}/slow"})
        behind = await business.message(to, text={"body": "behind"})
        await asyncio.wait_for(site.asked.wait(), PATIENCE)
        slot = slot_of(to)
        old = (await facts.map()).slots[slot]
        (await facts.process_of(old.owner)).kill(signal.SIGKILL)
        await facts.until(lambda m: m.slots[slot].owner != old.owner)
        site.let_go.set()
        await business.called_back("read", image, behind)
        assert (await business.record())["ids"][to] == [image, behind]
        assert await added(business, before, "unique", "stale") == (2, 0)


async def test_upstream_that_takes_no_media_holds_the_message_until_it_does(
    business: Business, numbers: tuple[str, str]
) -> None:
    to, other = numbers
    before = await business.record()
    media = await business.uploaded(JPEG)
    await business.faults(media_status=503)
    image = await business.message(to, image={"id": media})
    text = await business.message(other, text={"body": "t"})
    await business.called_back("read", text)
    async with Facts(business.cluster) as facts:
        await facts.until_some(PARKED)
    await business.faults(media_status=0)
    await business.called_back("read", image)
    assert await added(business, before, "media_unknown") == (0,)


async def called_back(business: Business, *ids: str) -> list[dict[str, Any]]:
    found = business.receiver.messages
    await business.until(lambda: set(ids) <= set(found))
    return [found[i] for i in ids]


async def content_of(business: Business, media_id: str) -> bytes:
    url = f"{business.cluster.url}/v1/media/{media_id}"
    async with business.http.get(url, headers=business.headers) as answer:
        assert answer.status == 200
        return await answer.read()


def image(sender: str, content: bytes = JPEG) -> dict[str, Any]:
    return {"from": sender, "type": "image", "data": b64encode(content).decode()}


async def test_a_download_goes_on_when_the_owner_dies(
    business: Business, numbers: tuple[str, str]
) -> None:
    to, _ = numbers
    heard = len(business.receiver.inbound)
    async with Facts(business.cluster) as facts:
        stored = await facts.connection.fetchval(MEDIA)
        await business.faults(media_ms=3000)
        ids = await business.come(image(to), {"from": to, "type": "text", "body": "behind"})
        old = (await facts.map()).slots[slot_of(to)]
        (await facts.process_of(old.owner)).kill(signal.SIGKILL)
        await business.faults(media_ms=0)
        picture, _text = await called_back(business, *ids)
        assert await content_of(business, picture["image"]["id"]) == JPEG
        assert [m["id"] for m in business.receiver.inbound[heard:]] == ids
        assert await facts.connection.fetchval(MEDIA) == stored + 1


async def test_media_that_is_ready_after_the_ttl_is_not_sent(
    business: Business, numbers: tuple[str, str]
) -> None:
    """Ready before its message is parked, or when it comes back from there."""
    to, other = numbers
    await business.faults(media_ms=1500)
    media = await business.uploaded(JPEG)
    late = await business.message(to, image={"id": media}, ttl=1)
    behind = await business.message(to, text={"body": "behind"})
    await business.called_back("read", behind)
    await business.called_back("failed", late)
    assert business.failure(late)["code"] == 410
    async with opened() as site:
        parked = await business.message(other, image={"link": f"{site.url}/slow"}, ttl=4)
        await asyncio.wait_for(site.asked.wait(), PATIENCE)
        await business.called_back("failed", parked)
        assert business.failure(parked)["code"] == 410
    await business.faults(media_ms=0)
    sent = (await business.record())["ids"]
    assert (sent[to], sent.get(other)) == ([behind], None)


async def set_application(business: Business, **settings: Any) -> None:
    """Set, and wait until every coreapp has read it: a beat brings it."""
    await business.settings(**settings)
    async with Facts(business.cluster) as facts:
        counters = "select sum(counter) from beat b join node n using (incarnation)"
        coreapps = f"{counters} where n.role = 'coreapp'"
        now = await facts.connection.fetchval(coreapps)
        await facts.until_some(f"select 1 where ({coreapps}) > {now + 12}")


async def test_media_types_that_are_not_wanted_stay_undownloaded(
    business: Business, numbers: tuple[str, str]
) -> None:
    to, other = numbers
    await set_application(
        business, media={"auto_download": ["document"]}, skip_referral_media_download=True
    )
    ad = {"source_url": "https://a.test", "image": {"data": b64encode(JPEG).decode()}}
    (picture, referred) = await called_back(
        business,
        *await business.come(
            image(to), {"from": other, "type": "text", "body": "t", "referral": ad}
        ),
    )
    assert picture["image"]["status"] == "undownloaded"
    assert not {"id", "file", "link"} & set(picture["image"])
    assert referred["referral"]["image"]["status"] == "undownloaded"
    assert "errors" not in picture
    await set_application(business, skip_referral_media_download=False)
    (referred,) = await called_back(
        business,
        *await business.come({"from": to, "type": "text", "body": "t", "referral": ad}),
    )
    assert await content_of(business, referred["referral"]["image"]["id"]) == JPEG


async def test_a_directory_that_cannot_be_written_is_said_at_the_start(
    tmp_path: Path,
) -> None:
    """By all who keep media in it; messages without media need none."""
    place = tmp_path / "media"
    place.write_bytes(b"")  # no folder: root cannot write there either
    environment = {"WAROUTER_MEDIA_DIR": str(place)}
    async with running(**ONE, environment=environment) as (cluster, business):
        for name in ("coreapp-1", "webapp-1"):
            lines = [json.loads(x) for x in cluster.processes[name].log.read_text().splitlines()]
            (line,) = [each for each in lines if each["event"] == "media storage unavailable"]
            said = f"WAROUTER_MEDIA_DIR is {place}, and {place} is not a dir"
            assert line["error"].startswith(said)
        sent = await business.message("491700000009", text={"body": "t"})
        await business.called_back("read", sent)
