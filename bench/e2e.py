"""A whole cluster under load, beside a minimal server in the same run, on the same PostgreSQL.

Prints a table for people and, as its last line, all figures as one JSON object. Exit code 0 only if
every 201 is a row in the database and a message at the simulator, in order, with all its callbacks.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median
from typing import Any

import aiohttp
import asyncpg
import msgspec
import uvloop

from bench import machine
from bench.load import Command, Load
from warouter.local.cluster import Cluster, Options
from warouter.store.database import connect

DRAIN_SECONDS = 120.0
LOOK_SECONDS = 0.2
IDLE_SECONDS = 5.0
MOST_OPEN = 4_000  # of the life cycle run: keeps the backlog flat
GOAL_MIB = 60
# A round during which others used more than this part of a core is shown, and made once more.
FOREIGN_CORES = 0.3
ENOUGH_QUIET = 3  # with fewer the noisy ones count as well: a figure there must be
QUIET = {"sent": 0, "delivered": 0, "read": 0}
LOUD = {"sent": 1, "delivered": 1, "read": 1}
ON = {"sent": True, "delivered": True, "read": True}
# The three sides of a round: warouter with everything behind it; warouter while nobody reports a
# status, so that little but accepting and sending is done; the minimal server.
SIDES = FULL, SENDING, NAIVE = "warouter", "warouter, no statuses", "naive"

Round = dict[str, dict[str, Any]]  # by side


class Child:
    """A process of the bench that answers lines of JSON; the first is its port."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self.pid = process.pid
        self.port = port
        self._process = process

    @classmethod
    async def start(cls, module: str, *arguments: str) -> Child:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", module, *arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        return cls(process, int(await process.stdout.readline()))

    async def ask(self, command: Command) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(msgspec.json.encode(command) + b"\n")
        return msgspec.json.decode(await self._process.stdout.readline(), type=dict[str, Any])

    async def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), 5)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


