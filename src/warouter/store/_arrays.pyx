"""PostgreSQL's one-dimensional arrays in their binary form, a whole column at a time.

asyncpg asks of each element whether it is an array, too, which takes most of the time that a commit
of many rows takes a coreapp. Sans-I/O: a column in, bytes out, and back.

Source of the form: array_send and array_recv in PostgreSQL's src/backend/utils/adt/arrayfuncs.c.
Big endian: dimensions, whether nulls are among them, the element's oid; for the one dimension, if
there are elements, how many, and the first one's number; then each as its length in bytes (-1 for
null) and as many bytes.
"""

cimport cython
from cpython.buffer cimport (
    PyBUF_SIMPLE,
    PyBuffer_Release,
    PyObject_CheckBuffer,
    PyObject_GetBuffer,
)
from cpython.bytes cimport (
    PyBytes_AS_STRING,
    PyBytes_Check,
    PyBytes_FromStringAndSize,
    PyBytes_GET_SIZE,
)
from cpython.long cimport PyLong_Check
from cpython.sequence cimport PySequence_Fast, PySequence_Fast_GET_ITEM, PySequence_Fast_GET_SIZE
from cpython.type cimport PyType_HasFeature
from cpython.unicode cimport PyUnicode_Check, PyUnicode_DecodeUTF8
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

cdef extern from "Python.h":
    const char* PyUnicode_AsUTF8AndSize(object, Py_ssize_t*) except NULL
    int _HEAP_TYPE "Py_TPFLAGS_HEAPTYPE"  # of each class that is written in Python

cdef enum:
    _INT8_OID = 20
    _INT2_OID = 21
    _BYTEA_OID = 17
    _TEXT_OID = 25
    _EMPTY = 12  # bytes of an array without elements
    _HEAD = 20  # bytes before the first element

cdef Py_ssize_t _LARGEST = 0x7FFFFFFF
_ELEMENTS = {"int2": _INT2_OID, "int8": _INT8_OID, "text": _TEXT_OID, "bytea": _BYTEA_OID}


