"""TCP options and queries of the kernel: a silent peer is noticed within about three seconds.

Keepalive alone does not do it while data is in flight; TCP_USER_TIMEOUT does.
"""

from __future__ import annotations

import errno
import fcntl
import socket
import struct
import termios
from collections.abc import Iterable

SILENCE_MS = 2_500


def not_taken(error: OSError, port: int, host: str, variables: tuple[str, str]) -> str:
    """Why nobody can listen at an address, as a sentence; ``variables`` set port and host."""
    of_port, of_host = variables
    if error.errno == errno.EADDRINUSE:
        remedy = f"set {of_port} to one that is free"
    elif error.errno in (errno.EACCES, errno.EPERM):
        remedy = f"set {of_port} to 1024 or more, or give this process CAP_NET_BIND_SERVICE"
    else:
        remedy = f"set {of_host} to an address of this host"
    return f"Port {port} at {host} cannot be taken ({error.strerror}): {remedy}."


def not_listening(sockets: Iterable[socket.socket]) -> tuple[int, str]:
    """Port and host of the first of these that does not listen: somebody else does, who had bound
    the same address, as SO_REUSEADDR allows while nobody listens.
    """
    one = next(s for s in sockets if not s.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    host, port = one.getsockname()[:2]
    return port, host


def notice_silence(sock: socket.socket) -> None:
    """Set the options, if it is a TCP socket."""
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SILENCE_MS)


def end_with_process(sock: socket.socket, silence_ms: int, send_bytes: int) -> None:
    """Set options before connecting, by which nothing of it leaves this host after its close.

    However it is closed, also by the end of a killed process: what the kernel has not sent yet, or
    would repeat because nobody has acknowledged it, is dropped. While it is open, such bytes are
    given up after ``silence_ms``. A write of ``send_bytes`` goes to the kernel as a whole, as far
    as net.core.wmem_max allows.
    """
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_bytes)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, silence_ms)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def unacknowledged(sock: socket.socket) -> int:
    """Bytes written to a TCP socket that its peer has not acknowledged; 0 for a closed one."""
    try:
        (count,) = struct.unpack("i", fcntl.ioctl(sock, termios.TIOCOUTQ, bytes(4)))
    except (OSError, ValueError):
        return 0
    return int(count)


def accept_queue(listener: socket.socket) -> tuple[int, int]:
    """Number of connections that wait to be accepted, and its limit; zeros for a closed socket."""
    try:
        # tcp_info of a listening socket has them as tcpi_unacked and tcpi_sacked.
        info = listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 32)
    except OSError:
        return 0, 0
    waiting, size = struct.unpack_from("=II", info, 24)
    return waiting, size


def heard(sock: socket.socket) -> int:
    """Bytes that the peer has sent so far, read or not; 0 if it is closed or no TCP."""
    info = _tcp_info(sock)
    return int(struct.unpack_from("=Q", info, 128)[0]) if info else 0  # tcpi_bytes_received


def unheard(sock: socket.socket) -> tuple[int, int]:
    """Bytes that the peer has taken so far, and bytes that it has not taken yet.

    What lies in TLS or in the kernel counts, as a transport's own buffer does not tell of either.
    """
    info = _tcp_info(sock)
    if not info:
        return 0, 0
    (packets,) = struct.unpack_from("=I", info, 24)  # tcpi_unacked
    (acked,) = struct.unpack_from("=Q", info, 120)  # tcpi_bytes_acked
    (unsent,) = struct.unpack_from("=I", info, 144)  # tcpi_notsent_bytes
    return acked, packets + unsent


def _tcp_info(sock: socket.socket) -> bytes:
    """The kernel's ``struct tcp_info``; empty if it is closed or no TCP."""
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 148)
    except OSError:
        return b""
    return info if len(info) == 148 else b""
