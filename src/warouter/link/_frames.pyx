# cython: nonecheck=True
"""A message between its frame and its commit, compiled. The form of a frame is told in ``wire``.

Sans-I/O. One object stands for a message on its whole way: it is a view of the frame that arrived,
has a place in its slot's journal once it is let in, and is the row that is appended. Bytes that
arrived are immutable, so nothing is copied but what the statement and the acks are made of.
Readable twin: tests/harness/reference.py.
"""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_FillInfo, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_DATA, PyUnicode_DecodeASCII, PyUnicode_GET_LENGTH
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from warouter._slots cimport _SLOTS
from warouter.errors import ProtocolError
from warouter.flow.lane_key import lane_of

cdef extern from "Python.h":
    bint PyUnicode_IS_COMPACT_ASCII(object)

cdef enum:
    _MESSAGE = 1
    _PREFIX = 4
    _ID_SIZE = 20
    _HASH_SIZE = 32
    # Where the fields of a message frame begin.
    _SLOT = 1
    _EPOCH = 2
    _ID = 10
    _KIND = 30
    _DIGITS = 31
    _TTL = 32
    _KEYED = 36
    _NUMBER = 37
    _RECIPIENT = 41

cdef uint8_t[_RECIPIENT] _EMPTY  # what a message views that nobody has filled yet


@cython.final
@cython.no_gc  # what it holds does not refer to it; ``owned`` and ``origin`` do, and are let go
@cython.freelist(256)
@cython.auto_pickle(False)
cdef class Message:
    """A message for the owner of ``slot`` under ``epoch``, and its row there, at ``seq``.

    Made from fields, or by ``read`` as a view of what arrived. Its buffer is its body. ``kind`` is
    one of ``kinds``, ``ttl`` in whole seconds (None: has none), ``key`` the hashes of its
    Idempotency-Key and of the request, ``number`` that of the business. ``owned`` (its Gate) and
    ``origin`` (who waits for its outcome) are set while it waits for its commit; ``aside`` if it is
    to have that flag (``flow.aside``). ValueError and OverflowError as ``message``.
    """

    cdef object _read  # keeps the frame's bytes where they are
    cdef const uint8_t* _at
    cdef Py_ssize_t _size
    cdef bytes _id
    cdef str _recipient
    cdef readonly int slot
    cdef readonly uint64_t epoch
    cdef readonly int kind
    cdef public int64_t seq
    cdef public bint aside
    cdef public object owned
    cdef public object origin

    def __cinit__(self):
        self._at = _EMPTY
        self._size = _RECIPIENT

    def __init__(self, slot, epoch, id, kind, recipient, body, ttl=None, key=None, number=1, seq=0):
        cdef bytes frame = message(slot, epoch, id, kind, recipient, bytes(body), ttl, key, number)
        if slot >= _SLOTS:
            raise ValueError(f"there is no slot {slot}")
        self._view(frame, <const uint8_t*>PyBytes_AS_STRING(frame), PyBytes_GET_SIZE(frame))
        self.seq = seq

    @property
    def id(self):
        if self._id is None:
            self._id = PyBytes_FromStringAndSize(<const char*>self._at + _ID, _ID_SIZE)
        return self._id

    @property
    def recipient(self):
        if self._recipient is None:
            self._recipient = PyUnicode_DecodeASCII(
                <const char*>self._at + _RECIPIENT, self._at[_DIGITS], NULL
            )
        return self._recipient

    @property
    def number(self):
        return <int32_t>_little(self._at + _NUMBER, 4)

    @property
    def lane(self):
        """The key of its lane, see ``flow.lane_key``."""
        cdef int32_t number = <int32_t>_little(self._at + _NUMBER, 4)
        return self.recipient if number == 1 else lane_of(number, self.recipient)

    @property
    def ttl(self):
        return _little(self._at + _TTL, 4) or None

    @property
    def key(self):
        cdef const char* at = <const char*>self._at + _RECIPIENT + self._at[_DIGITS]
        if not self._at[_KEYED]:
            return None
        return (
            PyBytes_FromStringAndSize(at, _HASH_SIZE),
            PyBytes_FromStringAndSize(at + _HASH_SIZE, _HASH_SIZE),
        )

    @property
    def body(self):
        return memoryview(self)

    @property
    def size(self):
        """Bytes of the body."""
        return self._body_size()

    cpdef tuple leave(self):
        """Leave the gate: it and the origin, which nothing refers to from here on."""
        cdef Gate gate = <Gate?>self.owned
        origin, self.owned, self.origin = self.origin, None, None
        gate.appending -= 1
        return gate, origin

    def __getbuffer__(self, Py_buffer* buffer, int flags):
        cdef Py_ssize_t size = self._body_size()
        PyBuffer_FillInfo(buffer, self, <void*>(self._at + self._size - size), size, 1, flags)

    cdef inline void _view(self, object read, const uint8_t* at, Py_ssize_t size) noexcept:
        self._read = read
        self._at = at
        self._size = size
        self.slot = at[_SLOT]
        self.epoch = _little(at + _EPOCH, 8)
        self.kind = at[_KIND]

    cdef inline Py_ssize_t _body_size(self) noexcept:
        return self._size - _body_at(self._at)


