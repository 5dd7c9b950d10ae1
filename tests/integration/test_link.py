"""Webapp and coreapp ends of the link over real sockets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from tests.harness.wait import soon
from warouter import _batch
from warouter.cluster.shardmap import ShardMap, SlotOwner
from warouter.errors import ApiError, NotReady, Overloaded
from warouter.link import client, pending, wire
from warouter.link.address import Address
from warouter.link.client import Links
from warouter.link.listen import LinkServer, WebappConnection
from warouter.tls import link as tls

KEY = b"k" * 32
OWNER, HEIR = uuid4(), uuid4()
MESSAGE_ID = bytes((1, 5)) + bytes(18)


class Owner:
    """A coreapp's link server that answers as it is told and remembers what came."""

    def __init__(self) -> None:
        self.answer = wire.ACKED
        self.came: asyncio.Queue[wire.Message] = asyncio.Queue()
        self.server = LinkServer(KEY, self)

    def on_message(self, webapp: WebappConnection, message: wire.Message) -> None:
        self.came.put_nowait(message)
        if self.answer >= 0:
            webapp.send(wire.outcome(self.answer, message.slot, message.epoch, [message.id]))


def owned_by(owner: object, epoch: int) -> ShardMap:
    return ShardMap(1, 1, tuple(SlotOwner(n, epoch, owner) for n in range(32)))


@pytest_asyncio.fixture
async def owner() -> AsyncIterator[Owner]:
    owner = Owner()
    yield owner
    await owner.server.stop()


@pytest_asyncio.fixture
async def links() -> AsyncIterator[Links]:
    links = Links(hold=5.0, on_doubt=lambda: None)
    sweeper = asyncio.create_task(links.sweep())
    yield links
    sweeper.cancel()
    await links.close()


async def connect(links: Links, owner: Owner, incarnation: object = OWNER, **more: object) -> None:
    port = await owner.server.start("127.0.0.1", 0)
    address = Address(incarnation, "coreapp-1", "127.0.0.1", port, KEY, None)
    links.set_addresses({incarnation: address._replace(**more)})


def submit(links: Links, body: bytes = b'{"to":"1"}') -> asyncio.Task[bytes]:
    return asyncio.ensure_future(
        links.submit(wire.Outgoing(5, MESSAGE_ID, "4915112345678", 0, body))
    )


async def test_a_message_arrives_as_it_is_and_its_ack_ends_the_wait(
    links: Links, owner: Owner
) -> None:
    await connect(links, owner)
    links.set_map(owned_by(OWNER, 7))
    await submit(links)
    message = await owner.came.get()
    assert message == wire.Message(5, 7, MESSAGE_ID, 0, "4915112345678", memoryview(b'{"to":"1"}'))
    assert links.pending == 0


async def test_what_nobody_owns_waits_for_the_map(links: Links, owner: Owner) -> None:
    call = submit(links)
    await connect(links, owner)
    links.set_map(owned_by(None, 7))
    assert not call.done()
    links.set_map(owned_by(OWNER, 8))
    await call
    assert (await owner.came.get()).epoch == 8


async def test_a_refused_message_is_offered_to_the_next_owner_under_the_same_id(
    links: Links, owner: Owner
) -> None:
    await connect(links, owner)
    owner.answer = wire.NOT_OWNER
    links.set_map(owned_by(OWNER, 7))
    call = submit(links)
    assert (await owner.came.get()).epoch == 7
    owner.answer = wire.ACKED
    links.set_map(owned_by(OWNER, 8))
    await call
    assert (await owner.came.get()).id == MESSAGE_ID


async def test_a_slot_on_its_way_takes_nothing(links: Links, owner: Owner) -> None:
    await connect(links, owner)
    moving = ShardMap(1, 1, tuple(SlotOwner(n, 7, OWNER, HEIR) for n in range(32)))
    links.set_map(moving)
    call = submit(links)
    links.set_map(owned_by(OWNER, 8))
    await call
    assert (await owner.came.get()).epoch == 8


