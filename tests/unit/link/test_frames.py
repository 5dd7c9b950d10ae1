"""A message from the read to the columns and acks: the compiled code beside its readable twin."""

from __future__ import annotations

import gc
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.harness import reference
from tests.harness.linked import fields
from warouter import _batch
from warouter.errors import FrameTooLarge, ProtocolError
from warouter.link import wire
from warouter.link._frames import admit, columns, landed, read
from warouter.link.wire import Gate, Message

KEY = b"k" * 32
OVERHEAD = 4 + wire.MAC_SIZE

hashes = st.binary(min_size=32, max_size=32)
made = st.tuples(
    st.integers(0, 31),
    st.integers(0, 3) | st.integers(0, 2**64 - 1),
    st.binary(min_size=20, max_size=20),
    st.sampled_from([0, 0, 0, 1, 58, 255]),
    st.text("0123456789", max_size=20) | st.text(st.characters(max_codepoint=127), max_size=255),
    st.binary(max_size=60),
    st.none() | st.integers(1, 2**32 - 1),
    st.none() | st.tuples(hashes, hashes),
    st.sampled_from([1, 1, 1, 2]) | st.integers(1, 2**31 - 1),
)
plain = made.map(lambda given: (*given[:6], None, None, 1))
whole = (made | plain).map(lambda given: wire.message(*given))
others = st.sampled_from([wire.PING, wire.PONG, b"", wire.outcome(0, 0, 1, [bytes(20)])])
# Like a message, but for its length, its slot, or a byte anywhere.
odd = (
    st.binary(max_size=120)
    | st.builds(lambda frame, size: frame[:size], whole, st.integers(0, 120))
    | st.builds(lambda tail: bytes([wire.MESSAGE]) + tail, st.binary(max_size=120))
    | st.builds(
        lambda frame, slot: frame[:1] + bytes([slot]) + frame[2:],
        *(whole, st.sampled_from([31, 32, 255])),
    )
    | st.builds(
        lambda frame, at, byte: frame[: at % len(frame)] + byte + frame[at % len(frame) + 1 :],
        *(whole, st.integers(0, 120), st.binary(min_size=1, max_size=1)),
    )
)
frames = st.lists(whole | others, max_size=8)


def told(found: tuple[list[Message], list[memoryview]]) -> tuple[list[Any], list[bytes]]:
    messages, rest = found
    return [fields(message) for message in messages], [bytes(frame) for frame in rest]


@given(frames)
def test_an_envelope_is_read_as_the_twin_reads_it(payloads: list[bytes]) -> None:
    packed = reference.pack(payloads)
    assert told(read(packed)) == reference.read(packed)
    assert told(read(memoryview(bytearray(packed)))) == reference.read(packed)


@given(st.lists(whole | others | odd, max_size=4), st.binary(max_size=6))
def test_malformed_frames_are_refused_as_by_the_twin(payloads: list[bytes], more: bytes) -> None:
    packed = reference.pack(payloads) + more
    wanted = reference.read(packed)
    if wanted is None:
        with pytest.raises(ProtocolError):
            read(packed)
    else:
        assert told(read(packed)) == wanted


@given(whole | odd)
def test_a_frame_alone_is_read_as_one_of_many(frame: bytes) -> None:
    frame = bytes([wire.MESSAGE]) + frame[1:]
    wanted = reference.message(frame)
    if wanted is None:
        with pytest.raises(ProtocolError):
            wire.parse(memoryview(frame))
    else:
        parsed = wire.parse(memoryview(frame))
        assert isinstance(parsed, Message)
        assert fields(parsed) == wanted


class Ends(wire.Opener):
    """A link's end without sockets: it is fed as the loop feeds it."""

    def __init__(self, limit: int = wire.MAX_ENVELOPE) -> None:
        super().__init__(KEY, 0)
        self._splitter = _batch.Splitter(limit)
        self.messages: list[Any] = []

    def feed(self, data: bytes) -> None:
        for envelope in self._splitter.feed(data):
            self.messages += [fields(m) for m in wire.NEWEST.read(self.open(envelope))[0]]


@given(st.lists(st.lists(made, min_size=1, max_size=3), min_size=1, max_size=3), st.data())
def test_any_fall_of_the_reads_gives_the_same_messages(
    turns: list[list[Any]], data: st.DataObject
) -> None:
    sealer, end = wire.Sealer(KEY, 0), Ends()
    stream = b"".join(sealer.seal([wire.message(*given) for given in turn]) for turn in turns)
    places = sorted(data.draw(st.lists(st.integers(0, len(stream)))))
    for start, stop in pairwise([0, *places, len(stream)]):
        end.feed(stream[start:stop])
    assert end.messages == [given for turn in turns for given in turn]


def test_a_read_that_ends_at_any_byte() -> None:
    given = (5, 7, bytes(range(20)), 0, "4915112345678", b'{"to":"1"}', None, None, 1)
    sealer = wire.Sealer(KEY, 0)
    stream = sealer.seal([wire.message(*given)] * 2) + sealer.seal([wire.message(*given)])
    for place in range(len(stream) + 1):
        end = Ends()
        end.feed(stream[:place])
        end.feed(stream[place:])
        assert end.messages == [given] * 3


