"""The limits of the listener for Meta's webhooks: strangers cost little, and have to go first."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import pytest_asyncio
import uvloop
from trustme import CA

from tests.harness.certificates import contexts, text_of
from tests.harness.wait import soon
from tests.harness.webhooks import NUMBER, SECRET, VERIFY, Line, post, text, webhook
from warouter.errors import CommandError
from warouter.http import intake
from warouter.http.intake import WebhookIntake
from warouter.http.server_connection import ANSWER
from warouter.tls import mutual
from warouter.upstream.cloud.batch import Batch
from warouter.upstream.cloud.listener import MOST_BYTES, WebhookListener

BODY = webhook(messages=[text("wamid.1")])
SIGNED = post(BODY)
HEAD = SIGNED[: -len(BODY)]


class Memory:
    """An inbox that commits when it is told to."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.breaks = 0
        self.vain = False
        self.open = asyncio.Event()
        self.open.set()

    async def take(self, batch: Batch) -> bool:
        await self.open.wait()
        self.batches.append(batch)
        return True

    async def keep(self, app: int, reason: str, body: bytes) -> bool:
        return True

    def broken(self) -> None:
        self.breaks += 1

    def in_vain(self, *, lasts: bool) -> None:
        self.vain = lasts


class Door:
    """An intake, its listener and its inbox."""

    def __init__(self) -> None:
        self.inbox = Memory()
        self.listener = WebhookListener({NUMBER: 1}, lambda: [SECRET], lambda: VERIFY, self.inbox)
        self._lines: list[Line] = []

    async def serve(self, tls: ssl.SSLContext | None = None, **limits: object) -> None:
        self.intake = WebhookIntake(self.listener, **limits)
        self.port = await self.intake.open("127.0.0.1", 0, tls)
        self.sweeping = asyncio.create_task(self.intake.sweep())

    async def connect(self, said: bytes = b"", **options: object) -> Line:
        line = Line(*await asyncio.open_connection("127.0.0.1", self.port, **options))
        self._lines.append(line)
        line.say(said)
        return line

    async def close(self) -> None:
        self.inbox.open.set()
        for line in self._lines:
            line.writer.close()
        await self.intake.leave()
        self.sweeping.cancel()


@pytest_asyncio.fixture
async def door() -> AsyncIterator[Door]:
    door = Door()
    yield door
    await door.close()


async def test_the_oldest_stranger_makes_room_for_a_newcomer(door: Door) -> None:
    await door.serve(connections=3)
    known = await door.connect(SIGNED)
    assert (await known.hear()).status == 200
    silent = [await door.connect() for _ in range(2)]
    await soon(lambda: len(door.intake) == 3)
    newcomer = await door.connect(SIGNED)
    assert (await newcomer.hear()).status == 200
    assert await silent[0].ended()
    assert door.intake.dropped == Counter(pushed_out=1)
    assert not door.inbox.vain  # it had not begun
    silent[1].say(SIGNED)
    assert (await silent[1].hear()).status == 200
    # Now nobody is a stranger.
    assert (await (await door.connect()).hear()).status == 503
    assert door.inbox.breaks == 1
    known.say(SIGNED)
    assert (await known.hear()).status == 200


async def test_memory_is_bounded_and_the_oldest_stranger_gives_it_back(door: Door) -> None:
    await door.serve(most_bytes=1500)
    body = b"x" * 1000
    part = post(body)[:-1]
    first = await door.connect(part)
    await soon(lambda: door.intake._bytes == 999)
    second = await door.connect(part)
    await soon(lambda: door.intake.dropped["pushed_out"])
    assert await first.ended()
    assert door.intake._bytes == 999
    assert (await (await door.connect(post(b"x" * 1600))).hear()).status == 503
    assert await second.ended()  # it had to go as well, and yet there was no room
    assert door.inbox.vain
    assert door.inbox.breaks == 1  # of the last one, which was refused for what others hold
    assert door.intake._bytes == 0


async def test_a_body_that_is_too_large_is_let_go_for_what_was_counted(door: Door) -> None:
    await door.serve()
    head = re.sub(rb"content-length: \d+", b"transfer-encoding: chunked", HEAD, flags=re.I)
    line = await door.connect(head + b"%x\r\n" % (MOST_BYTES + 1) + b"x" * MOST_BYTES + b"x")
    assert (await line.hear()).status == 413
    assert door.intake._bytes == 0


async def test_bodies_are_let_go_before_they_are_committed(door: Door) -> None:
    await door.serve(most_bytes=len(BODY))
    door.inbox.open.clear()
    lines = [await door.connect(SIGNED) for _ in range(3)]
    await soon(lambda: len(door.intake._known) == 3)
    assert door.intake._bytes == 0
    door.inbox.open.set()
    assert [(await line.hear()).status for line in lines] == [200] * 3