async def test_too_late_says_whether_the_outcome_is_known(owner: Owner) -> None:
    links = Links(hold=0.05, on_doubt=lambda: None)
    sweeper = asyncio.create_task(links.sweep())
    with pytest.raises(NotReady, match="not accepted"):
        await submit(links)
    await connect(links, owner)
    owner.answer = -1  # says nothing
    links.set_map(owned_by(OWNER, 7))
    links._hold = 1.0
    with pytest.raises(NotReady, match="outcome unknown for message AQU"):
        await submit(links)
    sweeper.cancel()
    await links.close()


async def test_what_is_held_is_bounded(links: Links, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pending, "MAX_HELD", 2)
    calls = [
        asyncio.ensure_future(links.submit(wire.Outgoing(5, bytes([n]), "1", 0, b"")))
        for n in range(2)
    ]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await links.submit(wire.Outgoing(5, b"3", "1", 0, b""))
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    assert links.pending == 0


async def test_an_owner_that_is_full_says_so(links: Links, owner: Owner) -> None:
    await connect(links, owner)
    owner.answer = wire.OVERLOADED
    links.set_map(owned_by(OWNER, 7))
    with pytest.raises(Overloaded, match="queue is full"):
        await submit(links)


async def test_a_lost_link_offers_again(links: Links, owner: Owner) -> None:
    await connect(links, owner)
    owner.answer = -1
    links.set_map(owned_by(OWNER, 7))
    call = submit(links)
    await owner.came.get()
    owner.answer = wire.ACKED
    for connection in list(owner.server._connections):
        connection.abort()
    await call
    assert (await owner.came.get()).id == MESSAGE_ID


async def test_a_coreapp_that_ends_its_link_may_be_dead_and_is_told_of(owner: Owner) -> None:
    gone = asyncio.Event()
    links = Links(hold=5.0, on_doubt=lambda: None, on_gone=gone.set)
    await connect(links, owner)
    links.set_map(owned_by(OWNER, 7))
    await submit(links)
    assert not gone.is_set()
    await owner.server.stop()
    async with asyncio.timeout(5):
        await gone.wait()
    await links.close()


async def test_a_coreapp_that_was_let_go_is_not_reported(links: Links, owner: Owner) -> None:
    await connect(links, owner)
    links.set_map(owned_by(OWNER, 7))
    await submit(links)
    links.set_addresses({})
    await soon(lambda: links.connected == 0)
    assert links.unreached() == []
    await asyncio.sleep(client.PATIENCE_SECONDS)  # what counts as down counts from then on
    assert links.unreached() == []


async def test_an_id_that_is_answered_twice_at_once_ends_its_wait_once(
    links: Links, owner: Owner
) -> None:
    await connect(links, owner)
    owner.answer = -1
    links.set_map(owned_by(OWNER, 7))
    call = submit(links)
    await owner.came.get()
    (webapp,) = owner.server._connections
    webapp.send(wire.outcome(wire.ACKED, 5, 7, [MESSAGE_ID, MESSAGE_ID]))
    await call
    owner.answer = wire.ACKED
    await submit(links)  # the link still stands
    assert list(owner.server._connections) == [webapp]


async def test_with_another_key_nothing_passes(links: Links, owner: Owner) -> None:
    await connect(links, owner, link_key=b"x" * 32)
    links.set_map(owned_by(OWNER, 7))
    links._hold = 0.3
    with pytest.raises(NotReady, match="not accepted"):
        await submit(links)
    assert owner.came.empty()


