"""Link frames and envelopes: what is sealed opens, and nothing else does."""

from __future__ import annotations

import struct
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.harness import linked
from warouter import _batch
from warouter.errors import NoCommonVersion, ProtocolError
from warouter.link import wire

KEY = b"k" * 32
ids = st.binary(min_size=20, max_size=20)
epochs = st.integers(0, 2**63)
slots = st.integers(0, 31)


numbers = st.from_regex("[0-9]{5,15}", fullmatch=True)
ttls = st.none() | st.integers(1, 2**32 - 1)
hashes = st.binary(min_size=32, max_size=32)
keys = st.none() | st.builds(wire.IdempotencyKey, hashes, hashes)
of_numbers = st.just(1) | st.integers(1, 2**31 - 1)
messages = st.tuples(
    slots, epochs, ids, st.integers(0, 255), numbers, st.binary(), ttls, keys, of_numbers
)


@given(messages)
def test_a_message_comes_out_as_it_went_in(fields: Any) -> None:
    parsed = wire.parse(memoryview(wire.message(*fields)))
    assert isinstance(parsed, wire.Message)
    assert linked.fields(parsed) == linked.fields(wire.Message(*fields)) == fields


@given(messages)
def test_a_message_is_laid_out_as_a_build_of_version_3_reads_it(fields: Any) -> None:
    """What the compiled code writes, told by ``struct``: it must stay while version 3 is spoken."""
    slot, epoch, message_id, kind, recipient, body, ttl, key, number = fields
    head = struct.pack(
        "<BBQ20sBBI?I",
        *(wire.MESSAGE, slot, epoch, message_id, kind, len(recipient), ttl or 0, key is not None),
        number,
    )
    hashes = b"".join(key or ())
    assert wire.message(*fields) == head + recipient.encode() + hashes + body


def test_a_message_larger_than_a_frame_is_refused() -> None:
    good = (3, 7, bytes(20), 0, "12345", b"{}", None, None, 1)
    wrong: list[tuple[int, Any]] = [(2, bytes(19)), (4, "1" * 256), (4, "123\u0660")]
    for place, bad in (*wrong, (7, (bytes(32), b"x")), (8, 0), (8, -1)):
        with pytest.raises(ValueError, match=r"frame|id|hashes|number"):
            wire.message(*good[:place], bad, *good[place + 1 :])  # type: ignore[arg-type]
    for place, large in ((0, 256), (1, 2**64), (3, 256), (6, 2**32), (8, 2**31)):
        with pytest.raises(OverflowError):
            wire.message(*good[:place], large, *good[place + 1 :])  # type: ignore[arg-type]


@given(messages, st.data())
def test_a_message_that_is_cut_off_is_a_protocol_error(fields: Any, data: st.DataObject) -> None:
    """Up to its body, which may have any length."""
    whole = wire.message(*fields[:5], b"", *fields[6:])
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(ProtocolError):
        wire.parse(memoryview(whole[:cut]))


any_bytes = st.binary(max_size=140)
of_a_kind = st.sampled_from([bytes((n, 3)) for n in (wire.MESSAGE, wire.OUTCOME, wire.RELAY)])


@given(any_bytes | st.builds(lambda head, tail: head + tail, of_a_kind, any_bytes))
def test_any_bytes_are_read_within_their_bounds_or_refused(frame: bytes) -> None:
    try:
        parsed = wire.parse(memoryview(frame))
    except ProtocolError:
        return
    if isinstance(parsed, wire.Message):
        key = () if parsed.key is None else parsed.key
        assert 41 + len(parsed.recipient) + sum(map(len, key)) + len(parsed.body) == len(frame)


@given(slots, epochs, st.lists(st.tuples(ids, ids)))
def test_of_messages_that_came_before_both_ids_are_told(
    slot: int, epoch: int, some: list[tuple[bytes, bytes]]
) -> None:
    flat = [each for pair in some for each in pair]
    parsed = wire.parse(memoryview(wire.outcome(wire.ALREADY, slot, epoch, flat)))
    assert isinstance(parsed, wire.Outcome)
    assert list(wire.pairs(parsed.ids)) == some
    with pytest.raises(ProtocolError):
        wire.parse(memoryview(wire.outcome(wire.ALREADY, slot, epoch, [*flat, bytes(20)])))