@pytest.mark.parametrize("said", [b"", b"POST /cloud", HEAD], ids=["nothing", "head", "body"])
async def test_a_slow_caller_is_dropped(
    door: Door, said: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "SWEEP_SECONDS", 0.02)
    monkeypatch.setattr(intake, "REQUEST_SECONDS", 0.1)
    await door.serve()
    known = await door.connect(SIGNED)
    assert (await known.hear()).status == 200
    assert await (await door.connect(said)).ended()
    assert door.intake.dropped == Counter(slow=1)
    assert door.inbox.vain == (said == HEAD)
    known.say(SIGNED)  # who has delivered may be idle for longer
    assert (await known.hear()).status == 200
    assert not door.inbox.vain
    assert door.inbox.breaks == 0
    known.say(HEAD)  # half a body of Meta's
    assert await known.ended()
    assert door.inbox.breaks == 1


@pytest.mark.parametrize("said", ["", "sha256=0", "sha1=" + 64 * "0", "sha256=" + 64 * "g"])
async def test_a_malformed_signature_is_refused_before_the_body(door: Door, said: str) -> None:
    await door.serve()
    head = post(BODY, secret=None, **{"X-Hub-Signature-256": said})[: -len(BODY)]
    line = await door.connect(head)
    assert (await line.hear()).status == 401
    assert door.listener.counts == Counter(unsigned=1)
    assert not door.inbox.vain


async def test_a_caller_that_waits_for_a_commit_is_not_slow(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "REQUEST_SECONDS", 0.0)
    await door.serve()
    door.sweeping.cancel()
    door.inbox.open.clear()
    line = await door.connect(SIGNED)
    await soon(lambda: door.intake._known)
    monkeypatch.setattr(intake, "SWEEP_SECONDS", 0.0)
    door.sweeping = asyncio.create_task(door.intake.sweep())
    for _ in range(20):
        await asyncio.sleep(0)
    door.inbox.open.set()
    assert (await line.hear()).status == 200


async def test_the_answer_is_read_although_the_body_was_not(door: Door) -> None:
    """A connection that is closed with bytes unread is reset, and what was written may be lost."""
    await door.serve()
    line = await door.connect(post(b"x" * 3_000_000, secret=None))
    assert (await line.hear()).status == 401


async def test_few_are_heard_out(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "MOST_ENDING", 2)
    monkeypatch.setattr(intake, "LINGER_SECONDS", 600.0)
    await door.serve(connections=1)
    part = post(b"x" * 1000, secret=None)[:-1]
    lines = [await door.connect(part) for _ in range(4)]
    for line in lines:
        assert (await line.hear()).status == 401
    await soon(lambda: len(door.intake._ending) == 2)
    assert len(door.intake) == 0


async def test_a_caller_that_hangs_up_costs_nothing(door: Door) -> None:
    await door.serve()
    door.inbox.open.clear()
    for said in (b"", HEAD, HEAD + BODY[:9]):
        line = await door.connect(said)
        await soon(lambda: len(door.intake) == 1)
        line.writer.transport.abort()
        await soon(lambda: len(door.intake) == 0)
        assert door.intake._bytes == 0
    line = await door.connect(SIGNED)
    await soon(lambda: door.intake._known)
    line.writer.transport.abort()
    door.inbox.open.set()
    await soon(lambda: len(door.inbox.batches) == 1)  # it was delivered, after all
    await soon(lambda: len(door.intake) == 0)


async def test_a_pipelined_webhook_waits(door: Door) -> None:
    await door.serve()
    door.inbox.open.clear()
    line = await door.connect(SIGNED)
    await soon(lambda: door.intake._known)
    (caller,) = door.intake._known
    line.say(SIGNED)
    await soon(lambda: caller._came)
    line.say(SIGNED * 3_000)  # which stays with the sender: nothing of it is read
    for _ in range(50):
        await asyncio.sleep(0)
    assert len(caller._came) < 1 << 20
    door.inbox.open.set()
    for _ in range(3_002):
        assert (await line.hear()).status == 200


async def test_a_caller_that_was_about_to_ask_at_a_stop_is_answered(door: Door) -> None:
    await door.serve()
    line = await door.connect(HEAD[:20])
    await soon(lambda: any(caller._came for caller in door.intake._strangers))
    leaving = asyncio.create_task(door.intake.leave())
    await soon(lambda: door.intake.leaving)
    line.say(SIGNED[20:])
    heard = await line.hear()
    assert (heard.status, heard.last) == (200, True)
    await leaving