class Bench:
    """One run: the cluster, the minimal server, the load, and what was found."""

    def __init__(self, options: argparse.Namespace, cluster: Cluster) -> None:
        self.options = options
        self.cluster = cluster
        self.naive_token = secrets.token_urlsafe(32)
        self.token = ""
        self.accepted = 0
        self.lives_expected = 0
        self.naive_accepted = 0
        self.figures: dict[str, Any] = {}

    async def prepare(self, stack: AsyncExitStack) -> None:
        """Everything runs; the webhook is set with all three statuses."""
        stack.push_async_callback(self.cluster.stop)
        await self.cluster.start()
        self.http = await stack.enter_async_context(aiohttp.ClientSession())
        self.database = await connect(self.cluster.settings, "bench")
        stack.push_async_callback(self.database.close)
        await self.database.execute("create database naive")
        assert self.cluster.postgres is not None
        self.naive_dsn = self.cluster.postgres.dsn("naive")
        self.naive = await Child.start("bench.naive", self.naive_dsn, self.naive_token)
        stack.push_async_callback(self.naive.stop)
        self.load = await Child.start("bench.load")
        stack.push_async_callback(self.load.stop)
        await self._log_in()
        hook = f"http://127.0.0.1:{self.load.port}/"
        await self._v1("PATCH", "settings/application", {"webhooks": {"url": hook, "message": ON}})

    async def _log_in(self) -> None:
        basic = aiohttp.encode_basic_auth(self.cluster.user, self.cluster.password)
        answer = await self._v1("POST", "users/login", None, authorization=basic)
        self.token = answer["users"][0]["token"]

    async def _v1(
        self, method: str, path: str, body: object, authorization: str = ""
    ) -> dict[str, Any]:
        headers = {"Authorization": authorization or f"Bearer {self.token}"}
        url = f"{self.cluster.url}/v1/{path}"
        async with self.http.request(method, url, json=body, headers=headers) as answer:
            found: dict[str, Any] = await answer.json()
            if answer.status >= 300:
                raise SystemExit(f"{method} /v1/{path}: {answer.status} {found}")
            return found

    # the measurements

    async def idle(self) -> None:
        """Resident memory and connections before the first message."""
        await asyncio.sleep(IDLE_SECONDS)
        pids = self._pids()
        self.figures["idle_rss_mib"] = {n: machine.resident_mib(p) for n, p in pids.items()}
        self.figures["idle_pss_mib"] = {n: machine.proportional_mib(p) for n, p in pids.items()}
        rows = await self.database.fetch(
            "select case when application_name like 'wa:%' then substr(application_name, 37)"
            " end as name, count(*) as n from pg_stat_activity where datname = current_database()"
            " and application_name like 'wa:%' group by 1 order by 1"
        )
        connections = {row["name"]: row["n"] for row in rows}
        self.figures["database_connections"] = {"all": sum(connections.values()), **connections}

    async def rounds(self) -> None:
        """The three sides in turn, again and again; ratios are taken within each round."""
        for side in SIDES:
            await self._side(side, 1.0)  # warm: not kept
        quiet: list[Round] = []
        noisy: list[Round] = []
        while len(quiet) < self.options.rounds and len(noisy) < self.options.rounds:
            found = {side: await self._side(side, self.options.seconds) for side in SIDES}
            foreign = max(one["foreign_cores"] for one in found.values())
            (noisy if foreign > FOREIGN_CORES else quiet).append(found)
            self._say_round(found, foreign)
        self.figures["noisy_rounds"] = len(noisy)
        kept = quiet if len(quiet) >= ENOUGH_QUIET else quiet + noisy
        self._keep({side: [found[side] for found in kept] for side in SIDES})

    def _say_round(self, found: Round, foreign: float) -> None:
        rates = {side: one["per_s"] for side, one in found.items()}
        ratio, alone = rates[FULL] / rates[NAIVE], rates[SENDING] / rates[NAIVE]
        words = ", ".join(f"{side} {rate:,.0f}/s" for side, rate in rates.items())
        note = f" (noisy: others used {foreign:.1f} cores)" if foreign > FOREIGN_CORES else ""
        say(f"{words}; ratios {ratio:.2f} and {alone:.2f}{note}")

    def _keep(self, found: dict[str, list[dict[str, Any]]]) -> None:
        rates = {side: [r["per_s"] for r in results] for side, results in found.items()}
        ratios = _ratios(rates[FULL], rates[NAIVE])
        alone = _ratios(rates[SENDING], rates[NAIVE])
        c = f"c{self.options.connections}"
        self.figures |= {
            "accepts_per_s": round(median(rates[FULL])),
            "accepts_per_s_no_statuses": round(median(rates[SENDING])),
            "naive_accepts_per_s": round(median(rates[NAIVE])),
            "accepts_vs_naive": {
                c: round(median(ratios), 2),
                f"{c}_rounds": ratios,
                f"{c}_no_statuses": round(median(alone), 2),
                f"{c}_no_statuses_rounds": alone,
            },
            "latency_ms": {
                side: {p: round(median(r[f"{p}_ms"] for r in results), 2) for p in ("p50", "p99")}
                for side, results in found.items()
            },
            "cpu_us_per_message": {
                side: _medians([r["cpu"] for r in results]) for side, results in found.items()
            },
        }

    async def _side(self, side: str, seconds: float) -> dict[str, Any]:
        if side == NAIVE:
            return await self._measure(
                self._order(self.naive.port, self.naive_token, seconds, lives=False),
                {"naive": machine.cpu_seconds},
                ours=False,
            )
        await self._faults(QUIET if side == SENDING else LOUD)
        order = self._order(self.cluster.port, self.token, seconds, lives=side == FULL)
        return await self._measure(order, dict.fromkeys(self._ours(), machine.cpu_seconds))

    async def life_cycles(self) -> None:
        """201, sent, delivered, read, and a callback for each of the three."""
        await self._faults(LOUD)
        order = self._order(self.cluster.port, self.token, self.options.life_seconds, lives=True)
        order.most_open, order.warm_up = MOST_OPEN, 3.0
        found = await self._measure(order, dict.fromkeys(self._ours(), machine.cpu_seconds))
        if found["foreign_cores"] > FOREIGN_CORES:
            say(f"life cycles once more: others used {found['foreign_cores']:.1f} cores")
            again = await self._measure(order, dict.fromkeys(self._ours(), machine.cpu_seconds))
            found = min(found, again, key=lambda one: float(one["foreign_cores"]))
        self.figures["lifecycles_per_s"] = round(found["lives"] / found["seconds"])
        self.figures["lifecycles"] = {
            "seconds": round(found["seconds"], 1),
            "foreign_cores": round(found["foreign_cores"], 2),
            "open_at_start": found["open_at_start"],
            "open_at_end": found["open_at_end"],
            "cpu_us_per_message": found["cpu"],
        }

    async def _measure(
        self, order: Load, looked_at: dict[str, Callable[[int], float]], *, ours: bool = True
    ) -> dict[str, Any]:
        """Run the load, let it drain, and divide the CPU of it all by what was accepted."""
        looked_at["load"] = machine.cpu_seconds
        looked_at["postgres"] = machine.family_cpu_seconds
        pids = self._pids()
        before = {name: look(pids[name]) for name, look in looked_at.items()}
        others, began = self._foreign_seconds(), time.monotonic()
        found = await self.load.ask(Command(order))
        others = self._foreign_seconds() - others
        found["foreign_cores"] = max(0.0, others / (time.monotonic() - began))
        if found["lost"] or set(found["statuses"]) - {"201"}:
            say(f"  not only 201: {found['statuses']}, {found['lost']} connections lost")
        if ours:
            self.accepted += found["accepted"]
            self.lives_expected += found["accepted"] if order.lives else 0
            await self._drain()
        else:
            self.naive_accepted += found["accepted"]
        after = {name: look(pids[name]) for name, look in looked_at.items()}
        found["per_s"] = found["measured"] / found["seconds"]
        found["cpu"] = machine.per_message_us(before, after, found["accepted"])
        return found

    def _foreign_seconds(self) -> float:
        """CPU that was used by what does not belong to this run."""
        pids = self._pids()
        postgres = machine.family_cpu_seconds(pids.pop("postgres"))
        ours = sum(map(machine.cpu_seconds, (*pids.values(), os.getpid())))
        return machine.busy_seconds() - postgres - ours

    async def _drain(self) -> None:
        """Until the simulator has every message and the webhook every status; else give up."""
        give_up = asyncio.get_running_loop().time() + DRAIN_SECONDS
        while asyncio.get_running_loop().time() < give_up:
            await asyncio.sleep(LOOK_SECONDS)
            record = await self._simulator("GET", "record")
            if record["unique"] < self.accepted:
                continue
            counts = await self.load.ask(Command())
            if counts["whole_and_accepted"] >= self.lives_expected:
                return
        say(f"  not drained after {DRAIN_SECONDS:g} s")

    # the verdict

    async def check(self) -> list[str]:
        """What is wrong with the run; nothing, if every 201 was kept and sent in order."""
        rows = await self.database.fetchval("select count(*) from message where kind = 0")
        ids = await self.database.fetchval("select count(distinct id) from message")
        record = await self._simulator("GET", "record")
        counts = await self.load.ask(Command())
        naive = await asyncpg.connect(self.naive_dsn)
        naive_rows = await naive.fetchval("select count(*) from message")
        await naive.close()
        self.figures["checked"] = {
            "accepted": self.accepted,
            "rows": rows,
            "unique_at_simulator": record["unique"],
            "repeats_at_simulator": record["repeats"],
            "inversions": record["inversions"],
            "life_cycles_expected": self.lives_expected,
            "life_cycles_whole": counts["whole_and_accepted"],
            "repeated_callbacks": counts["repeated_callbacks"],
            "callbacks_per_post": round(counts["callbacks"] / max(counts["posts"], 1), 1),
            "naive_accepted": self.naive_accepted,
            "naive_rows": naive_rows,
        }
        facts = {
            f"{rows} rows for {self.accepted} accepted": rows == ids == self.accepted,
            f"{record['unique']} at the simulator": record["unique"] == self.accepted,
            f"{record['inversions']} inversions": record["inversions"] == 0,
            f"{counts['whole_and_accepted']} of {self.lives_expected} life cycles whole": (
                counts["whole_and_accepted"] == self.lives_expected
            ),
            f"{naive_rows} naive rows for {self.naive_accepted}": naive_rows >= self.naive_accepted,
        }
        return [fact for fact, holds in facts.items() if not holds]

    # small things

    def _order(self, port: int, token: str, seconds: float, *, lives: bool) -> Load:
        return Load(
            port=port,
            token=token,
            connections=self.options.connections,
            seconds=seconds,
            lives=lives,
        )

    def _ours(self) -> list[str]:
        return [name for name in self._pids() if name not in ("naive", "load", "postgres")]

    def _pids(self) -> dict[str, int]:
        described = {p["name"]: p["pid"] for p in self.cluster.description()["processes"]}
        return {**described, "naive": self.naive.pid, "load": self.load.pid}

    async def _faults(self, switches: dict[str, Any]) -> None:
        await self._simulator("PUT", "faults", switches)

    async def _simulator(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        url = f"{self.cluster.control_url}/{path}"
        async with self.http.request(method, url, json=body) as answer:
            found: dict[str, Any] = await answer.json()
            return found


def say(line: str) -> None:
    print(line, flush=True)


def show(figures: dict[str, Any], connections: int) -> None:
    """The figures for people."""
    ratios, c = figures["accepts_vs_naive"], f"c{connections}"
    say(f"\naccepted messages/s at {connections} connections, medians")
    say(f"  {FULL:<24} {figures['accepts_per_s']:>9,}")
    say(f"  {SENDING:<24} {figures['accepts_per_s_no_statuses']:>9,}")
    say(f"  {NAIVE:<24} {figures['naive_accepts_per_s']:>9,}")
    say(f"  ratio to naive: {ratios[c]} ({_join(ratios[f'{c}_rounds'])}),")
    say(f"  with no statuses: {ratios[f'{c}_no_statuses']}")
    say("latency, ms")
    for side, latency in figures["latency_ms"].items():
        say(f"  {side:<24} p50 {latency['p50']:6.2f}   p99 {latency['p99']:7.2f}")
    lives = figures["lifecycles"]
    say(
        f"full life cycles/s over {lives['seconds']} s: {figures['lifecycles_per_s']:,}"
        f" (open {lives['open_at_start']:,} before, {lives['open_at_end']:,} after; others used"
        f" {lives['foreign_cores']:g} cores)"
    )
    say("CPU per message, us")
    for side, cpu in (
        *figures["cpu_us_per_message"].items(),
        ("cycles", lives["cpu_us_per_message"]),
    ):
        say(f"  {side:<24} " + ", ".join(f"{n} {us:g}" for n, us in cpu.items() if us >= 1))
    memory = figures["idle_rss_mib"]
    over = [n for n, mib in memory.items() if mib > GOAL_MIB and n not in ("naive", "load")]
    say(f"resident memory idle, MiB (goal {GOAL_MIB}; over it: {', '.join(over) or 'none'})")
    say("  " + ", ".join(f"{n} {mib:g}" for n, mib in memory.items()))
    connected = figures["database_connections"]
    say("database connections: " + ", ".join(f"{n} {k}" for n, k in connected.items()))
    say("checked: " + ", ".join(f"{n} {k:,}" for n, k in figures["checked"].items()))


def _ratios(ours: Iterable[float], theirs: Iterable[float]) -> list[float]:
    return [round(a / b, 2) for a, b in zip(ours, theirs, strict=True)]


def _medians(found: list[dict[str, float]]) -> dict[str, float]:
    return {name: round(median(one[name] for one in found), 1) for name in found[0]}


def _join(numbers: Iterable[float]) -> str:
    return " ".join(f"{n:g}" for n in numbers)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.e2e", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each side of a round")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--life-seconds", type=float, default=20.0)
    parser.add_argument("--shards", type=int, default=2)
    parser.add_argument("--keep", action="store_true", help="the data directory, for its logs")
    return parser.parse_args()


async def run(options: argparse.Namespace, folder: Path) -> int:
    cluster = Cluster(Options(data_dir=folder, shards=options.shards, port=0, tls=False))
    bench = Bench(options, cluster)
    async with AsyncExitStack() as stack:
        say(f"on {machine.description()}; only ratios compare between machines")
        await bench.prepare(stack)
        await bench.idle()
        await bench.rounds()
        await bench.life_cycles()
        wrong = await bench.check()
        bench.figures["ok"] = not wrong
        show(bench.figures, options.connections)
        for fact in wrong:
            say(f"WRONG: {fact}")
        print(msgspec.json.encode(bench.figures).decode(), flush=True)
    return 1 if wrong else 0


def main() -> int:
    options = _options()
    # Not below /root: the server may run under another account.
    folder = Path(tempfile.mkdtemp(prefix="warouter-bench-", dir="/tmp"))
    folder.chmod(0o711)
    try:
        return uvloop.run(run(options, folder))
    finally:
        if options.keep:
            say(f"kept {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
