"""Plain messages, compiled: from a client's read to the offer, and from the outcome to the answer.

Taken is only what ``fastpath``, the readable twin, takes as well, and of that what nearly all
senders write: a whole request in one read, whose head has come before, and a body that ``_scan``
takes. Anything else goes to the connection as it came.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport int32_t, uint8_t, uint64_t
from libc.stdio cimport sprintf
from libc.string cimport memcmp, memcpy, memset
from libc.time cimport time
from posix.time cimport CLOCK_MONOTONIC, CLOCK_REALTIME, clock_gettime, timespec

from os import urandom

from warouter._hash cimport ID_LETTERS, ID_RANDOM, ID_SIZE, put_id, slot_of_digits, spell_id
from warouter._slots cimport _SLOTS
from warouter.api.messages._scan cimport MOST_DIGITS, scanned
from warouter.errors import ApiError
from warouter.link import pending as _pending

cdef enum:
    # Of a message frame of link version 3, whose message is an ordinary one without ttl and key.
    _EPOCH = 2
    _ID = 10
    _KIND = 30
    _NUMBER = 37
    _RECIPIENT = 41
    _DRAWN = 512  # ids whose random parts are drawn at once: the system call costs more than an id
    _NUMBER_SIZE = 17  # of a request's number as text


@cython.final
@cython.auto_pickle(False)
cdef class Known:
    """A plain head that came before, with the length of its body and its caller.

    It holds as long as its realm is at ``generation`` and the caller's token or key has not ended.
    """

    cdef readonly bytes head
    cdef readonly Py_ssize_t length
    cdef readonly object caller
    cdef readonly object realm
    cdef readonly int32_t number  # the caller's
    cdef readonly long generation
    cdef public double ends  # time.monotonic(), as is
    cdef readonly double used  # when it came last

    def __init__(
        self,
        bytes head not None,
        Py_ssize_t length,
        caller,
        double ends,
        realm,
        long generation,
    ):
        self.head, self.length, self.caller = head, length, caller
        self.ends, self.realm, self.generation = ends, realm, generation
        self.number = caller.number
        self.used = _monotonic()


@cython.final
@cython.auto_pickle(False)
cdef class Message:
    """A plain message on its way: a ``link.pending.WaitingMessage``, whose frame is all of it."""

    cdef readonly bytes id, frame
    cdef readonly int slot
    cdef readonly Py_ssize_t size
    cdef readonly double deadline
    cdef readonly object done
    cdef public long long epoch
    cdef public object via
    cdef public int offers
    cdef public bint refused


@cython.final
@cython.auto_pickle(False)
cdef class Plain:
    """State that all connections share: known ``heads``, the way to the owners, answers to write.

    ``taken`` counts requests, ``under_way`` those of them that have no answer yet.
    """

    cdef readonly dict heads
    cdef dict _newest  # the generation of each realm's heads
    cdef public bint leaving
    cdef readonly uint64_t taken
    cdef readonly Py_ssize_t under_way
    cdef object _path, _registered, _links, _admit, _call_soon
    cdef dict _held
    cdef long long[::1] _weights
    cdef list _straight
    cdef double _hold
    cdef Py_ssize_t _half, _half_bytes, _least_weight
    cdef bytes _random, _names, _head, _middle, _end
    cdef int _drawn
    cdef unsigned long _number
    cdef long _second
    cdef list _ended  # clients whose answer is to be written

    def __init__(self, path, registered, links, admit, call_soon):
        self._path, self._registered = path, registered
        self._links, self._straight, self._hold = links, links.straight, links.hold
        self._admit, self._call_soon = admit, call_soon
        self._held, self._weights = links.held.entries, links.held.weights
        self._half, self._half_bytes = _pending.MAX_HELD // 2, _pending.MAX_HELD_BYTES // 2
        self._least_weight = _pending.LEAST_WEIGHT
        self.heads, self._newest = {}, {}
        self._names = urandom(4).hex().encode() + b"-"
        self._drawn = _DRAWN
        self._ended = []

    def remember(self, Known known not None, int most) -> None:
        """Keep a head; those of its realm that are older go, and with so ``most`` others the oldest
        quarter of all.
        """
        if self._newest.get(known.realm, known.generation) != known.generation:
            self.forget(known.realm)
        self._newest[known.realm] = known.generation
        if len(self.heads) >= most:
            self._forget(list(self.heads.values())[: max(most // 4, 1)])
        self.heads.setdefault(known.head, known)

    def forget(self, realm) -> None:
        """Let all heads of a realm go, with the tokens and keys in them."""
        self._newest.pop(realm, None)
        self._forget([known for known in self.heads.values() if known.realm is realm])

    cdef int _forget(self, list gone) except -1:
        cdef Known known
        for known in gone:
            del self.heads[known.head]
            known.head = b""
        return 0

    cdef Message _message(self, Known known, bytes data, double now):
        """The message of a whole request with a known head; None if it is not taken."""
        cdef uint8_t[MOST_DIGITS] digits
        cdef const uint8_t* body = <const uint8_t*>PyBytes_AS_STRING(data) + len(known.head)
        cdef int size
        if known.generation != <long>known.realm.generation or now >= known.ends:
            self.forget(known.realm)
            return None
        if known.number not in self._registered.known:
            return None
        known.used = now
        size = scanned(body, known.length, digits)
        return self._framed(known, digits, size, body, now) if size else None

    cdef Message _framed(
        self, Known known, const uint8_t* digits, int count, const uint8_t* body, double now
    ):
        """A new message in the frame in which it travels, but for its epoch."""
        cdef Message message = Message.__new__(Message)
        cdef Py_ssize_t size = known.length
        cdef uint8_t* at
        message.size = size
        message.deadline = now + self._hold
        message.epoch = -1
        message.slot = slot_of_digits(digits, count)
        message.frame = PyBytes_FromStringAndSize(NULL, _RECIPIENT + count + size)
        at = <uint8_t*>PyBytes_AS_STRING(message.frame)
        memset(at, 0, _RECIPIENT)
        at[0] = 1
        at[1] = <uint8_t>message.slot
        put_id(at + _ID, at[1], _wall_ms(), self._chance())
        at[_KIND + 1] = <uint8_t>count
        memcpy(at + _NUMBER, &known.number, 4)
        memcpy(at + _RECIPIENT, digits, count)
        memcpy(at + _RECIPIENT + count, body, size)
        message.id = PyBytes_FromStringAndSize(<const char*>at + _ID, ID_SIZE)
        return message

    cdef int _send(self, Message message) except -1:
        """Hold it, and send it to its slot's owner, or let Links find a way."""
        cdef Py_ssize_t size = self._weights[_SLOTS] + message.size
        if len(self._held) >= self._half or size >= self._half_bytes:
            self._links.check(message.slot, message.size)
        self._held[message.id] = message
        self._weights[message.slot] += message.size + self._least_weight
        self._weights[_SLOTS] = size
        way = self._straight[message.slot]
        if way is None:
            self._links.send(message)
            return 0
        message.epoch, message.via = (<tuple>way)[0], (<tuple>way)[1]
        message.offers = 1
        # Nobody else has seen these bytes yet; a repeat under another epoch is a copy.
        memcpy(PyBytes_AS_STRING(message.frame) + _EPOCH, &message.epoch, 8)
        (<tuple>way)[2](message.frame)
        return 0

    cdef const char* _chance(self) except NULL:
        if self._drawn == _DRAWN:
            self._random, self._drawn = urandom(ID_RANDOM * _DRAWN), 0
        self._drawn += 1
        return PyBytes_AS_STRING(self._random) + ID_RANDOM * (self._drawn - 1)

    cdef int _done(self, Client client, object outcome) except -1:
        if not self._ended:  # written together: who has many connections wakes up once for all
            self._call_soon(self.write)
        client.outcome = outcome
        self._ended.append(client)
        return 0

    cdef int _tell_time(self) except -1:
        """The parts of a 201 around its ids, made anew each second."""
        cdef long second = time(NULL)
        if second != self._second:
            self._head, self._middle, self._end = self._path.around(second)
            self._second = second
        return 0

    cdef bytes _created(self, bytes raw):
        """The 201 that names an id, which has 20 bytes."""
        cdef char[_NUMBER_SIZE] number
        cdef bytes answer
        cdef int digits
        self._number += 1
        digits = sprintf(number, b"%lx", self._number)
        answer = PyBytes_FromStringAndSize(
            NULL,
            len(self._head) + len(self._names) + digits + len(self._middle) + ID_LETTERS
            + len(self._end),
        )
        cdef char* at = _put(PyBytes_AS_STRING(answer), self._head)
        at = _put(at, self._names)
        memcpy(at, number, digits)
        at = _put(at + digits, self._middle)
        spell_id(<const uint8_t*>PyBytes_AS_STRING(raw), at)
        _put(at + ID_LETTERS, self._end)
        return answer

    def write(self) -> None:
        """Write the answers of this turn of the loop, each to its connection."""
        cdef list ended = self._ended
        cdef Client client
        cdef double now = _monotonic(), seconds = 0.0
        cdef Py_ssize_t created = 0
        cdef int status
        self._ended = []
        self._tell_time()
        for client in ended:
            status = client.tell(now)
            self.under_way -= 1
            if status == 201:
                created += 1
                seconds += now - client.began
            else:
                self._path.count(status, 1, now - client.began)
        if created:
            self._path.count(201, created, seconds)


