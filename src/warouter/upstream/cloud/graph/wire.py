"""One connection to the Graph API, which carries one request at a time.

The sockets are ours, without a transport: a transport may keep bytes for later, and a request that
leaves later than its owner decided may leave after its owner's lease. Rules of this file:
  * ``may_begin`` is asked immediately before the request goes to the kernel, in one write;
  * it is asked again after that: a process that stood still in between has begun too late, and cuts
    the connection, which is all that it can do then;
  * what the kernel does not take at once is written on only while ``may_begin`` holds, and dropped
    else: an unfinished request is never taken;
  * however it ends, also by the end of this process, nothing of it is sent any more
    (``net.sockets.end_with_process``);
  * any byte outside of a valid, expected response closes the connection.
"""

from __future__ import annotations

import asyncio
import enum
import socket
import ssl
from collections.abc import Callable

from warouter.net.sockets import unacknowledged
from warouter.upstream.cloud.graph.response import Response

RECEIVE_BYTES = 64 * 1024
MOST_READS = 16  # in one turn of the loop

MayBegin = Callable[[], bool]
# With the answer, or None if there is none.
Told = Callable[[Response | None], None]


class Begun(enum.Enum):
    """The outcome of an attempt to write a request."""

    BEGUN = enum.auto()
    REFUSED = enum.auto()  # by may_begin; no byte was written
    GONE = enum.auto()  # the connection has ended before; no byte was written


class Tls:
    """TLS over bytes, so that nothing is written but by the connection itself."""

    def __init__(self, context: ssl.SSLContext, name: str, session: ssl.SSLSession | None) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._incoming, self._outgoing, server_hostname=name, session=session
        )

    @property
    def session(self) -> ssl.SSLSession | None:
        """The session that another connection can resume, once something was read."""
        return self._tls.session

    async def shake_hands(self, sock: socket.socket) -> None:
        """Do the handshake; OSError (ssl.SSLError among them) if it fails."""
        loop = asyncio.get_running_loop()
        while not self._greeted():
            if said := self._outgoing.read():
                await loop.sock_sendall(sock, said)
            self._hear(await loop.sock_recv(sock, RECEIVE_BYTES))
        if said := self._outgoing.read():
            await loop.sock_sendall(sock, said)

    def _greeted(self) -> bool:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def sealed(self, data: bytes) -> bytes:
        """The records of this data, all of them, to be written next."""
        rest = memoryview(data)
        while rest:
            rest = rest[self._tls.write(rest) :]
        return self._outgoing.read()

    def opened(self, data: bytes) -> tuple[bytes, bool, str]:
        """The content of what came (b"": the peer's end), whether the peer has ended it in order,
        and what is wrong after this content, else "".

        An end that TLS did not announce is wrong.
        """
        self._hear(data)
        parts = []
        try:
            while part := self._tls.read(RECEIVE_BYTES):
                parts.append(part)
                if not self._incoming.pending and not self._tls.pending():
                    return b"".join(parts), False, ""  # as below, without an exception
        except ssl.SSLWantReadError:
            return b"".join(parts), False, ""
        except ssl.SSLError as error:
            return b"".join(parts), False, f"TLS: {error.reason or 'broken'}"
        return b"".join(parts), True, ""

    def _hear(self, data: bytes) -> None:
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()


