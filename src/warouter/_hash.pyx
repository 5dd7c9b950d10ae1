"""The slot and the id of a message, which are stored with it; the id contains the slot.

Recipient to slot and shard is XXH64, seed 0, of the wa_id's ASCII digits. This function is part of
the data format; its published test vectors are in tests/data/hash_vectors.json. Source of the
algorithm: the xxHash specification (github.com/Cyan4973/xxHash, doc/xxhash_spec.md). What ids are
is told in ``message_id``. Readable twin of both: tests/harness/reference.py.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_DATA, PyUnicode_DecodeASCII, PyUnicode_GET_LENGTH
from libc.stdint cimport int8_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from warouter._slots cimport _SLOTS

cdef enum:
    _MIN_DIGITS = 5
    _MAX_DIGITS = 15
    _ID_VERSION = 1

SLOTS = _SLOTS
SHARD_COUNTS = (1, 2, 4, 8, 16, 32)
HASH_NAME = "xxh64"
HASH_VERSION = 1

cdef extern from "Python.h":
    bint PyUnicode_IS_COMPACT_ASCII(object)

cdef extern from *:
    """
    #include <stdint.h>
    #if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
    #error "warouter reads the digits as little-endian words"
    #endif
    static const uint64_t P1 = 0x9E3779B185EBCA87ULL, P2 = 0xC2B2AE3D27D4EB4FULL,
                          P3 = 0x165667B19E3779F9ULL, P4 = 0x85EBCA77C2B2AE63ULL,
                          P5 = 0x27D4EB2F165667C5ULL;
    """
    const uint64_t P1, P2, P3, P4, P5


def hash64(recipient: str) -> int:
    """The unsigned 64-bit hash of a wa_id; ValueError unless it is 5 to 15 ASCII digits."""
    cdef Py_ssize_t n
    cdef const uint8_t* digits = _digits(recipient, &n)
    return _hash(digits, n)


def hash64_of_bytes(bytes text not None) -> int:
    """The unsigned 64-bit hash of any bytes, the same function."""
    cdef const uint8_t* data = <const uint8_t*>PyBytes_AS_STRING(text)
    cdef Py_ssize_t n = PyBytes_GET_SIZE(text)
    return _hash(data, n) if n < 32 else _hash_stripes(data, n)


def slot_of(recipient: str) -> int:
    """The slot 0..31 of a wa_id, fixed for ever; ValueError as `hash64`."""
    cdef Py_ssize_t n
    cdef const uint8_t* digits = _digits(recipient, &n)
    return slot_of_digits(digits, n)


def shard_of(recipient: str, Py_ssize_t shards) -> int:
    """The shard 0..shards-1 of a wa_id; ValueError unless shards is 1, 2, 4, 8, 16 or 32."""
    cdef uint32_t mask = _mask(shards)
    cdef Py_ssize_t n
    cdef const uint8_t* digits = _digits(recipient, &n)
    return _hash(digits, n) & mask


def route(recipients: list[str], Py_ssize_t shards, uint8_t[::1] out not None) -> None:
    """Write the shard of each wa_id into ``out``, a writable buffer of as many unsigned bytes.

    ValueError as `shard_of`, and if the sizes differ; ``out`` is then written up to the wa_id that
    was refused.
    """
    cdef uint32_t mask = _mask(shards)
    cdef const uint8_t* digits
    cdef Py_ssize_t i, n
    if out.shape[0] != len(recipients):
        raise ValueError(f"{len(recipients)} recipients need as many bytes, not {out.shape[0]}")
    for i in range(len(recipients)):
        digits = _digits(recipients[i], &n)
        out[i] = <uint8_t>(_hash(digits, n) & mask)


cdef int slot_of_digits(const uint8_t* digits, Py_ssize_t size) noexcept nogil:
    return <int>(_hash(digits, size) & (_SLOTS - 1))


cdef inline uint32_t _mask(Py_ssize_t shards) except? 0:
    # A power of two divides 32, which makes the shard both slot % shards and hash % shards.
    if not 1 <= shards <= _SLOTS or shards & (shards - 1):
        raise ValueError(f"the number of shards is 1, 2, 4, 8, 16 or 32, not {shards}")
    return <uint32_t>(shards - 1)


cdef inline const uint8_t* _digits(str recipient, Py_ssize_t* n) except NULL:
    # Refused here and not only at the rim of the API: another spelling would hash to another slot.
    cdef const uint8_t* text
    if recipient is not None and PyUnicode_IS_COMPACT_ASCII(recipient):  # its bytes are at hand
        text = <const uint8_t*>PyUnicode_DATA(recipient)
        n[0] = PyUnicode_GET_LENGTH(recipient)
        if _MIN_DIGITS <= n[0] <= _MAX_DIGITS and _all_digits(text, n[0]):
            return text
    _refuse(recipient)
    return NULL


cdef int _refuse(str recipient) except -1:
    if recipient is None:
        raise TypeError("a wa_id is a str, not None")
    if not (recipient.isascii() and (not recipient or recipient.isdigit())):
        raise ValueError("a wa_id has ASCII digits only")
    raise ValueError(f"a wa_id has {_MIN_DIGITS} to {_MAX_DIGITS} digits, not {len(recipient)}")


cdef inline bint _all_digits(const uint8_t* text, Py_ssize_t n) noexcept nogil:
    # 5 to 15 of them, eight (or four) at a time; the last ones overlap the first.
    cdef uint64_t low, high
    cdef uint32_t left, right
    if n >= 8:
        memcpy(&low, text, 8)
        memcpy(&high, text + n - 8, 8)
    else:
        memcpy(&left, text, 4)
        memcpy(&right, text + n - 4, 4)
        low = left | <uint64_t>right << 32
        high = low
    return _eight_digits(low) and _eight_digits(high)


cdef inline bint _eight_digits(uint64_t word) noexcept nogil:
    # A digit is 0x30..0x39: its high half is 3, and still is when 6 is added.
    cdef uint64_t halves = <uint64_t>0xF0F0F0F0F0F0F0F0
    cdef uint64_t threes = <uint64_t>0x3030303030303030
    return (word & halves) == threes and ((word + <uint64_t>0x0606060606060606) & halves) == threes


cdef inline uint64_t _rotl(uint64_t x, int bits) noexcept nogil:
    return (x << bits) | (x >> (64 - bits))


cdef inline uint64_t _hash(const uint8_t* text, Py_ssize_t n) noexcept nogil:
    # The short branch of XXH64: 15 digits never fill its 32-byte stripe.
    return _ended(P5 + <uint64_t>n, text, n)


cdef uint64_t _hash_stripes(const uint8_t* text, Py_ssize_t n) noexcept nogil:
    # The long branch, for 32 bytes and more.
    cdef uint64_t[4] lanes = [P1 + P2, P2, 0, 0 - P1]
    cdef uint64_t word, h
    cdef Py_ssize_t i = 0
    cdef int lane
    while i + 32 <= n:
        for lane in range(4):
            memcpy(&word, text + i, 8)
            lanes[lane] = _rotl(lanes[lane] + word * P2, 31) * P1
            i += 8
    h = _rotl(lanes[0], 1) + _rotl(lanes[1], 7) + _rotl(lanes[2], 12) + _rotl(lanes[3], 18)
    for lane in range(4):
        h = (h ^ _rotl(lanes[lane] * P2, 31) * P1) * P1 + P4
    return _ended(h + <uint64_t>n, text + i, n - i)


cdef inline uint64_t _ended(uint64_t h, const uint8_t* text, Py_ssize_t n) noexcept nogil:
    # With the last bytes, fewer than 32.
    cdef uint64_t word
    cdef uint32_t half
    cdef Py_ssize_t i = 0
    while i + 8 <= n:
        memcpy(&word, text + i, 8)
        h = _rotl(h ^ _rotl(word * P2, 31) * P1, 27) * P1 + P4
        i += 8
    if i + 4 <= n:
        memcpy(&half, text + i, 4)
        h = _rotl(h ^ half * P1, 23) * P2 + P3
        i += 4
    while i < n:
        h = _rotl(h ^ text[i] * P5, 11) * P1
        i += 1
    # The low bits choose the shard, so every input bit must reach them.
    h = (h ^ (h >> 33)) * P2
    h = (h ^ (h >> 29)) * P3
    return h ^ (h >> 32)


# Ids


cdef const char* _LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
cdef int8_t[128] _VALUES
memset(_VALUES, -1, 128)
for _n in range(64):
    _VALUES[<uint8_t>_LETTERS[_n]] = <int8_t>_n


def mint(uint8_t slot, uint64_t now_ms, bytes random not None) -> bytes:
    """A new id of ``slot`` from the wall clock in ms and 12 random bytes; ValueError otherwise."""
    cdef bytes raw
    if slot >= _SLOTS or now_ms >> 48 or PyBytes_GET_SIZE(random) != ID_RANDOM:
        raise ValueError("an id is of a slot 0 to 31, 48 bits of time and 12 random bytes")
    raw = PyBytes_FromStringAndSize(NULL, ID_SIZE)
    put_id(<uint8_t*>PyBytes_AS_STRING(raw), slot, now_ms, PyBytes_AS_STRING(random))
    return raw


def text_of(bytes raw not None) -> str:
    """The 27 characters that API clients and webhooks see; ValueError unless ``raw`` has 20 bytes.
    """
    cdef char[ID_LETTERS] text
    spell_id(_id(raw), text)
    return PyUnicode_DecodeASCII(text, ID_LETTERS, NULL)


def letters_of(bytes raw not None) -> bytes:
    """``text_of`` in ASCII, for a body."""
    cdef char[ID_LETTERS] text
    spell_id(_id(raw), text)
    return PyBytes_FromStringAndSize(text, ID_LETTERS)


def parse(str text not None) -> bytes:
    """The 20 bytes of an id's text; ValueError if it is none of ours."""
    cdef uint8_t[ID_SIZE + 1] raw
    if not _read(text, raw) or raw[ID_SIZE] or raw[0] != _ID_VERSION or raw[1] >= _SLOTS:
        raise ValueError("not a message id")
    return PyBytes_FromStringAndSize(<const char*>raw, ID_SIZE)


