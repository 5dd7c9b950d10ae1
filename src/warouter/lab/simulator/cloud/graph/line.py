"""The line between the Graph side and its callers, which can go deaf or be cut.

*Deaf*: nothing is read and nothing answered, while this machine's kernel goes on taking bytes;
what lies there is read in the end, also of callers that are gone by then.
*Cut*: a filter on each socket lets the kernel drop every segment before it is acknowledged, resets
and new connections too. So what was sent lies in the kernel of the other side, which repeats it;
when the line is mended, what that kernel still has arrives. A closed one has nothing.
"""

from __future__ import annotations

import contextlib
import ctypes
import socket
import struct
from collections.abc import Callable, Iterable
from typing import Generic, Protocol, TypeVar

from warouter.lab.simulator.cloud.columns import NEVER

_ATTACH, _DETACH = 26, 27  # SO_ATTACH_FILTER, SO_DETACH_FILTER of Linux
_RETURN_0 = struct.pack("HBBI", 0x06, 0, 0, 0)  # BPF: accept no byte of the segment


class LineCaller(Protocol):
    """A connection as the line sees it."""

    def socket(self) -> socket.socket | None: ...

    def pause(self) -> None:
        """Read nothing more."""
        ...

    def resume(self) -> None:
        """Read again."""
        ...


C = TypeVar("C", bound=LineCaller)


class GraphLine(Generic[C]):
    """The state of the line; times are monotonic seconds."""

    def __init__(self) -> None:
        self.callers: set[C] = set()
        self._listeners: tuple[socket.socket, ...] = ()
        self._deaf = NEVER
        self._cut = NEVER
        self._waiting: list[Callable[[], None]] = []

    @property
    def silent(self) -> bool:
        """True while nothing may be written."""
        return self._deaf != NEVER or self._cut != NEVER

    def when_open(self, then: Callable[[], None]) -> None:
        """Do it now, or once the line is mended."""
        if self.silent:
            self._waiting.append(then)
        else:
            then()

    def left(self, now: float) -> dict[str, float]:
        """Seconds that are left of each trouble."""
        ends = {"deaf_s": self._deaf, "cut_s": self._cut}
        return {name: round(end - now, 3) for name, end in ends.items() if end != NEVER}

    def listen_on(self, listeners: Iterable[socket.socket]) -> None:
        """The listening sockets, which a cut closes as well."""
        self._listeners = tuple(listeners)

    def joined(self, caller: C) -> None:
        """A new connection shares the present state."""
        self.callers.add(caller)
        if self._deaf != NEVER:
            caller.pause()
        if self._cut != NEVER:
            _filter(caller.socket())

    def deafen(self, until: float) -> None:
        """Read and answer nothing until then."""
        self._deaf = until
        for caller in self.callers:
            caller.pause()

    def cut(self, until: float) -> None:
        """Let no segment pass until then. ValueError where the kernel has no such filters."""
        try:
            for listener in self._listeners:
                _filter(listener)
        except OSError as error:
            raise ValueError(f"this kernel cannot cut the line: {error}") from error
        for caller in self.callers:
            _filter(caller.socket())
        self._cut = until

    def mend(self, now: float) -> None:
        """End what has ended by ``now``; infinity ends everything."""
        if not self.silent:
            return
        if self._cut <= now and self._cut != NEVER:
            self._cut = NEVER
            for listener in self._listeners:
                _unfilter(listener)
            for caller in self.callers:
                _unfilter(caller.socket())
        if self._deaf <= now:
            self._deaf = NEVER
        if not self.silent:
            waiting, self._waiting = self._waiting, []
            for then in waiting:
                then()
            for caller in tuple(self.callers):
                caller.resume()


def _filter(sock: socket.socket | None) -> None:
    if sock is None:
        return
    code = (ctypes.c_ubyte * len(_RETURN_0)).from_buffer_copy(_RETURN_0)
    program = struct.pack("HP", 1, ctypes.addressof(code))
    sock.setsockopt(socket.SOL_SOCKET, _ATTACH, program)


def _unfilter(sock: socket.socket | None) -> None:
    if sock is not None:
        with contextlib.suppress(OSError):  # the connection came during the cut
            sock.setsockopt(socket.SOL_SOCKET, _DETACH, 0)
