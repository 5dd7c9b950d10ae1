"""What the compiled way of a plain message does with it: held, offered, answered, as by Links.

The first request of a client is read by ``FastPath.take``; those behind it have a known head.
"""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from tests.harness.front import TOKENS, Front, plain
from tests.harness.twice import Wire
from warouter.api.access.caller import Caller, Realm
from warouter.api.access.tokens import Entry
from warouter.api.messages._plain import Known
from warouter.api.messages.fastpath import FastPath
from warouter.http.connection import Connection
from warouter.http.door import FrontDoor
from warouter.link import pending, wire
from warouter.link.pending import LEAST_WEIGHT


async def turns() -> None:
    for _ in range(12):
        await asyncio.sleep(0)


class Scene:
    """A front door without aiohttp's part, and the owner of all slots behind it."""

    def __init__(self) -> None:
        self.front = Front()
        self.owner = self.front.owner
        self.links = self.owner.links
        self.connections = FrontDoor(self.front.server, None, self.front.fast)

    async def client(self, *reads: bytes) -> tuple[Connection, Wire]:
        connection, transport = self.connections.enter(""), Wire()
        assert connection is not None
        connection.connection_made(transport)
        for read in reads:
            connection.data_received(read)
            await turns()
        return connection, transport

    async def known(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """From here on only requests whose head has come before are taken."""
        _, transport = await self.client(plain("user", 1).raw)
        assert statuses(transport) == [201]
        monkeypatch.setattr(FastPath, "take", lambda *_: False)

    @property
    def weights(self) -> list[int]:
        return [weight for weight in self.links.held.weights if weight]


def statuses(transport: Wire) -> list[int]:
    return [int(part[:3]) for part in transport.written.split(b"HTTP/1.1 ")[1:]]


async def test_a_message_goes_with_the_number_of_its_caller(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Read by Python first, and behind it by its known head."""
    scene = Scene()
    tokens = scene.front.tokens._entries
    for known, (caller, ends) in list(tokens.items()):
        tokens[known] = Entry(msgspec.structs.replace(caller, number=70_000), ends)
    scene.front.gate.clear()
    for mark in (1, 2):
        await scene.client(plain("user", mark).raw)
        monkeypatch.setattr(FastPath, "take", lambda *_: False)
    frames = [wire.parse(memoryview(entry.frame)) for entry in scene.links.held]
    assert [frame.number for frame in frames if isinstance(frame, wire.Message)] == [70_000] * 2
    scene.front.release()
    await turns()


async def test_a_plain_message_is_held_until_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene()
    await scene.known(monkeypatch)
    scene.front.gate.clear()
    size = len(plain("user", 2).raw.partition(b"\r\n\r\n")[2])
    clients = [await scene.client(plain("user", mark).raw) for mark in (2, 3)]
    assert scene.weights == [2 * (size + LEAST_WEIGHT), 2 * size]
    assert (scene.links.pending, scene.links.pending_bytes) == (2, 2 * size)
    assert scene.front.fast._plain.under_way == 2
    scene.front.release()
    await turns()
    assert [statuses(transport) for _, transport in clients] == [[201], [201]]
    assert scene.weights == []
    assert scene.links.pending == scene.front.fast._plain.under_way == 0


async def test_a_plain_message_follows_its_slot_to_the_next_owner(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = Scene()
    await scene.known(monkeypatch)
    scene.front.gate.clear()
    await scene.client(plain("user", 2).raw)
    first = scene.owner.sent[-1]
    scene.owner.own(7)
    assert scene.owner.sent[-1] == wire.under(7, first) != first
    (entry,) = scene.links.held
    assert (entry.epoch, entry.via, entry.offers) == (7, scene.owner.address.incarnation, 2)
    scene.links.end_waiting()
    await turns()


async def test_a_plain_message_waits_for_an_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene()
    await scene.known(monkeypatch)
    scene.owner.own(8, all_of_them=False)
    sent = len(scene.owner.sent)
    _, transport = await scene.client(plain("user", 2).raw)
    (entry,) = scene.links.held
    assert (entry.refused, entry.offers, len(scene.owner.sent)) == (True, 0, sent)
    scene.owner.own(9)
    await turns()
    assert statuses(transport) == [201]
    _, transport = await scene.client(plain("user", 3).raw)
    assert statuses(transport) == [201]
    assert len(scene.owner.sent) == sent + 2
    assert [run.mark for run in scene.front.runs] == [1, 2, 3]


async def test_held_messages_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pending, "MAX_HELD", 2)
    scene = Scene()
    await scene.known(monkeypatch)
    scene.front.gate.clear()
    clients = [await scene.client(plain("user", mark).raw) for mark in (2, 3, 4)]
    assert [statuses(transport) for _, transport in clients] == [[], [], [503]]
    assert scene.links.pending == 2


@pytest.mark.parametrize("bound", ["MAX_HELD_BYTES", "MAX_HELD"])
async def test_from_half_on_links_are_asked(bound: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pending, bound, 2)
    scene = Scene()
    asked = []
    monkeypatch.setattr(scene.links, "check", lambda slot, size: asked.append(size))
    await scene.known(monkeypatch)
    asked.clear()
    scene.front.gate.clear()
    for mark in (2, 3):
        await scene.client(plain("user", mark).raw)
    assert len(asked) == (2 if bound == "MAX_HELD_BYTES" else 1)


async def test_a_token_that_has_gone_is_not_known_by_anybody_s_last_head() -> None:
    """The head came in two pieces meanwhile, and was read and kept anew."""
    scene = Scene()
    request = plain("user", 1).raw
    one, transport = await scene.client(request, request)
    await scene.client(request[:50], request[50:])
    assert statuses(transport) == [201, 201]
    scene.front.forget("user")
    await scene.client(plain("admin", 2).raw)  # what is kept is of the new generation now
    runs = len(scene.front.runs)
    one.data_received(request)
    await turns()
    assert [run.who for run in scene.front.runs[runs:]] == ["user"]
    assert scene.front.fast._plain.taken == 4  # aiohttp ran that one


async def test_no_head_is_kept_with_a_token_that_has_gone() -> None:
    scene = Scene()
    await scene.client(plain("user", 1).raw)
    (known,) = scene.front.fast.heads.values()
    assert TOKENS["user"].encode() in known.head
    scene.front.forget("user")
    await scene.client(plain("user", 1).raw)
    assert known.head == b""
    assert scene.front.fast.heads == {}


def head(realm: Realm, n: int) -> Known:
    """A head of a caller of this number, who is known for good."""
    caller = Caller("user", "ROLE_USER", number=realm.number)
    return Known(b"%d: %d" % (realm.number, n), 1, caller, float("inf"), realm, realm.generation)


async def test_a_revocation_empties_the_heads_of_its_number_alone() -> None:
    plain, ours, others = Scene().front.fast._plain, Realm(1), Realm(2)
    kept, gone = head(others, 1), head(ours, 1)
    for known in (kept, gone):
        plain.remember(known, 8)
    ours.generation += 1
    new = head(ours, 2)
    plain.remember(new, 8)
    assert list(plain.heads.values()) == [kept, new]
    assert (gone.head, kept.head) == (b"", b"2: 1")


async def test_with_too_many_heads_the_oldest_quarter_goes() -> None:
    plain, realm = Scene().front.fast._plain, Realm(1)
    heads = [head(realm, n) for n in range(9)]
    for known in heads:
        plain.remember(known, 8)
    assert list(plain.heads.values()) == heads[2:]
    assert [known.head for known in heads[:2]] == [b"", b""]


async def test_a_connection_that_has_ended_is_let_go() -> None:
    scene = Scene()
    connection, _ = await scene.client(plain("user", 1).raw)
    connection.connection_lost(None)
    assert "data_received" not in vars(connection)
