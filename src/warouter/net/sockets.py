"""TCP options and queries of the kernel: a silent peer is noticed within about three seconds.

Keepalive alone does not do it while data is in flight; TCP_USER_TIMEOUT does.
"""

from __future__ import annotations

import socket
import struct

SILENCE_MS = 2_500


def notice_silence(sock: socket.socket) -> None:
    """Set the options, if it is a TCP socket."""
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SILENCE_MS)


def accept_queue(listener: socket.socket) -> tuple[int, int]:
    """Number of connections that wait to be accepted, and its limit; zeros for a closed socket."""
    try:
        # tcp_info of a listening socket has them as tcpi_unacked and tcpi_sacked.
        info = listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 32)
    except OSError:
        return 0, 0
    waiting, size = struct.unpack_from("=II", info, 24)
    return waiting, size


def unheard(sock: socket.socket) -> tuple[int, int]:
    """Bytes that the peer has taken so far, and bytes that it has not taken yet.

    What lies in TLS or in the kernel counts, as a transport's own buffer does not tell of either.
    """
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 148)
    except OSError:
        return 0, 0  # closed, or not TCP
    if len(info) < 148:
        return 0, 0
    (packets,) = struct.unpack_from("=I", info, 24)  # tcpi_unacked
    (acked,) = struct.unpack_from("=Q", info, 120)  # tcpi_bytes_acked
    (unsent,) = struct.unpack_from("=I", info, 144)  # tcpi_notsent_bytes
    return acked, packets + unsent