class Wire:
    """Takes over a connected socket; ``ended`` is called when its end was noticed."""

    def __init__(self, sock: socket.socket, tls: Tls | None, ended: Callable[[Wire], None]) -> None:
        self._sock = sock
        self._tls = tls
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self.born = self.free_since = self._loop.time()
        self.fresh = True  # nobody has used it yet
        self.open = True
        self.late = False  # a request began too late
        self.cause = ""  # why it ended
        self._told: Told | None = None  # called with the answer of the request that is out
        self._response = Response()
        self._until = 0.0  # when that answer is waited for no longer
        self._timer: asyncio.TimerHandle | None = None
        self._unsent: memoryview | None = None
        self._may_begin: MayBegin = bool
        self._loop.add_reader(sock, self._readable)

    @property
    def busy(self) -> bool:
        """True while a request is out."""
        return self._told is not None

    @property
    def session(self) -> ssl.SSLSession | None:
        return self._tls.session if self._tls is not None else None

    def begin_request(self, request: bytes, may_begin: MayBegin, until: float, told: Told) -> Begun:
        """Write a request, if that may be. ``told`` is called with its complete answer, or with
        None once the connection has ended without one, which it does at ``until`` (loop's time).
        """
        self._readable()  # the peer may have ended it, and nobody has looked yet
        if not self.open:
            return Begun.GONE
        if not may_begin():
            return Begun.REFUSED
        try:
            data = request if self._tls is None else self._tls.sealed(request)
            if self._tls is not None and not may_begin():
                self.close("refused")  # TLS counts its records: this one cannot be left out
                return Begun.REFUSED
            sent = self._sock.send(data)
        except OSError as error:
            self.close(_said(error))
            return Begun.GONE
        self._told, self._may_begin = told, may_begin
        self._written(memoryview(data)[sent:])
        self._response = Response()
        self._wait(until)
        return Begun.BEGUN

    def close(self, cause: str) -> None:
        """End it, whatever it carries; what has not left this host never will."""
        if not self.open:
            return
        self.open, self.cause = False, cause
        self._loop.remove_reader(self._sock)
        self._stop_writing()
        self._sock.close()
        if self._timer is not None:
            self._timer.cancel()
        told, self._told = self._told, None
        self._ended(self)
        if told is not None:
            told(None)

    def cut(self) -> None:
        """End it if the peer may not have all of the request that is out."""
        if self.busy and (self._unsent is not None or unacknowledged(self._sock) > 0):
            self.close("cut")

    def _wait(self, until: float) -> None:
        """One timer for all requests: it is set anew when it fires, and they come one by one."""
        self._until = until
        if self._timer is None or self._timer.when() > until:
            self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._until, self._overdue) if self.busy else None

    def _overdue(self) -> None:
        self._timer = None
        if self.busy and self._loop.time() >= self._until:
            self.close("no answer in time")
        else:
            self._set_timer()

    def _written(self, rest: memoryview) -> None:
        """Look at the clock after a write, and write the rest when the kernel has room."""
        if not self._may_begin():
            self.late = True
            self.close("late")
        elif rest and self._unsent is None:
            self._unsent = rest
            self._loop.add_writer(self._sock, self._writable)
        elif rest:
            self._unsent = rest
        else:
            self._stop_writing()

    def _writable(self) -> None:
        rest = self._unsent
        if rest is None or not self._may_begin():
            self.close("unfinished")
            return
        try:
            sent = self._sock.send(rest)
        except BlockingIOError:
            return
        except OSError as error:
            self.close(_said(error))
            return
        self._written(rest[sent:])

    def _stop_writing(self) -> None:
        if self._unsent is not None:
            self._unsent = None
            self._loop.remove_writer(self._sock)

    def _readable(self) -> None:
        """Take all that has come, up to an answer: uvloop tells of an error once, with what came
        before it.
        """
        for _ in range(MOST_READS):
            if not (self.open and self._receive()):
                return

    def _receive(self) -> bool:
        """Take some of what has come; False if there is nothing, or an answer is complete."""
        try:
            data = self._sock.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return False
        except OSError as error:
            self.close(_said(error))
            return False
        busy = self.busy
        content, over, wrong = (data, not data, "") if self._tls is None else self._tls.opened(data)
        self._heard(content, over, wrong)
        return self.busy or not busy

    def _heard(self, content: bytes, over: bool, wrong: str) -> None:
        """Take what came; whoever is told of an answer may begin the next request at once."""
        told = self._told
        if told is None:
            if content or over or wrong:
                unasked = "spoke unasked" if content else wrong
                self.close("ended by the other side" if over else unasked)
            return
        response = self._response
        response.feed(content)
        if over:
            response.end()
        if response.broken:
            self.close(response.broken)
        elif response.complete:
            # An answer counts, also when it came before the whole request was written.
            self._told = None
            if over or wrong or self._unsent is not None or not response.reusable:
                self.close("answered")
            told(response)
        elif wrong:
            self.close(wrong)


def _said(error: OSError) -> str:
    return error.strerror or type(error).__name__