cdef const uint8_t* _id(bytes raw) except NULL:
    if PyBytes_GET_SIZE(raw) != ID_SIZE:
        raise ValueError(f"an id has {ID_SIZE} bytes, not {len(raw)}")
    return <const uint8_t*>PyBytes_AS_STRING(raw)


cdef void put_id(uint8_t* at, uint8_t slot, uint64_t now_ms, const char* random) noexcept nogil:
    cdef int i
    at[0] = _ID_VERSION
    at[1] = slot
    for i in range(6):
        at[2 + i] = <uint8_t>(now_ms >> (40 - 8 * i))
    memcpy(at + 8, random, ID_RANDOM)


cdef void spell_id(const uint8_t* raw, char* letters) noexcept nogil:
    # 6 bits each: 160 bits, and two of nothing.
    cdef uint32_t three
    cdef int i, n
    for i in range(7):
        three = <uint32_t>raw[3 * i] << 16 | <uint32_t>raw[3 * i + 1] << 8
        if i < 6:
            three |= raw[3 * i + 2]
        for n in range(4 if i < 6 else 3):
            letters[4 * i + n] = _LETTERS[three >> (18 - 6 * n) & 63]


cdef bint _read(str text, uint8_t* raw) noexcept:
    """True if it is 27 letters; ``raw`` gets 20 bytes and one of what is left over."""
    cdef const uint8_t* letters
    cdef uint32_t three
    cdef int8_t value
    cdef int i, n
    if not PyUnicode_IS_COMPACT_ASCII(text) or PyUnicode_GET_LENGTH(text) != ID_LETTERS:
        return False
    letters = <const uint8_t*>PyUnicode_DATA(text)
    for i in range(7):
        three = 0
        for n in range(4):
            value = _VALUES[letters[4 * i + n]] if 4 * i + n < ID_LETTERS else 0
            if value < 0:
                return False
            three = three << 6 | <uint32_t>value
        raw[3 * i] = <uint8_t>(three >> 16)
        raw[3 * i + 1] = <uint8_t>(three >> 8)
        raw[3 * i + 2] = <uint8_t>three
    return True
