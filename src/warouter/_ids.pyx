"""Message ids, compiled: made, spelt and read once or more for every message and status.

What they are is told in ``message_id``; readable twin: tests/harness/reference.py.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_DATA, PyUnicode_DecodeASCII, PyUnicode_GET_LENGTH
from libc.stdint cimport int8_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from warouter._slots cimport _SLOTS

cdef extern from "Python.h":
    bint PyUnicode_IS_COMPACT_ASCII(object)

cdef enum:
    _VERSION = 1
    _SIZE = 20
    _TEXT_SIZE = 27
    _RANDOM_SIZE = 12

cdef const char* _LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
cdef int8_t[128] _VALUES
memset(_VALUES, -1, 128)
for _n in range(64):
    _VALUES[<uint8_t>_LETTERS[_n]] = <int8_t>_n


def mint(uint8_t slot, uint64_t now_ms, bytes random not None) -> bytes:
    """A new id of ``slot`` from the wall clock in ms and 12 random bytes; ValueError otherwise."""
    cdef bytes raw
    cdef uint8_t* at
    cdef int i
    if slot >= _SLOTS or now_ms >> 48 or PyBytes_GET_SIZE(random) != _RANDOM_SIZE:
        raise ValueError("an id is of a slot 0 to 31, 48 bits of time and 12 random bytes")
    raw = PyBytes_FromStringAndSize(NULL, _SIZE)
    at = <uint8_t*>PyBytes_AS_STRING(raw)
    at[0] = _VERSION
    at[1] = slot
    for i in range(6):
        at[2 + i] = <uint8_t>(now_ms >> (40 - 8 * i))
    memcpy(at + 8, PyBytes_AS_STRING(random), _RANDOM_SIZE)
    return raw


def text_of(bytes raw not None) -> str:
    """The 27 characters that API clients and webhooks see; ValueError unless ``raw`` has 20 bytes.
    """
    cdef char[_TEXT_SIZE] text
    _spell(raw, text)
    return PyUnicode_DecodeASCII(text, _TEXT_SIZE, NULL)


def letters_of(bytes raw not None) -> bytes:
    """``text_of`` in ASCII, for a body."""
    cdef char[_TEXT_SIZE] text
    _spell(raw, text)
    return PyBytes_FromStringAndSize(text, _TEXT_SIZE)


def parse(str text not None) -> bytes:
    """The 20 bytes of an id's text; ValueError if it is none of ours."""
    cdef uint8_t[_SIZE + 1] raw
    if not _read(text, raw) or raw[_SIZE] or raw[0] != _VERSION or raw[1] >= _SLOTS:
        raise ValueError("not a message id")
    return PyBytes_FromStringAndSize(<const char*>raw, _SIZE)


cdef int _spell(bytes raw, char* text) except -1:
    """27 letters of 6 bits each: 160 bits, and two of nothing."""
    cdef const uint8_t* at = <const uint8_t*>PyBytes_AS_STRING(raw)
    cdef uint32_t three
    cdef int i, n
    if PyBytes_GET_SIZE(raw) != _SIZE:
        raise ValueError(f"an id has {_SIZE} bytes, not {len(raw)}")
    for i in range(7):
        three = <uint32_t>at[3 * i] << 16 | <uint32_t>at[3 * i + 1] << 8
        if i < 6:
            three |= at[3 * i + 2]
        for n in range(4 if i < 6 else 3):
            text[4 * i + n] = _LETTERS[three >> (18 - 6 * n) & 63]
    return 0


cdef bint _read(str text, uint8_t* raw) noexcept:
    """True if it is 27 letters; ``raw`` gets 20 bytes and one of what is left over."""
    cdef const uint8_t* letters
    cdef uint32_t three
    cdef int8_t value
    cdef int i, n
    if not PyUnicode_IS_COMPACT_ASCII(text) or PyUnicode_GET_LENGTH(text) != _TEXT_SIZE:
        return False
    letters = <const uint8_t*>PyUnicode_DATA(text)
    for i in range(7):
        three = 0
        for n in range(4):
            value = _VALUES[letters[4 * i + n]] if 4 * i + n < _TEXT_SIZE else 0
            if value < 0:
                return False
            three = three << 6 | <uint32_t>value
        raw[3 * i] = <uint8_t>(three >> 16)
        raw[3 * i + 1] = <uint8_t>(three >> 8)
        raw[3 * i + 2] = <uint8_t>three
    return True