@given(st.integers(0, 3), slots, epochs, st.lists(ids))
def test_an_outcome_comes_out_as_it_went_in(
    result: int, slot: int, epoch: int, some: list[bytes]
) -> None:
    assert wire.parse(memoryview(wire.outcome(result, slot, epoch, some))) == wire.Outcome(
        result, slot, epoch, some
    )


@given(st.uuids(), numbers, st.binary())
def test_a_relayed_message_comes_out_as_it_went_in(
    owner: UUID, recipient: str, body: bytes
) -> None:
    message = wire.message(3, 7, bytes(20), 0, recipient, body)
    parsed = wire.parse(memoryview(wire.relay(owner, message)))
    assert isinstance(parsed, wire.RelayFrame)
    assert parsed.owner == owner
    given = (3, 7, bytes(20), 0, recipient, body, None, None, 1)
    assert linked.fields(parsed.message) == given


def test_only_messages_are_relayed() -> None:
    message = wire.message(3, 7, bytes(20), 0, "12345", b"")
    for inner in (wire.relay(UUID(int=1), message), wire.outcome(0, 3, 7, []), wire.PING, b""):
        with pytest.raises(ProtocolError):
            wire.parse(memoryview(wire.relay(UUID(int=2), inner)))


def test_pings_and_pongs() -> None:
    assert isinstance(wire.parse(memoryview(wire.PING)), wire.Ping)
    assert isinstance(wire.parse(memoryview(wire.PONG)), wire.Pong)


@pytest.mark.parametrize(
    ("mine", "theirs", "version"),
    [((1, 1), (1, 1), 1), ((1, 1), (1, 2), 1), ((1, 2), (1, 2), 2), ((2, 3), (1, 2), 2)],
)
def test_the_highest_common_version_is_spoken(
    mine: tuple[int, int], theirs: tuple[int, int], version: int
) -> None:
    assert wire.common_version(said(*mine), said(*theirs)) == version
    assert wire.common_version(said(*theirs), said(*mine)) == version


@pytest.mark.parametrize(
    ("mine", "theirs", "older"), [((1, 1), (2, 3), "this"), ((3, 4), (1, 2), "the other")]
)
def test_without_a_common_version_both_ranges_and_the_remedy_are_named(
    mine: tuple[int, int], theirs: tuple[int, int], older: str
) -> None:
    sentence = (
        f"this side speaks link versions {mine[0]} to {mine[1]}, the other side"
        f" {theirs[0]} to {theirs[1]}: restart {older} side with a build"
    )
    with pytest.raises(NoCommonVersion, match=sentence):
        wire.common_version(said(*mine), said(*theirs))


def test_versions_of_frames_have_no_gaps() -> None:
    """The range in a hello is all that is said."""
    assert sorted(wire.FRAMES) == list(range(min(wire.FRAMES), max(wire.FRAMES) + 1))
    assert wire.hello(b"n" * 32) == said(min(wire.FRAMES), max(wire.FRAMES))


def test_a_proof_covers_the_versions_that_were_named() -> None:
    """Whoever sits in between cannot talk both sides into an older version."""
    honest = wire.proof(KEY, b"client", said(1, 2), said(1, 2))
    assert honest != wire.proof(KEY, b"client", said(1, 1), said(1, 2))
    assert honest != wire.proof(KEY, b"client", said(1, 2), said(1, 1))


def said(lowest: int, highest: int) -> bytes:
    return bytes((lowest, highest)) + b"n" * wire.NONCE_SIZE


def envelope(sealer: wire.Sealer, *frames: bytes) -> memoryview:
    return _batch.split(sealer.seal(list(frames)))[0]


def test_envelopes_open_in_order_only() -> None:
    sealer, opener = wire.Sealer(KEY, 0), wire.Opener(KEY, 0)
    first, second = envelope(sealer, b"one"), envelope(sealer, b"two", b"three")
    assert opener.open(first) == _batch.pack([b"one"])
    with pytest.raises(ProtocolError, match="wrong MAC"):
        opener.open(first)  # replayed
    assert opener.open(second) == _batch.pack([b"two", b"three"])


@pytest.mark.parametrize(
    "opener",
    [wire.Opener(b"x" * 32, 0), wire.Opener(KEY, 1)],
    ids=["another key", "the other direction"],
)
def test_an_envelope_of_somebody_else_does_not_open(opener: wire.Opener) -> None:
    with pytest.raises(ProtocolError, match="wrong MAC"):
        opener.open(envelope(wire.Sealer(KEY, 0), b"one"))
