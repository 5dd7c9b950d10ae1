"""The two link frames that every message costs, compiled. Their form is told in ``wire``.

Sans-I/O. What is read is a view of what arrived: the body stays a view, the rest is copied out.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_DATA, PyUnicode_DecodeASCII, PyUnicode_GET_LENGTH
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from warouter._slots cimport _SLOTS
from warouter.errors import ProtocolError

cdef extern from "Python.h":
    bint PyUnicode_IS_COMPACT_ASCII(object)

cdef enum:
    _MESSAGE = 1
    _ID_SIZE = 20
    _HASH_SIZE = 32
    # Where the fields of a message frame begin.
    _EPOCH = 2
    _ID = 10
    _KIND = 30
    _TTL = 32
    _KEYED = 36
    _RECIPIENT = 37


def message(
    uint8_t slot, uint64_t epoch, bytes message_id not None, uint8_t kind, str recipient not None,
    bytes body not None, ttl=None, key=None,
) -> bytes:
    """The bytes of a message frame of version 2.

    ValueError for an id, a recipient or a key that no frame can hold, OverflowError for a number.
    """
    cdef Py_ssize_t digits = PyUnicode_GET_LENGTH(recipient), size = PyBytes_GET_SIZE(body)
    cdef uint32_t seconds = ttl or 0
    cdef bytes name = b"", request = b"", frame
    cdef uint8_t* at
    if not PyUnicode_IS_COMPACT_ASCII(recipient) or digits > 255:
        raise ValueError("a recipient in a frame has up to 255 ASCII characters")
    if PyBytes_GET_SIZE(message_id) != _ID_SIZE:
        raise ValueError(f"an id has {_ID_SIZE} bytes, not {len(message_id)}")
    if key is not None:
        name, request = key
        if len(name) != _HASH_SIZE or len(request) != _HASH_SIZE:
            raise ValueError(f"a key is two hashes of {_HASH_SIZE} bytes")
    frame = PyBytes_FromStringAndSize(
        NULL, _RECIPIENT + digits + len(name) + len(request) + size
    )
    at = <uint8_t*>PyBytes_AS_STRING(frame)
    at[0] = _MESSAGE
    at[1] = slot
    _put_little(at + _EPOCH, epoch, 8)
    memcpy(at + _ID, PyBytes_AS_STRING(message_id), _ID_SIZE)
    at[_KIND] = kind
    at[_KIND + 1] = <uint8_t>digits
    _put_little(at + _TTL, seconds, 4)
    at[_KEYED] = key is not None
    at += _RECIPIENT
    memcpy(at, PyUnicode_DATA(recipient), digits)
    at += digits
    if key is not None:
        memcpy(at, PyBytes_AS_STRING(name), _HASH_SIZE)
        memcpy(at + _HASH_SIZE, PyBytes_AS_STRING(request), _HASH_SIZE)
        at += 2 * _HASH_SIZE
    memcpy(at, PyBytes_AS_STRING(body), size)
    return frame


def read_message(frame: memoryview, make, make_key):
    """``make(slot, epoch, id, kind, recipient, body, ttl, key)`` of a message frame of version 2.

    ``make_key(name, request)`` makes its key. ProtocolError for a frame of another shape.
    """
    cdef Py_buffer view
    PyObject_GetBuffer(frame, &view, PyBUF_SIMPLE)
    try:
        return _read(frame, <const uint8_t*>view.buf, view.len, make, make_key)
    finally:
        PyBuffer_Release(&view)


def ids(frame: memoryview, Py_ssize_t start) -> list[bytes]:
    """The ids that follow ``start``; ProtocolError if the last one is cut."""
    cdef Py_buffer view
    cdef const char* raw
    cdef Py_ssize_t at
    cdef list found = []
    PyObject_GetBuffer(frame, &view, PyBUF_SIMPLE)
    try:
        if view.len < start or (view.len - start) % _ID_SIZE:
            raise ProtocolError("malformed outcome frame")
        raw = <const char*>view.buf
        for at in range(start, view.len, _ID_SIZE):
            found.append(PyBytes_FromStringAndSize(raw + at, _ID_SIZE))
    finally:
        PyBuffer_Release(&view)
    return found


cdef object _read(object frame, const uint8_t* at, Py_ssize_t size, make, make_key):
    cdef Py_ssize_t key_at, body_at
    cdef uint64_t ttl
    if size < _RECIPIENT:
        raise ProtocolError("malformed message frame")
    key_at = body_at = _RECIPIENT + at[_KIND + 1]
    key = None
    if at[_KEYED]:
        body_at += 2 * _HASH_SIZE
    if at[1] >= _SLOTS or size < body_at:
        raise ProtocolError("malformed message frame")
    if at[_KEYED]:
        key = make_key(
            PyBytes_FromStringAndSize(<const char*>at + key_at, _HASH_SIZE),
            PyBytes_FromStringAndSize(<const char*>at + key_at + _HASH_SIZE, _HASH_SIZE),
        )
    ttl = _little(at + _TTL, 4)
    return make(
        at[1],
        _little(at + _EPOCH, 8),
        PyBytes_FromStringAndSize(<const char*>at + _ID, _ID_SIZE),
        at[_KIND],
        PyUnicode_DecodeASCII(<const char*>at + _RECIPIENT, key_at - _RECIPIENT, NULL),
        frame[body_at:],
        ttl if ttl else None,
        key,
    )


cdef inline void _put_little(uint8_t* at, uint64_t value, int size) noexcept nogil:
    cdef int i
    for i in range(size):
        at[i] = <uint8_t>(value >> (8 * i))


cdef inline uint64_t _little(const uint8_t* at, int size) noexcept nogil:
    cdef uint64_t value = 0
    cdef int i
    for i in range(size):
        value |= <uint64_t>at[i] << (8 * i)
    return value
