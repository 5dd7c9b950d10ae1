"""Chatwoot's 360dialog inbox on a real cluster, whose upstream is Meta's stand-in.

The requests are the bytes that Chatwoot's service for 360dialog writes: Ruby's HTTP client with the
JSON of Rails, which escapes ``&<>``, and an ``action`` that is text. Callbacks are read as its
service for incoming messages does: element 0 of ``statuses``, else of ``messages``, and no other.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from tests.harness.described import check_answer
from tests.harness.integration import CLOUD, JPEG, Integration, installed
from tests.harness.receiver import Post

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("d360")]

CONTACT = "250788123999"
NUMBER = "+16315551000"
ENVIRONMENT = {
    "WAROUTER_D360": "1",
    "WAROUTER_MEDIA_ALLOW_HTTP": "1",
    "WAROUTER_MEDIA_ALLOW_PRIVATE": "127.0.0.0/8",
}
TEXT = rb'{"to":"%b","text":{"body":"Tom \u0026 Ann \u003c3"},"type":"text"}'
REPLY = rb'{"context":{"message_id":"%b"},"to":"%b","text":{"body":"a reply"},"type":"text"}'
BUTTONS = (
    rb'{"to":"%b","interactive":{"type":"button","body":{"text":"Which?"},"action":"{\"buttons\":['
    rb"{\"type\":\"reply\",\"reply\":{\"id\":\"s\",\"title\":\"Salad\"}},"
    rb"{\"type\":\"reply\",\"reply\":{\"id\":\"b\",\"title\":\"Burger\"}}]}"
    rb'"},"type":"interactive"}'
)
LIST = (
    rb'{"to":"%b","interactive":{"type":"list","body":{"text":"Which?"},"action":"{\"button\":'
    rb"\"Choose an item\",\"sections\":[{\"rows\":[{\"id\":\"1\",\"title\":\"One\"},"
    rb"{\"id\":\"2\",\"title\":\"Two\"},{\"id\":\"3\",\"title\":\"Three\"},"
    rb"{\"id\":\"4\",\"title\":\"Four\"}]}]}"
    rb'"},"type":"interactive"}'
)
TEMPLATE = (
    rb'{"to":"%b","template":{"name":"order","namespace":"23423423_2342423_324234234_2343224",'
    rb'"language":{"policy":"deterministic","code":"en_US"},"components":[{"type":"body",'
    rb'"parameters":[{"type":"text","text":"3"}]}]},"type":"template"}'
)
IMAGE = rb'{"to":"%b","type":"image","image":{"link":"%b/a.jpg","caption":"a picture"}}'
DOCUMENT = (
    rb'{"to":"%b","type":"document","document":{"link":"%b/a.pdf","caption":null,'
    rb'"filename":"a.pdf"}}'
)


class Chatwoot:
    """An inbox: its requests, and what it knows from element 0 of each callback."""

    def __init__(self, site: Integration, key: str, files: str) -> None:
        self.site = site
        self.key = key
        self.files = files.encode()
        self.hook = f"{site.receiver.url.removesuffix('/hook')}/webhooks/whatsapp/{NUMBER}"

    async def call(self, method: str, path: str, body: bytes = b"") -> tuple[int, Any]:
        """The status and JSON (or bytes) of one request, written as Ruby's Net::HTTP writes it."""
        host = self.site.cluster.url.removeprefix("http://")
        fields = [
            f"{method} {path} HTTP/1.1",
            f"D360-Api-Key: {self.key}",
            "Content-Type: application/json",
            "Accept-Encoding: gzip;q=1.0,deflate;q=0.6,identity;q=0.3",
            "Accept: */*",
            "User-Agent: Ruby",
            "Connection: close",
            f"Host: {host}",
            *([f"Content-Length: {len(body)}"] if method == "POST" else []),
        ]
        name, _, port = host.rpartition(":")
        reader, writer = await asyncio.open_connection(name, int(port))
        writer.write("".join(f"{field}\r\n" for field in fields).encode() + b"\r\n" + body)
        answer = await reader.read()
        writer.close()
        head, _, content = answer.partition(b"\r\n\r\n")
        line, *lines = head.decode().split("\r\n")
        status = int(line.split()[1])
        headers = dict(line.split(": ", 1) for line in lines)
        check_answer(method, path, status, headers, content)
        is_json = headers["Content-Type"].startswith("application/json")
        return status, json.loads(content) if is_json else content

    async def sent(self, body: bytes) -> str:
        """The id of a message, as its service reads it from a success."""
        status, answer = await self.call("POST", "/v1/messages", body)
        assert status == 201, answer
        assert "error" not in answer
        message_id: str = answer["messages"][0]["id"]
        return message_id

    @property
    def posts(self) -> list[Post]:
        return [post for post in self.site.receiver.posts if post.path.endswith(NUMBER)]

    def knows(self, message_id: str) -> list[str]:
        """The statuses that it has read of a message."""
        firsts = [post.json["statuses"][0] for post in self.posts if post.json.get("statuses")]
        return [first["status"] for first in firsts if first["id"] == message_id]

    def inbound(self) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
        """The messages that it has made, each with its contact, by id."""
        found = {}
        for post in self.posts:
            if not post.json.get("statuses") and (messages := post.json.get("messages")):
                found[messages[0]["id"]] = messages[0], post.json["contacts"][0]
        return found


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def chatwoot() -> AsyncIterator[Chatwoot]:
    async def file(request: web.Request) -> web.Response:
        if request.path.endswith(".pdf"):
            return web.Response(body=b"%PDF-1.4\n%%EOF\n", content_type="application/pdf")
        return web.Response(body=JPEG, content_type="image/jpeg")

    app = web.Application()
    app.router.add_get("/{name}", file)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    few = {"shards": 1, "coreapps": 1, "masters": 1, "webapps": 1}
    async with installed(CLOUD, environment=ENVIRONMENT, **few) as site:
        key = await site.key_of("send", "media", "templates", "settings")
        inbox = Chatwoot(site, key, f"http://127.0.0.1:{runner.addresses[0][1]}")
        # What the inbox does when it is made: it tells 360dialog where its callbacks go.
        body = b'{"url":"%b"}' % inbox.hook.encode()
        status, answer = await inbox.call("POST", "/v1/configs/webhook", body)
        assert (status, answer["url"]) == (200, inbox.hook)
        yield inbox
    await runner.cleanup()