async def test_a_defect_ends_one_connection(
    door: Door, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await door.serve()

    async def broken(batch: Batch) -> bool:
        raise RuntimeError("a defect")

    with monkeypatch.context() as patched:
        patched.setattr(door.inbox, "take", broken)
        assert await (await door.connect(SIGNED)).ended()
    assert door.inbox.breaks == 1
    assert "webhook connection failed" in caplog.text
    assert (await (await door.connect(SIGNED)).hear()).status == 200


async def test_a_caller_that_has_ended_its_side_is_answered(door: Door) -> None:
    await door.serve()
    line = await door.connect(SIGNED)
    line.writer.write_eof()
    assert (await line.hear()).status == 200
    assert await line.ended()


async def test_received_webhooks_are_answered_before_the_end(door: Door) -> None:
    await door.serve()
    door.inbox.open.clear()
    idle = await door.connect(SIGNED)
    busy = await door.connect(SIGNED)
    await soon(lambda: len(door.intake._known) == 2)
    door.inbox.open.set()
    await idle.hear()
    await busy.hear()
    door.inbox.open.clear()
    busy.say(SIGNED)
    await soon(lambda: not door.inbox.open.is_set() and door.listener.counts["taken"] == 2)
    await soon(lambda: any(c.turn is ANSWER for c in door.intake._known))
    leaving = asyncio.create_task(door.intake.leave())
    assert await idle.ended()
    door.inbox.open.set()
    heard = await busy.hear()
    assert (heard.status, heard.last) == (200, True)
    await leaving
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", door.port)


async def test_over_tls(door: Door) -> None:
    server, client = contexts("localhost")
    await door.serve(server)
    line = await door.connect(SIGNED, ssl=client, server_hostname="localhost")
    assert (await line.hear()).status == 200
    unsigned = await door.connect(post(BODY, secret=None), ssl=client, server_hostname="localhost")
    assert (await unsigned.hear()).status == 401
    assert await unsigned.ended()


META = "client.webhooks.example"


@pytest.mark.parametrize(
    ("issuer", "names", "common_name", "admitted"),
    [
        (0, [META], None, True),
        (0, ["other.example", META], None, True),
        (0, ["other.example"], META, True),
        (0, ["other.example"], None, False),
        (0, ["x" + META], None, False),
        (1, [META], None, False),  # by another authority
        (None, [], None, False),
    ],
)
async def test_mutual_tls(
    door: Door,
    tmp_path: Path,
    issuer: int | None,
    names: Sequence[str],
    common_name: str | None,
    admitted: bool,
) -> None:
    authorities = [CA(), CA()]
    (tmp_path / "ca.pem").write_text(text_of(authorities[0]))
    server, client = contexts("localhost")
    mutual.ask(server, str(tmp_path / "ca.pem"))
    await door.serve(server, client_name=META.title())
    if issuer is not None:
        shown = authorities[issuer].issue_cert(*names, common_name=common_name)
        shown.configure_cert(client)
    try:
        line = await door.connect(SIGNED, ssl=client, server_hostname="localhost")
        status = (await line.hear()).status
    except (ConnectionError, ssl.SSLError, asyncio.IncompleteReadError):
        status = 0
    assert status == (200 if admitted else 0)
    if not admitted:
        await soon(lambda: door.intake.dropped.total() == 1)
        assert door.inbox.batches == []


def test_authorities_that_cannot_be_read(tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with pytest.raises(CommandError, match="WAROUTER_CLOUD_MTLS_CA"):
        mutual.ask(context, str(tmp_path / "none.pem"))
    (tmp_path / "bad.pem").write_text("no PEM")
    with pytest.raises(CommandError, match="WAROUTER_CLOUD_MTLS_CA"):
        mutual.ask(context, str(tmp_path / "bad.pem"))


def test_on_the_loop_of_the_product() -> None:
    """Its transports are not those of asyncio."""

    async def main() -> None:
        door = Door()
        server, client = contexts("localhost")
        for tls in (None, server):
            await door.serve(tls, connections=2)
            options = {"ssl": client, "server_hostname": "localhost"} if tls else {}
            line = await door.connect(SIGNED, **options)
            assert (await line.hear()).status == 200
            part = post(b"x" * 1000, secret=None)[:-1]
            unsigned = await door.connect(part, **options)
            assert (await unsigned.hear()).status == 401
            assert await unsigned.ended()
            silent = [await door.connect(**options) for _ in range(3)]
            assert await silent[0].ended()
            line.say(SIGNED + SIGNED)
            assert [(await line.hear()).status for _ in range(2)] == [200, 200]
            await door.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
