"""What a process says about its health, who is asked, and which sentence comes of it."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from subprocess import PIPE
from uuid import uuid4

import pytest
from click.testing import CliRunner

from tests.harness.certificates import contexts
from warouter.cli.healthcheck import SILENT_SECONDS, healthcheck, trouble
from warouter.net import health as module
from warouter.net.answering import answering
from warouter.net.health import FoundProcess, ProcessHealth, addresses, ask

NOBODY = 65_534
WELL = ProcessHealth("coreapp", "a:coreapp-6250", 7, "secondary", beat_s=0.2)


def role() -> str:
    """One of this test's own: clusters of other tests run beside it."""
    return f"test-{uuid4().hex}"


def asked(**changes: object) -> FoundProcess:
    told = json.loads(WELL.encode()) | changes
    return FoundProcess("coreapp", 7, ProcessHealth(**told))


async def test_a_process_is_found_and_says_what_it_is() -> None:
    mine = role()
    said = ProcessHealth(
        mine, "a:coreapp-6250", os.getpid(), "secondary", 0.2, listens=("::", 1, True)
    )
    with answering(mine, "1", lambda: said):
        assert await asyncio.to_thread(ask, mine) == [FoundProcess(mine, os.getpid(), said)]
    assert addresses(mine) == {}


async def test_all_of_a_host_are_found() -> None:
    one, other = role(), role()
    with answering(one, "1", lambda: WELL), answering(other, "2", lambda: WELL):
        found = await asyncio.to_thread(ask)
    assert {one, other} <= {found.role for found in found}


async def test_a_loop_that_hangs_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ASK_SECONDS", 0.0)
    mine = role()
    with answering(mine, "1", lambda: WELL):
        (found,) = ask(mine)  # while this loop stands still
        assert found == FoundProcess(mine, os.getpid(), None)
        # As many wait as may: nobody else gets in.
        waiting = full(*addresses(mine))
        assert ask(mine) == [found]
        for sock in waiting:
            sock.close()
    assert "its loop hangs" in trouble(found)


def full(address: str) -> list[socket.socket]:
    """Connect until nobody else gets in."""
    waiting = []
    while True:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        waiting.append(sock)
        try:
            sock.connect(address)
        except BlockingIOError:
            return waiting


LISTEN = """
import os, socket, sys
os.setuid(int(sys.argv[2]))
with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
    listener.bind("\\0" + sys.argv[1])
    listener.listen(0)
    print(flush=True)
    sys.stdin.read()
"""


@contextmanager
def stranger(name: str) -> Iterator[int]:
    """Another account's process at this name; it accepts nobody. Gives its pid."""
    command = [sys.executable, "-c", LISTEN, name, str(NOBODY)]
    with subprocess.Popen(command, stdin=PIPE, stdout=PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline()
        try:
            yield process.pid
        finally:
            process.stdin.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="not run (needs root, to be another account)")
async def test_another_account_is_neither_believed_nor_waited_for() -> None:
    """Whoever has an account on this host may take any such name."""
    mine = role()
    with stranger(f"warouter/{mine}/2") as pid:
        left_out = [FoundProcess(mine, pid, None, stranger=NOBODY)]
        assert ask(mine) == left_out
        waiting = full(*addresses(mine))
        assert ask(mine) == left_out
        assert ask(mine, {pid}) == [FoundProcess(mine, pid, None)]  # a cluster lists it
        assert ask(mine, {1}) == []
        for sock in waiting:
            sock.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="not run (needs root, to be another account)")
def test_a_healthcheck_names_the_account_of_processes_that_it_did_not_ask() -> None:
    with stranger(f"warouter/coreapp/{uuid4().hex}"):
        done = CliRunner().invoke(healthcheck, ["--role", "coreapp", "--at-least", "1000"])
    assert done.exit_code == 1
    assert done.output.endswith(
        f"and 1000 expected; processes of uid {NOBODY} were not asked: check them as that account\n"
    )


async def test_a_name_of_another_kind_is_passed_over() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
        other.bind(f"\0warouter/{uuid4().hex}")
        other.listen()
        await asyncio.to_thread(ask)


async def test_another_build_may_say_more_or_less() -> None:
    mine = role()
    said = b'{"role": "master", "name": "a:master-1", "pid": 1, "status": "secondary", "new": 1}'
    more = type("More", (), {"encode": lambda _: said})
    with answering(mine, "1", more):
        (found,) = await asyncio.to_thread(ask, mine)
    assert found.health == ProcessHealth("master", "a:master-1", 1, "secondary")


async def test_foreign_processes_do_not_fail_the_check() -> None:
    mine = role()
    for said in (b"[]", b"{}", b"hello", b"[" * 4000):
        other = type("Other", (), {"encode": lambda _, said=said: said})
        with answering(mine, "1", other):
            (found,) = await asyncio.to_thread(ask, mine)
        assert found == FoundProcess(mine, os.getpid(), None)


@pytest.mark.parametrize(
    ("changes", "clause"),
    [
        ({}, ""),
        ({"status": "primary, 32 slots"}, ""),
        ({"beat_s": SILENT_SECONDS}, ""),
        ({"beat_s": None}, "is starting"),
        ({"status": ""}, "is starting"),
        ({"stopping": True}, "is stopping"),
        ({"beat_s": 31.4}, "has had no answer from the database for 31 s"),
        ({"problem": "disk full"}, "cannot write its journals (disk full)"),
    ],
)
def test_a_process_that_cannot_work_says_why(changes: dict[str, object], clause: str) -> None:
    said = trouble(asked(**changes))
    assert said == (f"a:coreapp-6250 {clause}" if clause else "")


def test_a_webapp_that_nobody_can_reach_is_unhealthy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    said = trouble(asked(listens=("127.0.0.1", port, False)))
    assert said.startswith(f"a:coreapp-6250 at port {port} does not answer GET / (")


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def answer(what: bytes) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(what)
        writer.close()

    return serve


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
async def test_a_webapp_answers_at_its_port(host: str, tls: bool) -> None:
    server, _ = contexts("elsewhere.example")
    serve = answer(b"HTTP/1.1 200 OK\r\n\r\n")
    async with await asyncio.start_server(serve, host, 0, ssl=server if tls else None) as serving:
        port = serving.sockets[0].getsockname()[1]
        assert await asyncio.to_thread(trouble, asked(listens=(host, port, tls))) == ""


async def test_a_port_that_somebody_else_has_is_no_webapp() -> None:
    async with await asyncio.start_server(answer(b"220 smtp\r\n"), "127.0.0.1", 0) as serving:
        port = serving.sockets[0].getsockname()[1]
        said = await asyncio.to_thread(trouble, asked(listens=("127.0.0.1", port, False)))
    assert said == f"a:coreapp-6250 at port {port} does not speak HTTP"


def test_a_check_loads_no_loop_and_no_driver() -> None:
    """It runs every few seconds for each process."""
    code = (
        "import sys, warouter.cli.healthcheck\n"
        "heavy = {'asyncio', 'asyncpg', 'aiohttp', 'msgspec', 'uvloop', 'rich', 'ssl'}\n"
        "sys.exit(', '.join(heavy & sys.modules.keys()) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