@cython.auto_pickle(False)
cdef class Gate:
    """Lets messages of ``slot`` in, while it ``accepts`` them and for its ``epoch`` only.

    ``messages`` gives them their seqs; ``appending`` counts those that wait for their commit.
    """

    cdef readonly int slot
    cdef readonly uint64_t epoch
    cdef public bint accepts
    cdef public Py_ssize_t appending
    cdef public object messages

    def __init__(self, slot, epoch, messages):
        self.slot = slot
        self.epoch = epoch
        self.messages = messages


def message(
    uint8_t slot, uint64_t epoch, bytes message_id not None, uint8_t kind, str recipient not None,
    bytes body not None, ttl=None, key=None, int32_t number=1,
) -> bytes:
    """The bytes of a message frame of version 3.

    ValueError for an id, a recipient or a key that no frame can hold, OverflowError for a number.
    """
    cdef Py_ssize_t digits = PyUnicode_GET_LENGTH(recipient), size = PyBytes_GET_SIZE(body)
    cdef uint32_t seconds = ttl or 0
    cdef bytes name, request, hashes = b"", frame
    cdef uint8_t* at
    if not PyUnicode_IS_COMPACT_ASCII(recipient) or digits > 255:
        raise ValueError("a recipient in a frame has up to 255 ASCII characters")
    if number < 1:
        raise ValueError(f"there is no number {number}")
    if PyBytes_GET_SIZE(message_id) != _ID_SIZE:
        raise ValueError(f"an id has {_ID_SIZE} bytes, not {len(message_id)}")
    if key is not None:
        name, request = key
        if len(name) != _HASH_SIZE or len(request) != _HASH_SIZE:
            raise ValueError(f"a key is two hashes of {_HASH_SIZE} bytes")
        hashes = name + request
    frame = PyBytes_FromStringAndSize(NULL, _RECIPIENT + digits + len(hashes) + size)
    at = <uint8_t*>PyBytes_AS_STRING(frame)
    at[0] = _MESSAGE
    at[_SLOT] = slot
    _put_little(at + _EPOCH, epoch, 8)
    memcpy(at + _ID, PyBytes_AS_STRING(message_id), _ID_SIZE)
    at[_KIND] = kind
    at[_DIGITS] = <uint8_t>digits
    _put_little(at + _TTL, seconds, 4)
    at[_KEYED] = key is not None
    _put_little(at + _NUMBER, number, 4)
    at += _RECIPIENT
    memcpy(at, PyUnicode_DATA(recipient), digits)
    memcpy(at + digits, PyBytes_AS_STRING(hashes), len(hashes))
    memcpy(at + digits + len(hashes), PyBytes_AS_STRING(body), size)
    return frame


def read(packed) -> tuple[list[Message], list[memoryview]]:
    """The messages in a buffer of whole frames of version 3, and views of its other frames.

    ProtocolError if a frame is cut, or a message of another shape.
    """
    cdef object view = memoryview(packed)  # nobody else has it, so that nobody releases it
    cdef list messages = [], others = []
    cdef Py_ssize_t left, size
    cdef const uint8_t* start = _bytes_of(view, &left)
    cdef const uint8_t* at = start
    while left:
        size = <Py_ssize_t>_little(at, _PREFIX) if left >= _PREFIX else left
        left -= _PREFIX + size
        if left < 0:
            raise ProtocolError("the last frame of an envelope is cut")
        at += _PREFIX
        if size and at[0] == _MESSAGE:
            messages.append(_message(view, at, size))
        else:
            others.append(view[at - start:at - start + size])
        at += size
    return messages, others


