"""Makes malformed frames from good ones, for tests of owners. Random numbers are given. Pure."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import msgspec

from warouter.upstream.protocol import MAX_FRAME

_HEAD = 24  # bytes: tag, slot and number of an event are in it
_decode = msgspec.msgpack.Decoder(list[Any]).decode
_encode = msgspec.msgpack.Encoder().encode


def broken(frame: bytes, random: Random) -> bytes:
    """The frame with a field of the wrong type, truncated, or larger than the limit."""
    return random.choice((_of_another_type, _cut, _too_large))(frame)


def broken_event(frame: bytes, random: Random) -> bytes:
    """Break an event's frame as ``broken`` does, or make its content invalid in a valid form.

    Its slot and number can be read.
    """
    ways: tuple[Callable[[bytes], bytes], ...]
    ways = (_of_another_type, _cut, _too_large, _of_another_kind, _of_garbage, _of_no_message)
    return random.choice(ways)(frame)


def noise(random: Random) -> bytes:
    """Bytes that are not msgpack."""
    return b"\xc1" + random.randbytes(random.randrange(40))


def _of_another_type(frame: bytes) -> bytes:
    return _with(frame, 3, [["?"]])


def _cut(frame: bytes) -> bytes:
    return frame[: max(_HEAD, len(frame) // 2)] if len(frame) > _HEAD else frame[:-1]


def _too_large(frame: bytes) -> bytes:
    return frame + bytes(MAX_FRAME + 1 - len(frame))


def _of_another_kind(frame: bytes) -> bytes:
    return _with(frame, 3, "rumour")


def _of_garbage(frame: bytes) -> bytes:
    return _with(frame, 6, b'{"id":\xff')


def _of_no_message(frame: bytes) -> bytes:
    return _with(_with(frame, 3, "status"), 4, "x" * 40)


def _with(frame: bytes, place: int, value: object) -> bytes:
    fields = _decode(frame)
    fields += [None] * (place + 1 - len(fields))
    fields[place] = value
    return _encode(fields)
