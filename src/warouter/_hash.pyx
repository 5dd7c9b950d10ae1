"""Recipient to slot and shard: XXH64, seed 0, of the wa_id's ASCII digits.

The slot is stored with every message, so this function is part of the data format. Its published
test vectors are in tests/data/hash_vectors.json, its readable twin in tests/harness/reference.py.
Source of the algorithm: the xxHash specification (github.com/Cyan4973/xxHash, doc/xxhash_spec.md).
"""

from cpython.unicode cimport PyUnicode_DATA, PyUnicode_GET_LENGTH
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from warouter._slots cimport _SLOTS

cdef enum:
    _MIN_DIGITS = 5
    _MAX_DIGITS = 15

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


def slot_of(recipient: str) -> int:
    """The slot 0..31 of a wa_id, fixed for ever; ValueError as `hash64`."""
    cdef Py_ssize_t n
    cdef const uint8_t* digits = _digits(recipient, &n)
    return <int>(_hash(digits, n) & (_SLOTS - 1))


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
    # The short branch of XXH64 is all there is: 15 digits never fill its 32-byte stripe.
    cdef uint64_t h = P5 + <uint64_t>n
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
