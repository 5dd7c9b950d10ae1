"""Webapp and coreapp ends of the link over real sockets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest
import pytest_asyncio

from tests.cluster.next_version import read_each
from tests.harness.linked import (
    OTHER,
    OWNER,
    SILENT,
    Coreapp,
    an_id,
    cancelled,
    fields,
    outgoing,
    owned_by,
    submit,
    webapp,
)
from tests.harness.wait import PATIENCE, soon
from warouter import _batch
from warouter.cloud_settings import is_loopback
from warouter.cluster.shardmap import ShardMap
from warouter.errors import ApiError, NotReady, Overloaded
from warouter.link import client, pending, wire
from warouter.link.address import LinkAddress
from warouter.link.client import Links
from warouter.link.listen import WebappConnection


@pytest_asyncio.fixture
async def owner() -> AsyncIterator[Coreapp]:
    owner = Coreapp()
    yield owner
    await owner.stop()


@pytest_asyncio.fixture
async def links(owner: Coreapp) -> AsyncIterator[Links]:
    """Those of a webapp that knows of nobody."""
    async with webapp(hold=5.0, rows=owner.rows) as links:
        yield links


@pytest_asyncio.fixture
async def linked(links: Links, owner: Coreapp) -> Links:
    """It knows the owner, who has all slots under epoch 7."""
    await connect(links, owner)
    links.set_map(owned_by(OWNER))
    return links


async def connect(links: Links, owner: Coreapp, **more: object) -> None:
    links.set_addresses({OWNER: (await owner.start())._replace(**more)})


async def test_a_message_arrives_as_it_is_and_its_ack_ends_the_wait(
    linked: Links, owner: Coreapp
) -> None:
    await submit(linked, body=b'{"to":"1"}')
    message = await owner.came.get()
    assert fields(message) == (5, 7, an_id(), 0, "4915112345678", b'{"to":"1"}', None, None, 1)
    assert linked.pending == 0


@pytest.mark.parametrize(
    "before", [owned_by(None), owned_by(OWNER, successor=OTHER)], ids=["nobody's", "on its way"]
)
async def test_a_slot_that_nobody_may_write_to_waits_for_the_map(
    links: Links, owner: Coreapp, before: ShardMap
) -> None:
    call = submit(links)
    await connect(links, owner)
    links.set_map(before)
    assert not call.done()
    links.set_map(owned_by(OWNER, 8))
    await call
    assert (await owner.came.get()).epoch == 8


async def test_a_refused_message_is_offered_to_the_next_owner_under_the_same_id(
    linked: Links, owner: Coreapp
) -> None:
    owner.answer = wire.NOT_OWNER
    call = submit(linked)
    assert (await owner.came.get()).epoch == 7
    owner.answer = wire.ACKED
    linked.set_map(owned_by(OWNER, 8))
    await call
    assert (await owner.came.get()).id == an_id()


async def test_too_late_says_whether_the_outcome_is_known(owner: Coreapp) -> None:
    async with webapp(hold=0.05) as links:
        with pytest.raises(NotReady, match="not accepted"):
            await submit(links)
        await connect(links, owner)
        owner.answer = SILENT
        links.set_map(owned_by(OWNER))
        links.hold = 1.0
        with pytest.raises(NotReady, match="outcome unknown for message AQU"):
            await submit(links)


async def test_held_messages_are_bounded(links: Links, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pending, "MAX_HELD", 2)
    calls = [submit(links, n) for n in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await submit(links, 2)
    await cancelled(calls)
    assert links.pending == 0


async def test_an_owner_that_is_full_says_so(linked: Links, owner: Coreapp) -> None:
    owner.answer = wire.OVERLOADED
    with pytest.raises(Overloaded, match="queue is full"):
        await submit(linked)


async def test_a_lost_link_offers_again(linked: Links, owner: Coreapp) -> None:
    owner.answer = SILENT
    call = submit(linked)
    await owner.came.get()
    owner.answer = wire.ACKED
    owner.cut_off()
    await call
    assert (await owner.came.get()).id == an_id()


async def test_a_coreapp_that_ends_its_link_may_be_dead_and_is_told_of(owner: Coreapp) -> None:
    gone = asyncio.Event()
    async with webapp(on_gone=gone.set) as links:
        await connect(links, owner)
        links.set_map(owned_by(OWNER))
        await submit(links)
        assert not gone.is_set()
        await owner.server.stop()
        async with asyncio.timeout(PATIENCE):
            await gone.wait()


async def test_a_coreapp_that_was_let_go_is_not_reported(linked: Links) -> None:
    await submit(linked)
    linked.set_addresses({})
    await soon(lambda: linked.connected == 0)
    assert linked.unreached() == []
    await asyncio.sleep(client.PATIENCE_SECONDS)  # what counts as down counts from then on
    assert linked.unreached() == []


async def test_an_id_that_is_answered_twice_at_once_ends_its_wait_once(
    linked: Links, owner: Coreapp
) -> None:
    owner.ids = [an_id(), an_id()]
    await submit(linked)
    before = owner.webapp
    owner.ids = []
    await submit(linked)  # the link still stands
    assert owner.webapp is before


async def test_with_another_key_nothing_passes(links: Links, owner: Coreapp) -> None:
    await connect(links, owner, link_key=b"x" * 32)
    links.set_map(owned_by(OWNER))
    links.hold = 0.3
    with pytest.raises(NotReady, match="not accepted"):
        await submit(links)
    assert owner.came.empty()


class Stranger:
    """A connection to an owner, whose hello is ``theirs``."""

    def __init__(self, owner: Coreapp) -> None:
        self.key = owner.key
        self.owner = owner

    async def come(self) -> None:
        await self.owner.start()
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.owner.port)
        self.theirs = (await self.reader.readexactly(4 + wire.HELLO_SIZE))[4:]

    def speak(self, lowest: int, highest: int) -> bytes:
        """Prove that the key is known, and name these versions; the own hello."""
        mine = bytes((lowest, highest)) + bytes(wire.NONCE_SIZE)
        proof = wire.proof(self.key, b"client", self.theirs, mine)
        self.writer.write(_batch.pack([mine + proof]))
        return mine


@pytest_asyncio.fixture
async def stranger(owner: Coreapp) -> AsyncIterator[Stranger]:
    stranger = Stranger(owner)
    yield stranger
    stranger.writer.close()


@pytest.mark.parametrize(
    "sent",
    [
        b"\xff\xff\xff\xff",  # a length of 4 GiB
        _batch.pack([b"GET / HTTP/1.1"]),
        _batch.pack([bytes(wire.HELLO_SIZE + wire.PROOF_SIZE)]),
    ],
    ids=["length", "http", "zeros"],
)
async def test_a_stranger_is_cut_off(owner: Coreapp, stranger: Stranger, sent: bytes) -> None:
    await stranger.come()
    stranger.writer.write(sent)
    try:
        async with asyncio.timeout(PATIENCE):
            assert await stranger.reader.read() == b""
    except ConnectionResetError:
        pass
    assert owner.came.empty()


NEXT = max(wire.FRAMES) + 1


def next_message(*given: Any) -> bytes:
    """A message frame as a next version might have it: one byte more."""
    return b"\x07" + wire.message(*given)


def parse_next(frame: memoryview) -> wire.Message | wire.Outcome:
    return wire.parse(frame[1:] if frame[0] == 7 else frame)


def next_frames(parse: Any) -> wire.Frames:
    return wire.Frames(next_message, wire.outcome, parse, partial(read_each, parse))


async def test_the_frames_are_those_of_the_highest_common_version(
    links: Links, owner: Coreapp, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def parse(frame: memoryview) -> wire.Message | wire.Outcome:
        seen.append(frame[0])
        return parse_next(frame)

    monkeypatch.setitem(wire.FRAMES, NEXT, next_frames(parse))
    await connect(links, owner)
    links.set_map(owned_by(OWNER))
    await submit(links)
    assert (await owner.came.get()).id == an_id()
    assert seen == [7, wire.OUTCOME]


async def test_an_older_webapp_is_answered_in_its_own_version(
    owner: Coreapp, stranger: Stranger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(wire.FRAMES, NEXT, next_frames(parse_next))
    await stranger.come()
    assert stranger.theirs[:2] == bytes((NEXT - 1, NEXT))
    mine = stranger.speak(NEXT - 1, NEXT - 1)
    await stranger.reader.readexactly(4 + wire.PROOF_SIZE)
    sealer = wire.Sealer(wire.session_key(owner.key, stranger.theirs, mine), 0)
    frame = wire.message(5, 7, an_id(), 0, "4915112345678", b"{}")
    stranger.writer.write(sealer.seal([frame]))
    assert (await owner.came.get()).id == an_id()


async def test_a_webapp_without_a_common_version_is_refused_and_told_of(
    stranger: Stranger, caplog: pytest.LogCaptureFixture
) -> None:
    await stranger.come()
    stranger.speak(NEXT, NEXT + 1)
    assert await stranger.reader.read() == b""
    assert [r.error for r in caplog.records] == [
        f"this side speaks link versions {NEXT - 1} to {NEXT - 1}, the other side"
        f" {NEXT} to {NEXT + 1}: restart this side with a build that shares a version"
        " with the other"
    ]


async def test_a_coreapp_without_a_common_version_is_told_why_and_tried_again_slowly(
    links: Links, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "REFUSED_SECONDS", 0.2)
    loop, key = asyncio.get_running_loop(), bytes(32)
    heard: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
    theirs = bytes((NEXT, NEXT + 1)) + bytes(wire.NONCE_SIZE)

    async def newer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(_batch.pack([theirs]))
        heard.put_nowait((loop.time(), await reader.read()))  # until the webapp has closed
        writer.close()

    server = await asyncio.start_server(newer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    links.set_addresses({OWNER: LinkAddress(OWNER, "coreapp-1", "127.0.0.1", port, key, None)})
    first, answer = await heard.get()
    mine = answer[4 : 4 + wire.HELLO_SIZE]
    assert mine[:2] == bytes((NEXT - 1, NEXT - 1))
    assert answer[4 + wire.HELLO_SIZE :] == wire.proof(key, b"client", theirs, mine)
    second, _ = await heard.get()
    assert second - first >= 0.2
    record = caplog.records[0]
    assert record.coreapp == "coreapp-1"
    assert f"the other side {NEXT} to {NEXT + 1}: restart this side" in record.error
    server.close()


async def test_links_between_hosts_are_pinned_to_the_certificate(
    links: Links, owner: Coreapp
) -> None:
    right = await owner.start(host="core.example")
    wrong = right._replace(incarnation=OTHER, fingerprint="0" * 64)
    links.set_addresses({OWNER: right, OTHER: wrong})
    links.set_map(owned_by(OWNER))
    await submit(links)
    assert (await owner.came.get()).epoch == 7
    links.set_map(owned_by(OTHER, 8))
    call = submit(links)
    done, _ = await asyncio.wait({call}, timeout=0.3)
    assert not done
    call.cancel()


def test_only_loopback_is_this_host() -> None:
    hosts = ("127.0.0.1", "localhost", "10.0.0.5", socket.gethostname() + ".example")
    assert [is_loopback(host) for host in hosts] == [True, True, False, False]


async def test_more_than_an_envelope_holds_is_offered_in_parts(
    links: Links, owner: Coreapp
) -> None:
    """After a failover everything that was held goes out in one turn of the loop."""
    calls = [submit(links, n, b"x" * 60_000) for n in range(300)]
    await connect(links, owner)
    links.set_map(owned_by(OWNER))
    await asyncio.gather(*calls)
    assert owner.came.qsize() == 300


async def test_one_that_does_not_take_its_outcome_takes_away_nobody_else_s(
    linked: Links, owner: Coreapp, caplog: pytest.LogCaptureFixture
) -> None:
    owner.answer = SILENT
    heard: list[object] = []

    def broken(outcome: object) -> None:
        raise KeyError(outcome)

    for n, done in enumerate((broken, heard.append, broken, heard.append)):
        linked.offer(outgoing(n), done)
    for _ in range(4):
        await owner.came.get()
    for outcome, numbers in ((wire.ACKED, (0, 1)), (wire.REFUSED, (2, 3))):
        owner.webapp.send(wire.outcome(outcome, 5, 7, [*map(an_id, numbers)]))
    await soon(lambda: len(heard) == 2)
    assert (linked.pending, linked.pending_bytes, linked.connected) == (0, 0, 1)
    assert [r.message for r in caplog.records].count("outcome handler failed") == 2


async def test_a_frame_that_is_not_handled_ends_its_link_alone(
    linked: Links, owner: Coreapp, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waited on it is offered again on the next."""
    faults = [KeyError("ours")]
    handle = owner.on_message

    def once(webapp: WebappConnection, message: wire.Message) -> None:
        if faults:
            raise faults.pop()
        handle(webapp, message)

    monkeypatch.setattr(owner, "on_message", once)
    assert await submit(linked) == an_id()
    assert "link closed: frame handler failed" in [r.message for r in caplog.records]


async def test_a_message_that_fits_no_frame_holds_up_nobody(links: Links, owner: Coreapp) -> None:
    """They wait for the map, and are offered together once it is there."""
    ended: list[object] = []
    links.offer(wire.Outgoing(5, bytes(20), "4" * 256, 0, b"{}"), ended.append)
    waiting = submit(links)
    await connect(links, owner)
    links.set_map(owned_by(OWNER))
    assert await waiting == an_id()
    assert [type(outcome) for outcome in ended] == [ApiError]
    assert (links.pending, links.pending_bytes) == (0, 0)