@cython.final
@cython.auto_pickle(False)
cdef class ArrayCodec:
    """Arrays of ``element``: "int2" and "int8" (int), "text" (str), "bytea" (bytes, or a
    buffer of a type that is written in C).

    None is null. KeyError for another element.
    """

    cdef uint32_t _oid

    def __cinit__(self, element: str):
        self._oid = _ELEMENTS[element]

    def encode(self, column) -> bytes:
        """A list or tuple as an array.

        TypeError for an element of another type, OverflowError for a number that is too large,
        BufferError for a memoryview that is not contiguous, ValueError above 2 GiB.
        """
        cdef object fast = PySequence_Fast(column, "a column is a list or a tuple")
        cdef Py_ssize_t n = PySequence_Fast_GET_SIZE(fast)
        cdef Py_ssize_t i, size, total = _HEAD + 4 * n
        cdef bint nulls = False
        cdef bytes packed
        cdef uint8_t* at
        for i in range(n):
            size = self._size(<object>PySequence_Fast_GET_ITEM(fast, i))
            if size < 0:
                nulls = True
            else:
                total += size
        if total > _LARGEST:
            raise ValueError(f"an array of {total} bytes is above the limit of {_LARGEST}")
        packed = PyBytes_FromStringAndSize(NULL, total if n else _EMPTY)
        at = <uint8_t*>PyBytes_AS_STRING(packed)
        at = _put32(at, 1 if n else 0)
        at = _put32(at, nulls)
        at = _put32(at, self._oid)
        if n:
            at = _put32(at, <uint32_t>n)
            at = _put32(at, 1)
        for i in range(n):
            at = self._put(at, <object>PySequence_Fast_GET_ITEM(fast, i))
        return packed

    def decode(self, data: bytes) -> list:
        """The elements of an array; ValueError for bytes that are no array of this element."""
        cdef const uint8_t* at = <const uint8_t*>PyBytes_AS_STRING(data)
        cdef Py_ssize_t left = PyBytes_GET_SIZE(data) - _HEAD
        cdef Py_ssize_t _i, size
        cdef list column = []
        if left == _EMPTY - _HEAD and _get32(at) == 0 and _get32(at + 8) == self._oid:
            return column
        if left < 0 or _get32(at) != 1 or _get32(at + 8) != self._oid:
            raise ValueError("not an array of one dimension and this type")
        n = _get32(at + 12)
        at += _HEAD
        for _i in range(n):
            left -= 4
            size = <int32_t>_get32(at) if left >= 0 else -1
            at += 4
            if left < max(size, 0):
                raise ValueError("the array is cut")
            if size < 0:
                column.append(None)
                continue
            column.append(self._get(at, size))
            at += size
            left -= size
        if left:
            raise ValueError(f"{left} bytes after the array")
        return column

    cdef Py_ssize_t _size(self, object value) except -2:
        """How many bytes it takes, -1 for None. Nothing here runs Python code, so that no size can
        change before it is written.
        """
        cdef Py_ssize_t size
        cdef Py_buffer view
        if value is None:
            return -1
        if self._oid == _INT8_OID or self._oid == _INT2_OID:
            if not PyLong_Check(value):
                raise TypeError(f"a number is an int, not {type(value).__name__}")
            return 8 if self._oid == _INT8_OID else 2
        if self._oid == _TEXT_OID:
            if not PyUnicode_Check(value):
                raise TypeError(f"a text is a str, not {type(value).__name__}")
            PyUnicode_AsUTF8AndSize(value, &size)
            return size
        if PyBytes_Check(value):
            return PyBytes_GET_SIZE(value)
        if not PyObject_CheckBuffer(value) or PyType_HasFeature(type(value), _HEAP_TYPE):
            raise TypeError(f"a payload is bytes or a buffer, not {type(value).__name__}")
        PyObject_GetBuffer(value, &view, PyBUF_SIMPLE)
        PyBuffer_Release(&view)
        return view.len

    cdef uint8_t* _put(self, uint8_t* at, object value) except NULL:
        cdef Py_ssize_t size
        cdef const char* text
        cdef Py_buffer view
        if value is None:
            return _put32(at, <uint32_t>-1)
        if self._oid == _INT8_OID:
            return _put64(_put32(at, 8), <uint64_t><int64_t>value)
        if self._oid == _INT2_OID:
            return _put16(_put32(at, 2), <int16_t>value)
        if self._oid == _TEXT_OID:
            text = PyUnicode_AsUTF8AndSize(value, &size)
            return _put_bytes(at, text, size)
        if PyBytes_Check(value):
            return _put_bytes(at, PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value))
        PyObject_GetBuffer(value, &view, PyBUF_SIMPLE)
        at = _put_bytes(at, view.buf, view.len)
        PyBuffer_Release(&view)
        return at

    cdef object _get(self, const uint8_t* at, Py_ssize_t size):
        if self._oid == _TEXT_OID:
            return PyUnicode_DecodeUTF8(<const char*>at, size, NULL)
        if self._oid == _BYTEA_OID:
            return PyBytes_FromStringAndSize(<const char*>at, size)
        if size != (8 if self._oid == _INT8_OID else 2):
            raise ValueError(f"a number of {size} bytes")
        if self._oid == _INT2_OID:
            return <int16_t>(at[0] << 8 | at[1])
        return <int64_t>(<uint64_t>_get32(at) << 32 | _get32(at + 4))


cdef inline uint8_t* _put_bytes(uint8_t* at, const void* data, Py_ssize_t size) noexcept nogil:
    at = _put32(at, <uint32_t>size)
    memcpy(at, data, size)
    return at + size


cdef inline uint8_t* _put16(uint8_t* at, int16_t value) noexcept nogil:
    at[0] = <uint8_t>(value >> 8)
    at[1] = <uint8_t>value
    return at + 2


cdef inline uint8_t* _put32(uint8_t* at, uint32_t value) noexcept nogil:
    cdef int i
    for i in range(4):
        at[i] = <uint8_t>(value >> (24 - 8 * i))
    return at + 4


cdef inline uint8_t* _put64(uint8_t* at, uint64_t value) noexcept nogil:
    return _put32(_put32(at, <uint32_t>(value >> 32)), <uint32_t>value)


cdef inline uint32_t _get32(const uint8_t* at) noexcept nogil:
    return (
        <uint32_t>at[0] << 24 | <uint32_t>at[1] << 16 | <uint32_t>at[2] << 8 | <uint32_t>at[3]
    )
