"""The callers of one peer, in a process of their own: closed loops, one message a call.

``python -m bench.peers.callers PEER WHERE`` in ``.venv-peers``. The first line of output is how
many messages the queue holds, or the name of the Python package that is missing; then one line of
JSON answers each line of JSON (``Turn``) on standard input, until that is closed.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
import time

import msgspec
import uvloop

from bench.peers.clients import Client


class Turn(msgspec.Struct):
    """So many callers, all at once, for so long after the warm-up; none: only count the queue."""

    callers: int = 0
    seconds: float = 0.0
    warm_up: float = 0.0


class Callers:
    """Counts what was acknowledged, and how long each took."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._number = 0
        self._stopped = False
        self._times: list[float] = []

    async def turn(self, order: Turn) -> dict[str, float]:
        """What was acknowledged between the warm-up and the end, and in all."""
        self._stopped, self._times = False, []
        async with asyncio.TaskGroup() as callers:
            for _ in range(order.callers):
                callers.create_task(self._call())
            await asyncio.sleep(order.warm_up)
            cold, began = len(self._times), time.perf_counter()
            await asyncio.sleep(order.seconds)
            warm, ended = len(self._times), time.perf_counter()
            self._stopped = True
        ordered = sorted(self._times[cold:warm]) or [0.0]
        return {
            "seconds": ended - began,
            "measured": warm - cold,
            "accepted": len(self._times),
            "p50_ms": ordered[len(ordered) // 2] * 1000,
            "p99_ms": ordered[len(ordered) * 99 // 100] * 1000,
        }

    async def _call(self) -> None:
        while not self._stopped:
            self._number += 1
            began = time.perf_counter()
            await self._client.put(self._number)
            self._times.append(time.perf_counter() - began)


async def main(peer: str, where: str) -> None:
    try:
        module = importlib.import_module(f"bench.peers.clients.{peer}")
    except ModuleNotFoundError as error:
        _say(error.name)
        return
    client: Client = await module.connect(where)
    try:
        await _serve(client)
    finally:
        await client.close()


async def _serve(client: Client) -> None:
    _say(await client.count())
    commands = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    callers = Callers(client)
    while line := await commands.readline():
        order = msgspec.json.decode(line, type=Turn)
        _say(await callers.turn(order) if order.callers else {"messages": await client.count()})


def _say(answer: object) -> None:
    sys.stdout.write(msgspec.json.encode(answer).decode() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:3]))
