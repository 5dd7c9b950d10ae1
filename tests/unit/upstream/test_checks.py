"""Hostile words of the upstream (S17): frames are bounded, events are whole, or they end there."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

import msgspec
import pytest

from tests.campaigns.fuzz.raw import flipped, left_out, noise
from tests.harness.owned import EndOfNothing
from tests.harness.wait import soon
from warouter._hash import slot_of
from warouter.cluster.role import SlotEvent
from warouter.config import Timing
from warouter.owner.ownership import Ownership
from warouter.owner.receipts import MAX_QUEUED, Receipts
from warouter.owner.slot import OwnedSlot
from warouter.upstream.checks import problem
from warouter.upstream.protocol import (
    Answer,
    Claimed,
    Event,
    Pong,
    Refused,
    Revoked,
    decode_from_upstream,
    encode,
)

SENDER = "4915112345678"
STATUS = b'{"id":"gBEG","recipient_id":"49151","status":"sent","timestamp":"1670394125"}'
INBOUND = b'{"from":"49151","id":"ABC","timestamp":"1670394125","type":"text","text":{"body":"x"}}'
ERROR = b'{"code":1014,"title":"Internal error","details":"media lost"}'
CONTACT = b'{"profile":{"name":"Jerry"},"wa_id":"49151"}'


def event(kind: str = "status", payload: bytes = STATUS, **fields: Any) -> Event:
    given: dict[str, Any] = {"key": "gBEG:sent:1670394125", "recipient": SENDER} | fields
    return Event(slot=slot_of(SENDER), number=1, kind=kind, payload=payload, **given)


def test_words_of_honest_upstreams_are_taken() -> None:
    for honest in (
        event(),
        event("inbound", INBOUND, key="ABC", contact=CONTACT),
        event("inbound", INBOUND.replace(b"x", "☺\\u0000".encode())),
        event("inbound", ERROR, key="ABC", recipient=""),  # out of band, so nobody's
    ):
        assert decode_from_upstream(encode(honest)) == honest
        assert problem(honest) is None


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"text"',
        b"{}",
        STATUS + b"}",
        STATUS + b"," + STATUS,
        STATUS[:-1],
        STATUS.replace(b'"1670394125"', b"1670394125"),
        STATUS.replace(b'"1670394125"', b'"soon"'),
        STATUS.replace(b'"1670394125"', b'"1670394125\\n"'),
        STATUS.replace(b'"gBEG"', b"7"),
        STATUS.replace(b'"gBEG"', b'""'),
        STATUS.replace(b"gBEG", b"g" * 1000),
        STATUS.replace(b'"sent"', b"null"),
        STATUS.replace(b"49151", b"\xff\xfe"),
        STATUS.replace(b'"49151"', b"[" * 100_000 + b"]" * 100_000),
        STATUS.replace(b'"49151"', b"NaN"),
        b"\xef\xbb\xbf" + STATUS,
        b"\x00" + STATUS,
        STATUS.decode().encode("utf-16"),
    ],
    ids=lambda payload: repr(payload[:40]),
)
def test_payloads_that_would_break_a_callback_are_refused(payload: bytes) -> None:
    assert problem(event(payload=payload))
    assert problem(event("inbound", INBOUND, contact=payload or b"{"))


@pytest.mark.parametrize("key", ["from", "id", "timestamp", "type"])
def test_an_inbound_message_has_what_receivers_read(key: str) -> None:
    message = msgspec.json.decode(INBOUND)
    for value in (None, 7, "", {}, ...):
        changed = {k: v for k, v in (message | {key: value}).items() if v is not ...}
        assert problem(event("inbound", msgspec.json.encode(changed)))


def test_only_an_error_out_of_band_is_nobodys() -> None:
    for payload in (INBOUND, b"{}", b"[]", ERROR.replace(b"1014", b'"1014"'), ERROR[:-1]):
        assert problem(event("inbound", payload, recipient=""))
    assert problem(event("inbound", ERROR, recipient="", contact=b"{"))
    assert problem(event("status", STATUS, recipient=""))
    assert problem(event("inbound", ERROR))  # a message of somebody's is no error


def test_a_recipient_is_a_wa_id() -> None:
    for recipient in (
        "49 151",
        "4915112345678\x00",
        "4915112345678\n",
        "4915",
        "\u0661" * 9,
        "x" * 9,
    ):
        assert problem(event(recipient=recipient))
        assert problem(event("inbound", INBOUND, recipient=recipient))


@pytest.mark.parametrize("timestamp", ["", "x", "1x", "-1", "1.0", "1\n", " 1", "\u0661", "1" * 17])
def test_a_timestamp_is_a_number(timestamp: str) -> None:
    for kind, payload in (("status", STATUS), ("inbound", INBOUND)):
        changed = msgspec.json.decode(payload) | {"timestamp": timestamp}
        assert problem(event(kind, msgspec.json.encode(changed)))


def test_keys_that_no_row_can_hold_are_refused() -> None:
    for key in ("a\x00b:sent:1", "a\nb:sent:1", "\x1b[31m:sent:1"):
        assert problem(event(key=key))


@pytest.mark.parametrize(
    "message",
    [
        Claimed(32, 1),
        Claimed(-1, 1),
        Claimed(0, -1),
        Refused(0, 1, 2**63 - 1),
        Refused(0, 1, -1),
        Revoked(0, 2**63 - 1, 1),
        Answer(99, "x"),
        Answer(0, ""),
        Answer(0, "x" * 513),
        Answer(0, "x", code=-1),
        Answer(0, "x", code=2**31),
        Answer(0, "x", title="t" * 2001),
        Answer(0, "x", details="d" * 2001),
        Answer(0, "x", code=429, retry_ms=2**62),
        Answer(0, "x", code=429, retry_ms=-2),
        event(key=""),
        event(key="k" * 513),
        event(recipient="1" * 16),
        Event(0, -1, "status", "k:sent", SENDER, STATUS),
        Event(32, 1, "status", "k:sent", SENDER, STATUS),
    ],
    ids=repr,
)
def test_numbers_and_words_are_bounded_where_they_are_decoded(message: Any) -> None:
    with pytest.raises(msgspec.ValidationError):
        decode_from_upstream(encode(message))


def test_mutated_frames_are_decoded_or_refused() -> None:
    """100,000 of them: nothing but a ValueError, and what is decoded is within its bounds."""
    random = Random(17)
    frames = [
        encode(m)
        for m in (
            event(),
            event("inbound", INBOUND, key="ABC", contact=CONTACT),
            Answer(3, "gBEG", 1013, "User is not valid", "no user", 100),
            Claimed(3, 1 << 33),
            Refused(3, 1, 2),
            Revoked(3, 1, 2),
            Pong(),
        )
    ]
    taken = 0
    for _ in range(100_000):
        frame = random.choice(frames)
        for _ in range(random.choice((1, 1, 2, 5))):
            frame = random.choice((flipped, left_out, noise))(frame, random)
        try:
            message = decode_from_upstream(frame)
        except ValueError:
            continue
        taken += 1
        if isinstance(message, Event):
            reason = problem(message)
            if reason is None:
                msgspec.json.decode(message.payload)
                msgspec.json.decode(message.contact or b"{}")
        if not isinstance(message, Pong):
            assert 0 <= message.slot <= 31
    assert taken > 1_000


async def test_events_waiting_for_the_disk_are_counted_in_bytes() -> None:
    """Events of slots that were lost meanwhile are let go, and counted no more."""
    unused: Any = None
    ownership = Ownership(unused, Timing(), lambda: 0.0)
    appender = Receipts(ownership, unused, unused, unused, unused)
    lost: Any = OwnedSlot(1, 1)
    lost.happened(SlotEvent.FENCED)
    large = Event(1, 0, "status", "k:sent", SENDER, b"x" * 1_000_000, b"y" * 100_000)
    for _ in range(MAX_QUEUED // 1_100_000):
        appender.store(lost, large, EndOfNothing())
    assert not appender.full
    appender.store(lost, large, EndOfNothing())
    assert appender.full
    task = asyncio.create_task(appender.run())
    await soon(lambda: appender.queued == 0)
    assert not appender.full
    appender.store(lost, large, EndOfNothing())
    await soon(lambda: appender.queued == 0)
    task.cancel()
    assert not appender.full


def test_deep_msgpack_is_refused() -> None:
    for depth in (1_000, 200_000):
        with pytest.raises((ValueError, RecursionError)):
            decode_from_upstream(b"\x91" * depth)
