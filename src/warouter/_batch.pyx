"""Length-prefixed frames in one buffer: a u32, little endian, then as many bytes of payload.

Sans-I/O: bytes in, views out. Bytes that arrived are immutable, so a frame is a view of them and
nothing is copied on the way, but for the frame that a read cut in two. A view keeps its buffer
alive; whoever keeps a frame for long and wants the rest of the read freed copies it.
Readable twin: tests/harness/reference.py.
"""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytearray cimport PyByteArray_AS_STRING
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcpy

from warouter.errors import FrameTooLarge

cdef enum:
    _PREFIX = 4
    _MOST_SKIPPED = 64  # frames; who announces more has lost the framing

cdef Py_ssize_t _LARGEST = 0xFFFFFFFF


def pack(payloads: list[bytes | bytearray | memoryview]) -> bytes:
    """All payloads as frames in one buffer, ready for one write: one allocation, one copy.

    TypeError for any other type, BufferError for a memoryview that is not contiguous, ValueError
    for a payload that is longer than its u32 can say.
    """
    cdef Py_ssize_t total = 0
    cdef bytes packed
    cdef uint8_t* at
    for payload in payloads:
        total += _PREFIX + _size(payload)
    packed = PyBytes_FromStringAndSize(NULL, total)
    at = <uint8_t*>PyBytes_AS_STRING(packed)
    for payload in payloads:
        at = _put(at, payload)
    return packed


def split(buffer) -> list[memoryview]:
    """Views of the payloads in a buffer of whole frames; ValueError if the last one is cut."""
    cdef const uint8_t[::1] raw = buffer
    cdef Py_ssize_t size = raw.shape[0]
    cdef Py_ssize_t start = 0, end
    cdef list frames = []
    view = memoryview(buffer)
    while start < size:
        if size - start < _PREFIX:
            raise ValueError(f"{size - start} bytes after the last whole frame")
        end = start + _PREFIX + _length(&raw[start])
        if end > size:
            raise ValueError(f"the last frame lacks {end - size} bytes")
        frames.append(view[start + _PREFIX:end])
        start = end
    return frames