@pytest.mark.parametrize(
    "sent",
    [
        b"\xff\xff\xff\xff",  # a length of 4 GiB
        _batch.pack([b"GET / HTTP/1.1"]),
        _batch.pack([bytes(wire.HELLO_SIZE + wire.PROOF_SIZE)]),
    ],
    ids=["length", "http", "zeros"],
)
async def test_a_stranger_is_cut_off(owner: Owner, sent: bytes) -> None:
    port = await owner.server.start("127.0.0.1", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await reader.readexactly(4 + wire.HELLO_SIZE)
    writer.write(sent)
    try:
        async with asyncio.timeout(5):
            assert await reader.read() == b""
    except ConnectionResetError:
        pass
    writer.close()
    assert owner.came.empty()


NEXT = max(wire.FRAMES) + 1


def next_message(*fields: Any) -> bytes:
    """A message frame as a next version might have it: one byte more."""
    return b"\x07" + wire.message(*fields)


def parse_next(frame: memoryview) -> wire.Message | wire.Outcome:
    return wire.parse(frame[1:] if frame[0] == 7 else frame)


async def test_the_frames_are_those_of_the_highest_common_version(
    links: Links, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def parse(frame: memoryview) -> wire.Message | wire.Outcome:
        seen.append(frame[0])
        return parse_next(frame)

    monkeypatch.setitem(wire.FRAMES, NEXT, wire.Frames(next_message, wire.outcome, parse))
    await connect(links, owner)
    links.set_map(owned_by(OWNER, 7))
    await submit(links)
    assert (await owner.came.get()).id == MESSAGE_ID
    assert seen == [7, wire.OUTCOME]


async def test_an_older_webapp_is_answered_in_its_own_version(
    owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = bytes((1, 1)) + bytes(wire.NONCE_SIZE)
    monkeypatch.setitem(wire.FRAMES, NEXT, wire.Frames(next_message, wire.outcome, parse_next))
    reader, writer, theirs = await greeted(owner)
    assert theirs[:2] == bytes((1, NEXT))
    writer.write(_batch.pack([mine + wire.proof(KEY, b"client", theirs, mine)]))
    await reader.readexactly(4 + wire.PROOF_SIZE)
    sealer = wire.Sealer(wire.session_key(KEY, theirs, mine), 0)
    writer.write(sealer.seal([wire.message_1(5, 7, MESSAGE_ID, 0, "4915112345678", b"{}")]))
    assert (await owner.came.get()).id == MESSAGE_ID
    writer.close()


async def test_a_webapp_without_a_common_version_is_refused_and_told_of(
    owner: Owner, caplog: pytest.LogCaptureFixture
) -> None:
    mine = bytes((NEXT, NEXT + 1)) + bytes(wire.NONCE_SIZE)
    reader, writer, theirs = await greeted(owner)
    writer.write(_batch.pack([mine + wire.proof(KEY, b"client", theirs, mine)]))
    assert await reader.read() == b""
    writer.close()
    assert [r.error for r in caplog.records] == [
        f"this side speaks link versions 1 to {NEXT - 1}, the other side {NEXT} to {NEXT + 1}:"
        " restart this side with a build that shares a version with the other"
    ]


async def test_a_coreapp_without_a_common_version_is_told_why_and_tried_again_slowly(
    links: Links, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "REFUSED_SECONDS", 0.2)
    loop = asyncio.get_running_loop()
    heard: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
    theirs = bytes((NEXT, NEXT + 1)) + bytes(wire.NONCE_SIZE)

    async def newer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(_batch.pack([theirs]))
        heard.put_nowait((loop.time(), await reader.read()))  # until the webapp has closed
        writer.close()

    server = await asyncio.start_server(newer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    links.set_addresses({OWNER: Address(OWNER, "coreapp-1", "127.0.0.1", port, KEY, None)})
    first, answer = await heard.get()
    mine = answer[4 : 4 + wire.HELLO_SIZE]
    assert mine[:2] == bytes((1, NEXT - 1))
    assert answer[4 + wire.HELLO_SIZE :] == wire.proof(KEY, b"client", theirs, mine)
    second, _ = await heard.get()
    assert second - first >= 0.2
    record = caplog.records[0]
    assert record.coreapp == "coreapp-1"
    assert f"the other side {NEXT} to {NEXT + 1}: restart this side" in record.error
    server.close()


async def greeted(
    owner: Owner,
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, bytes]:
    """A connection to the owner, and its hello."""
    port = await owner.server.start("127.0.0.1", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    return reader, writer, (await reader.readexactly(4 + wire.HELLO_SIZE))[4:]


async def test_links_between_hosts_are_pinned_to_the_certificate(
    links: Links, owner: Owner
) -> None:
    context, fingerprint = tls.server_context("core.example")
    port = await owner.server.start("127.0.0.1", 0, context)
    right = Address(OWNER, "c", "127.0.0.1", port, KEY, fingerprint)
    wrong = Address(HEIR, "c", "127.0.0.1", port, KEY, "0" * 64)
    links.set_addresses({OWNER: right, HEIR: wrong})
    links.set_map(owned_by(OWNER, 7))
    await submit(links)
    assert (await owner.came.get()).epoch == 7
    links.set_map(owned_by(HEIR, 8))
    call = submit(links)
    done, _ = await asyncio.wait({call}, timeout=0.3)
    assert not done
    call.cancel()


def test_only_loopback_is_this_host() -> None:
    assert tls.on_this_host("127.0.0.1")
    assert tls.on_this_host("localhost")
    assert not tls.on_this_host("10.0.0.5")
    assert not tls.on_this_host(socket.gethostname() + ".example")


async def test_more_than_an_envelope_holds_is_offered_in_parts(links: Links, owner: Owner) -> None:
    """After a failover everything that was held goes out in one turn of the loop."""
    body = b"x" * 60_000
    calls = [
        asyncio.ensure_future(
            links.submit(
                wire.Outgoing(5, bytes((1, 5)) + n.to_bytes(18, "big"), "4915112345678", 0, body)
            )
        )
        for n in range(300)
    ]
    await connect(links, owner)
    links.set_map(owned_by(OWNER, 7))
    await asyncio.gather(*calls)
    assert owner.came.qsize() == 300


async def test_one_that_does_not_take_its_outcome_takes_away_nobody_else_s(
    links: Links, owner: Owner, caplog: pytest.LogCaptureFixture
) -> None:
    owner.answer = -1
    await connect(links, owner)
    links.set_map(owned_by(OWNER, 7))
    heard: list[object] = []

    def broken(outcome: object) -> None:
        raise KeyError(outcome)

    ids = [bytes((1, 5)) + n.to_bytes(18, "big") for n in range(4)]
    for message_id, done in zip(ids, (broken, heard.append, broken, heard.append), strict=True):
        links.offer(wire.Outgoing(5, message_id, "4915112345678", 0, b"{}"), done)
    for _ in ids:
        await owner.came.get()
    (webapp,) = owner.server._connections
    webapp.send(wire.outcome(wire.ACKED, 5, 7, ids[:2]))
    webapp.send(wire.outcome(wire.REFUSED, 5, 7, ids[2:]))
    await soon(lambda: len(heard) == 2)
    assert (links.pending, links.pending_bytes, links.connected) == (0, 0, 1)
    assert [r.message for r in caplog.records].count("outcome handler failed") == 2


async def test_a_frame_that_is_not_handled_ends_its_link_alone(
    links: Links,
    owner: Owner,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What waited on it is offered again on the next."""
    await connect(links, owner)
    links.set_map(owned_by(OWNER, 7))
    faults = [KeyError("ours")]
    handle = owner.on_message

    def once(webapp: WebappConnection, message: wire.Message) -> None:
        if faults:
            raise faults.pop()
        handle(webapp, message)

    monkeypatch.setattr(owner, "on_message", once)
    assert await submit(links) == MESSAGE_ID
    assert "link closed: frame handler failed" in [r.message for r in caplog.records]


async def test_a_message_that_fits_no_frame_holds_up_nobody(links: Links, owner: Owner) -> None:
    """They wait for the map, and are offered together once it is there."""
    ended: list[object] = []
    links.offer(wire.Outgoing(5, bytes(20), "4" * 256, 0, b"{}"), ended.append)
    waiting = submit(links)
    await connect(links, owner)
    links.set_map(owned_by(OWNER, 7))
    assert await waiting == MESSAGE_ID
    assert [type(outcome) for outcome in ended] == [ApiError]
    assert (links.pending, links.pending_bytes) == (0, 0)
