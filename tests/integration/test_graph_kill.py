"""What the kernel still sends for a process that was killed, or for a line that is cut: nothing.

The peer's window is closed, as if the line were cut: a request lies whole in the sender's kernel,
which would go on offering it for a quarter of an hour.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from tests.harness.hostile import Conversation, Hostile
from tests.harness.wait import PATIENCE, soon
from warouter.net.sockets import end_with_process, unacknowledged

ROOT = Path(__file__).parents[2]
SIZE = 64 * 1024
OWNER = textwrap.dedent(
    """
    import asyncio, sys, uvloop
    from tests.harness.wait import soon
    from tests.harness.cloud_number import some_number
    from warouter.cloud_settings import CloudSettings
    from warouter.net.sockets import unacknowledged
    from warouter.upstream.cloud.graph import connections
    from warouter.upstream.cloud.graph.exchange import GraphExchange
    from warouter.upstream.cloud.secrets import Secrets

    async def main(port, size, spoilt):
        if spoilt:
            connections.end_with_process = lambda sock, silence, size: None
        of = some_number()
        url = f"http://127.0.0.1:{port}"
        graph = GraphExchange(CloudSettings(base_url=url), Secrets(of), json_limit=size)
        post = asyncio.ensure_future(graph.post(of, b"y" * size, lambda: True))
        (wire,) = await soon(lambda: graph.connections._wires)
        await soon(lambda: unacknowledged(wire._sock) > 0 and wire._unsent is None)
        print("queued", flush=True)
        await post

    uvloop.run(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "spoilt"))
    """
)


@pytest.mark.parametrize("spoilt", [False, True])
def test_a_killed_owner_sends_nothing_more(spoilt: bool) -> None:
    """Without the options the whole request arrives, of a process that is long dead."""
    read = threading.Event()

    def script(conversation: Conversation) -> None:
        assert read.wait(PATIENCE)
        conversation.request()

    with Hostile(script, window=4096) as server:
        arguments = [str(server.port), str(SIZE), "spoilt" if spoilt else ""]
        owner = subprocess.Popen(
            [sys.executable, "-c", OWNER, *arguments], cwd=ROOT, stdout=subprocess.PIPE
        )
        with owner:
            assert owner.stdout is not None
            assert owner.stdout.readline() == b"queued\n"
            owner.send_signal(signal.SIGKILL)
        assert owner.returncode == -signal.SIGKILL
        read.set()
        assert server.heard.wait(PATIENCE)
        assert len(server.requests) == (1 if spoilt else 0)
        if not spoilt:
            assert len(server.broken[0]) < SIZE


async def test_the_kernel_gives_up_what_nobody_acknowledges() -> None:
    """A process that stands still cannot cut its connections: the kernel does it."""
    with socket.socket() as listener, socket.socket() as sock:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        end_with_process(sock, 300, SIZE)
        sock.connect(listener.getsockname())
        peer, _ = listener.accept()
        with peer:
            assert sock.send(b"y" * SIZE) == SIZE
            assert unacknowledged(sock) > 0
            await soon(lambda: sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
            peer.setblocking(False)
            assert await _taken(peer) < SIZE


async def _taken(peer: socket.socket) -> int:
    """Bytes that come until the end."""
    loop, count = asyncio.get_running_loop(), 0
    try:
        while data := await loop.sock_recv(peer, SIZE):
            count += len(data)
    except ConnectionError:
        pass
    return count