def admit(
    list messages not None, dict gates not None, origin, list queue not None,
    Py_ssize_t most, Py_ssize_t room,
) -> tuple[int, list[Message]]:
    """Append to ``queue`` those that the gates of their slots let in, up to ``most`` messages and
    ``room`` bytes. The bytes of these, and the other messages.
    """
    cdef list others = []
    cdef Py_ssize_t size, left = room
    cdef Message each
    cdef Gate gate
    cdef bint known
    for each in messages:
        size = each._body_size()
        gate = gates.get(each.slot)
        known = gate is not None and gate.accepts and gate.epoch == each.epoch
        if not known or most <= 0 or size > left:
            others.append(each)
            continue
        each.seq = gate.messages.take_seq()
        each.owned = gate
        each.origin = origin
        gate.appending += 1
        most -= 1
        left -= size
        queue.append(each)
    return room - left, others


def columns(list messages not None) -> tuple:
    """Columns of the statement that appends them: slots, seqs, ids, recipients, kinds, bodies,
    numbers, flags, and if one has a ttl or a key: ttls, names of keys, hashes of their requests.
    Kinds that are all 0 are None, unless these follow; so are numbers that are all 1, and flags of
    which none is set.
    """
    cdef list slots = [], seqs = [], ids = [], recipients = [], keys
    cdef bint kinds = False, requests = False, others = False, flags = False
    cdef object numbers, asides
    cdef Message each
    for each in messages:
        slots.append(each.slot)
        seqs.append(each.seq)
        ids.append(each.id)
        recipients.append(each.recipient)
        kinds |= each.kind != 0
        requests |= each._at[_KEYED] != 0 or _little(each._at + _TTL, 4) != 0
        others |= _little(each._at + _NUMBER, 4) != 1
        flags |= each.aside
    row = slots, seqs, ids, recipients, [m.kind for m in messages] if kinds or requests else None
    numbers = [m.number for m in messages] if others else None
    asides = [m.aside for m in messages] if flags else None
    if not requests:
        return *row, messages, numbers, asides
    keys = [each.key or (None, None) for each in messages]
    return (
        *row, messages, numbers, asides, [each.ttl for each in messages],
        [key[0] for key in keys], [key[1] for key in keys],
    )


def landed(list batch not None) -> tuple[dict, dict]:
    """Groups a batch that is on disk: ids by (origin, epoch), messages by gate, in order.

    Each leaves its gate.
    """
    cdef dict acks = {}, runs = {}
    cdef object gate, origin, before = None
    cdef uint64_t epoch = 0
    cdef list ids = [], run
    cdef Message each
    for each in batch:
        gate, origin = each.leave()
        if origin is not before or each.epoch != epoch or not acks:
            before, epoch = origin, each.epoch
            ids = acks.setdefault((origin, epoch), [])
        ids.append(each.id)
        run = runs.get(gate)
        if run is None:
            run = runs[gate] = []
        run.append(each)
    return acks, runs


def ids(frame, Py_ssize_t start) -> list[bytes]:
    """The ids that follow ``start``; ProtocolError if the last one is cut."""
    cdef Py_ssize_t size, at
    cdef const uint8_t* raw = _bytes_of(frame, &size)
    if size < start or (size - start) % _ID_SIZE:
        raise ProtocolError("malformed outcome frame")
    return [
        PyBytes_FromStringAndSize(<const char*>raw + at, _ID_SIZE)
        for at in range(start, size, _ID_SIZE)
    ]


cdef const uint8_t* _bytes_of(object view, Py_ssize_t* size) except? NULL:
    """Where the bytes of a view are, for as long as it lives."""
    cdef Py_buffer buffer
    PyObject_GetBuffer(view, &buffer, PyBUF_SIMPLE)
    size[0] = buffer.len
    PyBuffer_Release(&buffer)
    return <const uint8_t*>buffer.buf


cdef inline Message _message(object view, const uint8_t* at, Py_ssize_t size):
    cdef Message made
    if (size < _RECIPIENT or size < _body_at(at) or at[_SLOT] >= _SLOTS
            or not _ascii(at + _RECIPIENT, at[_DIGITS])
            or <int32_t>_little(at + _NUMBER, 4) < 1):
        raise ProtocolError("malformed message frame")
    made = Message.__new__(Message)
    made._view(view, at, size)
    return made


cdef inline Py_ssize_t _body_at(const uint8_t* at) noexcept nogil:
    return _RECIPIENT + at[_DIGITS] + (2 * _HASH_SIZE if at[_KEYED] else 0)


cdef inline bint _ascii(const uint8_t* at, int size) noexcept nogil:
    cdef uint8_t bits = 0
    cdef int i
    for i in range(size):
        bits |= at[i]
    return bits < 0x80


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
