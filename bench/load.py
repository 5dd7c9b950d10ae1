"""The load generator, in a process of its own on raw sockets; it is the webhook, too.

It is told what to do by lines of JSON on standard input (``bench.order``) and answers each with one
on standard output; its first line is the port of the webhook (``bench.hook`` counts what comes). It
shares the cores with what is measured, so it is cheap: requests are made ahead.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
import time

import msgspec
import uvloop

from bench.client import FINISH_SECONDS, Client, Run
from bench.hook import LAST_IS_ENOUGH, Ledger
from bench.order import Command, Load
from tests.harness.receiver import Post, Receiver


class Office:
    """Takes commands and callbacks."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self._run: Run | None = None

    def on_callbacks(self, post: Post) -> None:
        """Some came."""
        self.ledger.on_post(post)
        if self._run is not None and self._run.waiting:
            self._run.wake()

    async def do(self, command: Command) -> dict[str, object]:
        """One command, and what there is to say to it."""
        if command.refuse is not None:
            self.ledger.refusing = command.refuse
        if command.last_is_enough:
            self.ledger.levels = LAST_IS_ENOUGH
        if command.load is not None:
            return await self.load(command.load)
        if command.heard:
            return {"heard": self.ledger.times}
        return self.ledger.counts()

    async def load(self, order: Load) -> dict[str, object]:
        """Run it; what was counted between the warm-up and the end."""
        run = self._run = Run(order, self.ledger)
        self.ledger.times = {} if order.heard else None
        clients = await self._connected(run)
        pacer = asyncio.create_task(run.pace()) if order.per_second else None
        counter = asyncio.create_task(run.count())
        await asyncio.sleep(order.warm_up)
        cold = _latencies(run.latencies)
        run.latencies.clear()
        began, accepted, whole, opened = self._mark(run)
        await self._until_end(run)
        ended, accepted_then, whole_then, open_then = self._mark(run)
        run.stopped = True
        if pacer is not None:
            await pacer
        counter.cancel()
        if run.busy:
            await asyncio.wait_for(run.idle.wait(), FINISH_SECONDS)
        for client in clients:
            client.close()
        self._run = None
        statuses = run.statuses
        statuses[201] = run.accepted
        return {
            "seconds": ended - began,
            "measured": accepted_then - accepted,
            "accepted": run.accepted,
            "lives": whole_then - whole,
            "open_at_start": opened,
            "open_at_end": open_then,
            "statuses": {str(status): n for status, n in statuses.items()},
            "lost": run.lost,
            "unasked": len(run.due),
            "warm_up_most_ms": cold["most_ms"],
            "whole_at_start": whole,
            "progress": [(at - began, *counts) for at, *counts in run.progress],
            "times": run.times,
            "asked": run.asked_at,
            "late_p99_ms": _latencies(run.late)["p99_ms"],
            **_latencies(run.latencies),
        }

    async def _connected(self, run: Run) -> list[Client]:
        """All connections of the run; each begins at once, or after the last login."""
        order, loop = run.order, asyncio.get_running_loop()
        ports = itertools.cycle(order.ports or [order.port])
        clients = []
        for _ in range(order.connections):
            _, client = await loop.create_connection(lambda: Client(run), "127.0.0.1", next(ports))
            if order.login:
                await client.log_in(order.login)
            else:
                client.next()
            clients.append(client)
        for client in clients if order.login else ():
            client.next()
        return clients

    async def _until_end(self, run: Run) -> None:
        try:
            await asyncio.wait_for(run.ended.wait(), run.order.seconds)
        except TimeoutError:
            return

    def _mark(self, run: Run) -> tuple[float, int, int, int]:
        return time.perf_counter(), run.accepted, self.ledger.whole, run.open


def _latencies(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(seconds) or [0.0]
    return {
        "p50_ms": ordered[len(ordered) // 2] * 1000,
        "p99_ms": ordered[len(ordered) * 99 // 100] * 1000,
        "most_ms": ordered[-1] * 1000,
    }


async def main() -> None:
    """Until standard input is closed."""
    office = Office()
    loop = asyncio.get_running_loop()
    hook = Receiver(office.ledger.answer, note=office.on_callbacks, keeps=False)
    await hook.start()
    _say(hook.port)
    commands = asyncio.StreamReader(limit=64 << 20)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    decoder = msgspec.json.Decoder(Command)
    while line := await commands.readline():
        _say(await office.do(decoder.decode(line)))
    await hook.stop()


def _say(answer: object) -> None:
    sys.stdout.write(msgspec.json.encode(answer).decode() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    uvloop.run(main())