@given(st.lists(made, min_size=1, max_size=3), st.data())
def test_of_an_envelope_with_one_changed_bit_nothing_is_read(
    turn: list[Any], data: st.DataObject
) -> None:
    sealed = bytearray(wire.Sealer(KEY, 0).seal([wire.message(*given) for given in turn]))
    bit = data.draw(st.integers(4 * 8, len(sealed) * 8 - 1))  # behind the length
    sealed[bit // 8] ^= 1 << bit % 8
    end = Ends()
    with pytest.raises(ProtocolError, match="wrong MAC"):
        end.feed(bytes(sealed))
    assert end.messages == []


def test_too_large_an_envelope_is_refused_at_its_length() -> None:
    sealed = wire.Sealer(KEY, 0).seal([wire.message(5, 7, bytes(20), 0, "1", bytes(1_000))])
    Ends(len(sealed) - 4).feed(sealed)
    end = Ends(len(sealed) - 5)
    with pytest.raises(FrameTooLarge):
        end.feed(sealed[:4])


def test_nothing_is_copied_and_the_bytes_stay_while_they_are_seen() -> None:
    packed = bytearray(reference.pack([wire.message(5, 7, bytes(20), 0, "123", b"before")]))
    [message], _ = read(packed)
    body = message.body
    packed[-6:] = b"behind"
    assert (message.body, body, message.size) == (b"behind", b"behind", 6)
    with pytest.raises(BufferError):
        packed.clear()
    with pytest.raises(TypeError):
        body[0] = 0
    del message
    gc.collect()
    assert body == b"behind"
    del body
    packed.clear()


def test_a_message_of_which_nothing_is_told_is_empty() -> None:
    empty = Message.__new__(Message)
    assert fields(empty) == (0, 0, bytes(20), 0, "", b"", None, None, 0)
    assert (empty.seq, empty.size, empty.owned, empty.origin) == (0, 0, None, None)


def test_a_message_of_no_slot_is_not_made() -> None:
    with pytest.raises(ValueError, match="no slot 32"):
        Message(32, 7, bytes(20), 0, "123", b"")


class Seqs:
    """Gives places, as a slot's log does."""

    def __init__(self) -> None:
        self.last = 0

    def take_seq(self) -> int:
        self.last += 1
        return self.last


gates = st.dictionaries(
    st.integers(0, 3), st.tuples(st.integers(0, 3), st.booleans()), min_size=1, max_size=4
)
few = st.tuples(st.integers(0, 4), st.integers(0, 3), st.integers(0, 30))


@given(gates, st.lists(few, max_size=30), st.integers(-1, 20), st.integers(-1, 200))
def test_messages_within_the_gates_are_queued_in_order(
    drawn: dict[int, tuple[int, bool]], asked: list[tuple[int, int, int]], most: int, room: int
) -> None:
    mine = {number: Gate(number, epoch, Seqs()) for number, (epoch, _) in drawn.items()}
    for number, (_, accepts) in drawn.items():
        mine[number].accepts = accepts
    messages = [
        Message(slot, epoch, bytes(19) + bytes([n]), 0, "123", bytes(size))
        for n, (slot, epoch, size) in enumerate(asked)
    ]
    queue = [earlier := Message(0, 0, bytes(20), 0, "", b"")]
    size, rest = admit(messages, mine, "webapp", queue, most, room)
    let_in, kept_out = reference.admitted(drawn, asked, most, room)
    assert queue == [earlier, *(messages[n] for n, _ in let_in)]
    assert [message.seq for message in queue[1:]] == [seq for _, seq in let_in]
    assert rest == [messages[n] for n in kept_out]
    assert size == sum(message.size for message in queue[1:])
    for message in queue[1:]:
        assert (message.owned, message.origin) == (mine[message.slot], "webapp")
    assert all(message.owned is None for message in rest)
    queued = [message.slot for message in queue[1:]]
    assert {n: gate.appending for n, gate in mine.items()} == {n: queued.count(n) for n in mine}


@given(st.lists(made | plain, min_size=1, max_size=8))
def test_columns_are_the_twin_s(rows: list[Any]) -> None:
    messages = [Message(*given, seq=seq) for seq, given in enumerate(rows)]
    *found, bodies = columns(messages)[:6]
    *wanted, texts = reference.columns(rows)[:6]
    assert found == wanted
    assert [bytes(body) for body in bodies] == texts
    assert columns(messages)[6:] == reference.columns(rows)[6:]


places = st.tuples(st.integers(0, 4), st.integers(0, 2))


@given(st.lists(places, max_size=30), st.lists(st.integers(1, 2), min_size=5, max_size=5))
def test_acks_and_runs_of_a_batch_are_the_twin_s(
    batch: list[tuple[int, int]], epochs: list[int]
) -> None:
    mine = [Gate(number, epoch, Seqs()) for number, epoch in enumerate(epochs)]
    webapps = [object() for _ in range(3)]
    rows, told = [], []
    for n, (slot, webapp) in enumerate(batch):
        row = Message(slot, epochs[slot], bytes(19) + bytes([n]), 0, "", b"", seq=n)
        row.owned, row.origin = mine[slot], webapps[webapp]
        mine[slot].appending += 1
        rows.append(row)
        told.append((mine[slot], webapps[webapp], epochs[slot], row.id, row))
    assert landed(rows) == reference.landed(told)
    assert [gate.appending for gate in mine] == [0] * 5
    assert all(row.owned is None and row.origin is None for row in rows)


def test_a_message_leaves_its_gate_once() -> None:
    gate = Gate(3, 1, Seqs())
    gate.accepts = True
    queue: list[Message] = []
    admit([Message(3, 1, bytes(20), 0, "1", b"")], {3: gate}, "webapp", queue, 1, 1)
    assert (gate.appending, queue[0].leave()) == (1, (gate, "webapp"))
    assert gate.appending == 0
    with pytest.raises(TypeError):
        queue[0].leave()
    assert gate.appending == 0
