"""One look through the bytes of a JSON body, for what its typed decoder does not see."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t
from libc.string cimport memchr, memcmp

cdef enum:
    _ESCAPE_SIZE = 6

PLAIN = 0
LOOK = 1  # it may be deep, or a string in it may hold U+0000
NOT_ASCII = 2
cdef const char* _NUL = b"\\u0000"


def scan(bytes body not None, Py_ssize_t most) -> int:
    """PLAIN, or a sum of the others: LOOK for more than ``most`` brackets, or a ``\\u0000`` in it.

    Brackets in strings count too: a body of few cannot be deep.
    """
    cdef const uint8_t* raw = <const uint8_t*>PyBytes_AS_STRING(body)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(body)
    cdef Py_ssize_t i, brackets = 0
    cdef uint8_t high = 0
    for i in range(size):
        # "[" and "{" differ in one bit, which is set here.
        brackets += (raw[i] | 0x20) == 0x7B
        high |= raw[i]
    look = LOOK if brackets > most or _has_nul(raw, size) else PLAIN
    return look + (NOT_ASCII if high & 0x80 else PLAIN)


cdef bint _has_nul(const uint8_t* raw, Py_ssize_t size) noexcept nogil:
    cdef const uint8_t* end = raw + size
    cdef const uint8_t* at = raw
    while True:
        at = <const uint8_t*>memchr(at, 0x5C, end - at)
        if at == NULL or end - at < _ESCAPE_SIZE:
            return False
        if memcmp(at, _NUL, _ESCAPE_SIZE) == 0:
            return True
        at += 1