async def test_an_inbox_with_a_wrong_key_is_told_so(chatwoot: Chatwoot) -> None:
    right, chatwoot.key = chatwoot.key, "wrong"
    try:
        status, answer = await chatwoot.call("POST", "/v1/configs/webhook", b'{"url":"https://x"}')
    finally:
        chatwoot.key = right
    assert (status, answer["meta"]["success"]) == (401, False)
    assert answer["meta"]["developer_message"] == answer["errors"][0]["details"]


async def test_templates_are_synchronised(chatwoot: Chatwoot) -> None:
    await chatwoot.site.faults(categories={"order": "UTILITY"}, level=0, pair_s=0)
    try:
        status, answer = await chatwoot.call("GET", "/v1/configs/templates")
    finally:
        await chatwoot.site.faults()
    assert status == 200
    (template,) = answer["waba_templates"]
    assert (template["name"], template["language"]) == ("order", "en_US")
    assert (template["status"], template["category"]) == ("approved", "UTILITY")
    assert template["namespace"]
    assert template["components"] == []


@pytest.mark.parametrize(
    "body", [TEXT, BUTTONS, LIST, TEMPLATE], ids=["text", "buttons", "list", "template"]
)
async def test_messages_are_sent_and_their_statuses_come(chatwoot: Chatwoot, body: bytes) -> None:
    message_id = await chatwoot.sent(body % CONTACT.encode())
    await chatwoot.site.receiver.until(lambda: "read" in chatwoot.knows(message_id))
    assert chatwoot.knows(message_id) == ["sent", "delivered", "read"]


@pytest.mark.parametrize("body", [IMAGE, DOCUMENT], ids=["image", "document"])
async def test_attachments_are_sent_by_link(chatwoot: Chatwoot, body: bytes) -> None:
    message_id = await chatwoot.sent(body % (CONTACT.encode(), chatwoot.files))
    await chatwoot.site.receiver.until(lambda: "read" in chatwoot.knows(message_id))


async def test_a_message_comes_and_is_replied_to(chatwoot: Chatwoot) -> None:
    came = await chatwoot.site.inject(
        {"from": CONTACT, "name": "Ann", "type": "text", "body": "Hi"}
    )
    await chatwoot.site.receiver.until(lambda: came in chatwoot.inbound())
    message, contact = chatwoot.inbound()[came]
    assert (message["from"], message["text"]["body"]) == (CONTACT, "Hi")
    assert (contact["wa_id"], contact["profile"]["name"]) == (CONTACT, "Ann")
    reply = await chatwoot.sent(REPLY % (came.encode(), CONTACT.encode()))
    await chatwoot.site.receiver.until(lambda: "read" in chatwoot.knows(reply))


async def test_a_picture_of_a_customer_is_fetched(chatwoot: Chatwoot) -> None:
    picture = {"data": base64.b64encode(JPEG).decode(), "mime": "image/jpeg", "body": "see"}
    came = await chatwoot.site.inject({"from": CONTACT, "name": "Ann", "type": "image", **picture})
    await chatwoot.site.receiver.until(lambda: came in chatwoot.inbound())
    shown = chatwoot.inbound()[came][0]["image"]
    assert shown["caption"] == "see"
    assert await chatwoot.call("GET", f"/v1/media/{shown['id']}") == (200, JPEG)


async def test_a_bad_message_is_explained(chatwoot: Chatwoot) -> None:
    bad = BUTTONS.replace(b"Burger", b"A burger that has too long a name") % CONTACT.encode()
    status, answer = await chatwoot.call("POST", "/v1/messages", bad)
    assert status == 400
    said = answer["meta"]["developer_message"]
    assert said.startswith("interactive.action.buttons[1].reply.title has 33 characters")


async def test_nothing_is_lost_while_callbacks_pile_up(chatwoot: Chatwoot) -> None:
    """A receiver that stands still lets events gather, which others get in one POST."""
    receiver, release = chatwoot.site.receiver, asyncio.Event()

    async def hold(_post: Post) -> int:
        await release.wait()
        return 200

    receiver.answer = hold
    many = [f"2507881{n:05}".encode() for n in range(40)]
    try:
        sent = [await chatwoot.sent(TEXT % to) for to in many]
        words = [{"from": to.decode(), "name": "x", "type": "text", "body": "y"} for to in many]
        came = [await chatwoot.site.inject(message) for message in words]
        await receiver.until(lambda: receiver.open == 6)
    finally:
        release.set()
        receiver.answer = 200
    await receiver.until(lambda: all("read" in chatwoot.knows(one) for one in sent))
    await receiver.until(lambda: set(came) <= chatwoot.inbound().keys())
    assert {len(post.events) for post in chatwoot.posts} == {1}
    assert [chatwoot.knows(one) for one in sent] == [["sent", "delivered", "read"]] * len(sent)
