"""The readable specification of the extensions: XXH64 of short keys, framing, arrays, ids, and
messages of a link up to the columns of their statement and their acks.
"""

from __future__ import annotations

import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode

PREFIX = 4
MESSAGE = 1
_MESSAGE = struct.Struct("<BBQ20sBBI?i")  # in front of recipient, two hashes if any, body
LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")

P1 = 0x9E3779B185EBCA87
P2 = 0xC2B2AE3D27D4EB4F
P3 = 0x165667B19E3779F9
P4 = 0x85EBCA77C2B2AE63
P5 = 0x27D4EB2F165667C5
MASK = (1 << 64) - 1


def xxh64(key: bytes) -> int:
    """XXH64 with seed 0 of a key shorter than the 32-byte stripe of the long branch."""
    h = P5 + len(key)
    rest = key
    while len(rest) >= 8:
        word, rest = int.from_bytes(rest[:8], "little"), rest[8:]
        h ^= _rotl(word * P2, 31) * P1 & MASK
        h = _rotl(h, 27) * P1 + P4 & MASK
    if len(rest) >= 4:
        half, rest = int.from_bytes(rest[:4], "little"), rest[4:]
        h ^= half * P1 & MASK
        h = _rotl(h, 23) * P2 + P3 & MASK
    for byte in rest:
        h ^= byte * P5 & MASK
        h = _rotl(h, 11) * P1 & MASK
    h = (h ^ h >> 33) * P2 & MASK
    h = (h ^ h >> 29) * P3 & MASK
    return h ^ h >> 32


def shard_of(recipient: str, shards: int) -> int:
    """The shard of a wa_id; its slot with 32 shards."""
    return xxh64(recipient.encode("ascii")) % shards


def pack(payloads: list[bytes]) -> bytes:
    """Each payload after its length, a u32 in little endian."""
    return b"".join(len(payload).to_bytes(PREFIX, "little") + payload for payload in payloads)


def split(stream: bytes) -> tuple[list[bytes], bytes]:
    """The payloads of all whole frames in a byte stream, and what is left after them."""
    frames = []
    while len(stream) >= PREFIX:
        end = PREFIX + int.from_bytes(stream[:PREFIX], "little")
        if end > len(stream):
            break
        frames.append(stream[PREFIX:end])
        stream = stream[end:]
    return frames, stream


def message(frame: bytes) -> tuple | None:
    """Slot, epoch, id, kind, recipient, body, ttl, key and number of a message frame, if it is
    one.
    """
    if len(frame) < _MESSAGE.size:
        return None
    first, slot, epoch, message_id, kind, digits, ttl, keyed, number = _MESSAGE.unpack_from(frame)
    recipient, rest = frame[_MESSAGE.size :][:digits], frame[_MESSAGE.size :][digits:]
    hashes, body = (rest[:64], rest[64:]) if keyed else (b"", rest)
    if first != MESSAGE or slot > 31 or len(recipient) < digits or not recipient.isascii():
        return None
    if len(hashes) < 64 * keyed or number < 1:
        return None
    key = (hashes[:32], hashes[32:]) if keyed else None
    return slot, epoch, message_id, kind, recipient.decode(), body, ttl or None, key, number


def read(packed: bytes) -> tuple[list[tuple], list[bytes]] | None:
    """The messages of a buffer of whole frames, and its other frames; None if one is malformed."""
    frames, rest = split(packed)
    messages = [message(frame) for frame in frames if frame[:1] == bytes([MESSAGE])]
    if rest or None in messages:
        return None
    return messages, [frame for frame in frames if frame[:1] != bytes([MESSAGE])]


def admitted(
    gates: dict[int, tuple[int, bool]], asked: list[tuple[int, int, int]], most: int, room: int
) -> tuple[list[tuple[int, int]], list[int]]:
    """Of messages (slot, epoch, size) the numbers and seqs of those let in by the gates (epoch and
    whether open, by slot), and the numbers of the others.
    """
    seqs = dict.fromkeys(gates, 0)
    let_in, kept_out = [], []
    for number, (slot, epoch, size) in enumerate(asked):
        if gates.get(slot) == (epoch, True) and len(let_in) < most and size <= room:
            seqs[slot] += 1
            room -= size
            let_in.append((number, seqs[slot]))
        else:
            kept_out.append(number)
    return let_in, kept_out


def columns(rows: list[tuple]) -> tuple:
    """The columns of messages, each with its place in the list as its seq."""
    columns = map(list, zip(*rows, strict=True))
    slots, _, ids, kinds, recipients, bodies, ttls, keys, given = columns
    plain = slots, list(range(len(rows))), ids, recipients
    numbers = given if set(given) != {1} else None
    if not any(ttls) and not any(keys):
        return *plain, kinds if any(kinds) else None, bodies, numbers, None
    names, requests = ([key and key[n] for key in keys] for n in (0, 1))
    return *plain, kinds, bodies, numbers, None, ttls, names, requests


def landed(batch: list[tuple]) -> tuple[dict, dict]:
    """Of messages (gate, origin, epoch, id, itself): ids by origin and epoch, and all by gate."""
    acks, runs = {}, {}
    for gate, origin, epoch, message_id, itself in batch:
        acks.setdefault((origin, epoch), []).append(message_id)
        runs.setdefault(gate, []).append(itself)
    return acks, runs


def array(oid: int, column: list[bytes | None]) -> bytes:
    """PostgreSQL's array of elements of type ``oid``, each in its binary form; None is null."""
    head = [1 if column else 0, int(None in column), oid, *([len(column), 1] if column else [])]
    return b"".join(_i32(n) for n in head) + b"".join(
        _i32(-1) if element is None else _i32(len(element)) + element for element in column
    )


def id_text(raw: bytes) -> str:
    """A message id as clients see it: base64url without its filling."""
    return urlsafe_b64encode(raw).decode().rstrip("=")


def id_of(text: str) -> bytes | None:
    """The id with this text, if it is one: version 1, a slot, and spelt in the one right way."""
    if len(text) != 27 or not LETTERS.issuperset(text):
        return None
    raw = urlsafe_b64decode(text + "=")
    return raw if id_text(raw) == text and raw[0] == 1 and raw[1] < 32 else None


def _i32(number: int) -> bytes:
    return number.to_bytes(4, "big", signed=True)


def _rotl(x: int, bits: int) -> int:
    x &= MASK
    return (x << bits | x >> 64 - bits) & MASK
