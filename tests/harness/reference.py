"""The readable specification of the extensions: XXH64 of short keys, framing, arrays, ids."""

from base64 import urlsafe_b64decode, urlsafe_b64encode

PREFIX = 4
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
