"""Answers ``warouter healthcheck`` for this process: see ``health``."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from warouter.net.health import PREFIX, ProcessHealth

log = logging.getLogger(__name__)

BACKLOG = 8
REST_SECONDS = 1.0  # without a free descriptor the socket stays readable: the loop would spin


@contextmanager
def answering(role: str, incarnation: str, say: Callable[[], ProcessHealth]) -> Iterator[None]:
    """Answer from the running loop with what ``say`` returns then.

    A process that cannot listen works all the same, and is found unhealthy.
    """
    loop = asyncio.get_running_loop()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    resting: list[asyncio.TimerHandle] = []

    def answer() -> None:
        try:
            sock, _ = listener.accept()
        except BlockingIOError:
            return
        except OSError:
            loop.remove_reader(listener)
            resting[:] = [loop.call_later(REST_SECONDS, loop.add_reader, listener, answer)]
            return
        # It fits into the socket's buffer: whoever does not read it holds up nobody.
        with sock, suppress(OSError):
            sock.setblocking(False)
            sock.send(say().encode())

    try:
        listener.bind(f"\0{PREFIX}{role}/{incarnation}")
        listener.listen(BACKLOG)
        loop.add_reader(listener, answer)
    except OSError as error:
        log.warning("health socket failed", extra={"error": str(error)})
    try:
        yield
    finally:
        for timer in resting:
            timer.cancel()
        loop.remove_reader(listener)
        listener.close()