@cython.final
@cython.auto_pickle(False)
cdef class Client:
    """One connection: its plain requests, and the answer to the one that is under way.

    It is a ``http.plain.Client``; ``otherwise`` gets each read that is not taken here.
    """

    cdef public bint waits
    cdef Plain plain
    cdef object connection, otherwise
    cdef Known known  # the last head
    cdef double began
    cdef object outcome

    def __init__(self, Plain plain not None, connection, otherwise):
        self.plain, self.connection, self.otherwise = plain, connection, otherwise

    def data_received(self, bytes data not None) -> None:
        """Take a plain request, or pass the bytes on."""
        if not self.waits or not self._take(data):
            self.waits = False
            self.otherwise(data)

    def take(self, head, bytes request not None) -> bool:
        """Offer a whole plain request to the Python path; False if it declines."""
        return self.plain._path.take(head, request, self)

    def ask(self, message, caller) -> None:
        """Offer the message of a plain request, and answer once its outcome is known."""
        self._ask(message, caller, _monotonic())

    def __call__(self, outcome) -> None:
        """The outcome of the message: its id, or an ApiError."""
        self.plain._done(self, outcome)

    cdef bint _take(self, bytes data) except -1:
        cdef Message message
        cdef double now = _monotonic()
        cdef Known known = self._head_of(data)
        if known is None or len(data) != len(known.head) + known.length:
            return False
        message = self.plain._message(known, data, now)
        if message is None:
            return False
        message.done = self
        self._ask(message, known.caller, now)
        return True

    cdef Known _head_of(self, bytes data):
        """The known head at the beginning of ``data``."""
        cdef Known known = self.known
        cdef Py_ssize_t size
        if known is not None:
            size = len(known.head)
            if 0 < size < len(data) and not memcmp(<char*>data, <char*>known.head, size):
                return known
        size = data.find(b"\r\n\r\n") + 4
        known = self.plain.heads.get(data[:size])
        self.known = known
        return known

    cdef int _ask(self, object message, object caller, double now) except -1:
        cdef Plain plain = self.plain
        self.waits, self.began = False, now
        plain.taken += 1
        plain.under_way += 1
        self.connection.asked(now)
        try:
            if plain._admit is not None:
                plain._admit(caller)
            if type(message) is Message:
                plain._send(<Message>message)
            else:
                plain._links.offer(message, self)
        except ApiError as error:
            plain._done(self, error)
        return 0

    cdef int tell(self, double now) except -1:
        """Write the answer; its status, 0 if the client has gone."""
        cdef object answer, outcome = self.outcome
        cdef int status = 201
        self.outcome = None
        try:
            if type(outcome) is bytes and not self.plain.leaving:
                answer = self.plain._created(<bytes>outcome)
            else:
                status, answer = self.plain._path.rare(outcome, self.plain.leaving)
            if not self.connection.answer(answer, now, self.plain.leaving):
                return 0
        except Exception as error:  # one connection's, not that of those behind it
            self.connection.broke(error)
        return status


cdef inline char* _put(char* at, bytes part) noexcept:
    memcpy(at, PyBytes_AS_STRING(part), len(part))
    return at + len(part)


cdef inline double _monotonic() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return now.tv_sec + now.tv_nsec * 1e-9


cdef inline uint64_t _wall_ms() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_REALTIME, &now)
    return <uint64_t>now.tv_sec * 1000 + <uint64_t>now.tv_nsec // 1_000_000