@cython.final
@cython.auto_pickle(False)
cdef class Splitter:
    """Cuts one connection's byte stream into frames, however its reads fell.

    ``max_frame`` is the longest payload in bytes that is taken. A longer announcement raises
    FrameTooLarge before anything is allocated for it, the frames of that read are lost with it,
    and from then on `feed` raises ValueError: the connection can only be closed.

    With ``keep``, at most ``max_frame``, a frame of up to 64 times ``max_frame`` is no error: a
    view of its first ``keep`` bytes stands in its place, and the rest is thrown away as it comes.
    """

    cdef Py_ssize_t _max_frame
    cdef Py_ssize_t _keep
    cdef Py_ssize_t _skip  # so much that follows is the rest of a frame that was too large
    cdef bint _broken
    # The beginning of an unfinished frame. A bytearray grows geometrically, so a frame in many
    # reads is copied in linear time, and a peer that sends it byte by byte costs no more memory.
    # Once a view of it is handed out it is never touched again: a fresh one takes its place.
    cdef bytearray _tail

    def __cinit__(self, Py_ssize_t max_frame, Py_ssize_t keep=0):
        if keep > max_frame:
            raise ValueError("keep must not exceed the largest frame")
        self._max_frame = max_frame
        self._keep = keep
        self._skip = 0
        self._broken = False
        self._tail = bytearray()

    def feed(self, data: bytes) -> list[memoryview]:
        """Read-only views of the payloads that these bytes complete, in order."""
        cdef list frames = []
        cdef Py_ssize_t start = 0
        if self._broken:
            raise ValueError("nothing is taken after a frame that was too large")
        if self._skip:
            start = self._over(data, 0, self._skip)
        if self._tail:
            start = self._finish(data, frames)
        start = self._cut(data, start, frames)
        if start < len(data):
            self._tail += memoryview(data)[start:]
        return frames

    def allow(self, max_frame: int) -> None:
        """Take payloads of up to ``max_frame`` bytes from the next `feed` on."""
        self._max_frame = max_frame

    def pending(self) -> int:
        """How many bytes of an unfinished frame are held."""
        return len(self._tail)

    cdef Py_ssize_t _finish(self, bytes data, list frames) except -1:
        """Feed the held frame until it is whole or ``data`` is used up; where the rest begins."""
        cdef Py_ssize_t length, taken, start = self._extend(data, 0, _PREFIX)
        if len(self._tail) < _PREFIX:
            return start
        length = _length(<const uint8_t*>PyByteArray_AS_STRING(self._tail))
        taken = self._taken(length)
        start = self._extend(data, start, _PREFIX + taken)
        if len(self._tail) == _PREFIX + taken:
            frames.append(memoryview(self._tail).toreadonly()[_PREFIX:])
            self._tail = bytearray()
            start = self._over(data, start, length - taken)
        return start

    cdef Py_ssize_t _extend(self, bytes data, Py_ssize_t start, Py_ssize_t upto) except -1:
        """Lengthen the held frame to ``upto`` bytes, or by what there is."""
        cdef Py_ssize_t end = min(len(data), start + upto - len(self._tail))
        if end <= start:
            return start
        self._tail += memoryview(data)[start:end]
        return end

    cdef Py_ssize_t _cut(self, bytes data, Py_ssize_t start, list frames) except -1:
        """Append a view of each whole frame from ``start`` on; where the unfinished one begins."""
        cdef const uint8_t* raw = <const uint8_t*>PyBytes_AS_STRING(data)
        cdef Py_ssize_t size = len(data)
        cdef Py_ssize_t length, taken, end
        view = memoryview(data)
        while size - start >= _PREFIX:
            length = _length(raw + start)
            taken = self._taken(length)
            end = start + _PREFIX + taken
            if end > size:
                break
            frames.append(view[start + _PREFIX:end])
            start = end if taken == length else self._over(data, end, length - taken)
        return start

    cdef Py_ssize_t _taken(self, Py_ssize_t length) except -1:
        """Bytes of a frame of this length that are handed out."""
        if length <= self._max_frame:
            return length
        if not self._keep or length > _MOST_SKIPPED * self._max_frame:
            self._broken = True
            self._tail = bytearray()
            raise FrameTooLarge(length, self._max_frame)
        return self._keep

    cdef Py_ssize_t _over(self, bytes data, Py_ssize_t start, Py_ssize_t rest) except -1:
        """Pass over the rest of a frame, as far as there is any; where the next one begins."""
        cdef Py_ssize_t here = min(rest, len(data) - start)
        self._skip = rest - here
        return start + here


cdef Py_ssize_t _size(object payload) except -1:
    # Exactly these types: none of them runs Python code when it is read, so that the size cannot
    # change between the counting and the copying.
    cdef Py_ssize_t size
    if type(payload) is bytes or type(payload) is bytearray:
        size = len(payload)
    elif type(payload) is memoryview:
        size = payload.nbytes
    else:
        raise TypeError(
            f"a payload is bytes, bytearray or memoryview, not {type(payload).__name__}"
        )
    if size > _LARGEST:
        raise ValueError(f"a payload of {size} bytes is above the limit of {_LARGEST}")
    return size


cdef uint8_t* _put(uint8_t* at, object payload) except NULL:
    cdef Py_buffer view
    if type(payload) is bytes:
        return _frame(at, PyBytes_AS_STRING(payload), PyBytes_GET_SIZE(payload))
    PyObject_GetBuffer(payload, &view, PyBUF_SIMPLE)
    at = _frame(at, view.buf, view.len)
    PyBuffer_Release(&view)
    return at


cdef inline uint8_t* _frame(uint8_t* at, const void* payload, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(_PREFIX):
        at[i] = <uint8_t>(size >> (8 * i))
    memcpy(at + _PREFIX, payload, size)
    return at + _PREFIX + size


cdef inline Py_ssize_t _length(const uint8_t* prefix) noexcept nogil:
    cdef uint32_t length = (
        <uint32_t>prefix[0] | <uint32_t>prefix[1] << 8
        | <uint32_t>prefix[2] << 16 | <uint32_t>prefix[3] << 24
    )
    return length
