"""The greatest shape there is: 32 shards on 34 coreapps, 3 webapps, 3 masters, really started.

At rest, under the original's greatest rate, and while one coreapp is killed: connections to the
database, memory, CPU, answers. Prints a table and, as its last line, all figures as one JSON
object. Exit code 0 only if the connections stay under the goal, every 201 was sent and called back,
and no shard changed hands but those of the coreapp that was killed.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from itertools import chain, cycle, repeat
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import uvloop

from bench import machine
from bench.child import Child
from bench.e2e.site import ON, say
from bench.order import RECIPIENTS, Command, Load
from warouter._hash import slot_of
from warouter.cluster.shardmap import ShardMap
from warouter.lab.demo.gaps import Arrival, failover
from warouter.local.cluster import Cluster
from warouter.local.options import UpOptions, executed
from warouter.local.process import Process
from warouter.store.database import connect
from warouter.store.nodes import read_map, read_nodes

GOAL_CONNECTIONS = 150
ORIGINAL_CONNECTIONS = 1_700  # the product's own figure for 32 shards at 250 messages/s
MOST_SECONDS = 300.0  # for everything; what is not done by then has failed
SETTLE_SECONDS = 30.0
DRAIN_SECONDS = 30.0
SAMPLE_SECONDS = 0.25
SETTING_SAMPLES = 50  # 0.02 s apart: each coreapp has a session for a moment to read the webhook
REST_SECONDS = 10.0
# The first message of each coreapp makes its sessions plan their statements.
WARM_UP_SECONDS = 2.0
KILL_SECONDS = 8.0  # of load around the kill
KILL_AT_SECONDS = 3.0
ROLES = ("coreapp", "webapp", "master", "simulator", "postgres")
# Without our own sessions: those of this bench, and what `warouter status` would be.
_CONNECTIONS = """
select case when application_name like 'wa:%'
            then regexp_replace(substr(application_name, 37), '^.*:([a-z]+)-[0-9]+$', '\\1')
            else split_part(coalesce(nullif(application_name, ''), 'unnamed'), ':', 1)
        end as role, count(*) as n
  from pg_stat_activity
 where backend_type = 'client backend' and pid <> pg_backend_pid() group by 1"""


class Wide:
    """One run at that size."""

    def __init__(self, options: argparse.Namespace, cluster: Cluster) -> None:
        self.options = options
        self.cluster = cluster
        self.accepted = 0
        self.peak: Counter[str] = Counter()
        self.figures: dict[str, Any] = {}

    async def prepare(self, stack: AsyncExitStack) -> None:
        """Everything runs, each shard on a coreapp of its own, and a webhook is set."""
        began = time.monotonic()
        stack.push_async_callback(self.cluster.stop)
        await self.cluster.start()
        self.database = await connect(self.cluster.settings, "bench")
        stack.push_async_callback(self.database.close)
        await self._settled()
        self.figures["start_s"] = round(time.monotonic() - began, 1)
        self.http = await stack.enter_async_context(aiohttp.ClientSession())
        self.load = await Child.start("bench.load")
        stack.push_async_callback(self.load.stop)
        sampling = asyncio.create_task(self._sample())
        stack.callback(sampling.cancel)
        await self._set_webhook()

    async def _set_webhook(self) -> None:
        basic = aiohttp.encode_basic_auth(self.cluster.user, self.cluster.password)
        answer = await self._v1("POST", "users/login", None, basic)
        self.token = answer["users"][0]["token"]
        hook = {"webhooks": {"url": f"http://127.0.0.1:{self.load.port}/", "message": ON}}
        await self._v1("PATCH", "settings/application", hook, f"Bearer {self.token}")

    async def _settled(self) -> ShardMap:
        """The map once every shard has an owner that has no other."""
        async with asyncio.timeout(SETTLE_SECONDS):
            while True:
                current = await read_map(self.database)
                owners = {slot.owner for slot in current.slots}
                if current.settled and len(owners) == self.options.shards:
                    return current
                await asyncio.sleep(0.05)

    async def _sample(self) -> None:
        """The most connections at one moment, in all and of each role."""
        connection = await connect(self.cluster.settings, "bench")
        try:
            for pause in chain(repeat(0.02, SETTING_SAMPLES), repeat(SAMPLE_SECONDS)):
                rows = await connection.fetch(_CONNECTIONS)
                now = Counter({r["role"]: r["n"] for r in rows if r["role"] != "bench"})
                now["all"] = now.total()
                self.peak |= now
                await asyncio.sleep(pause)
        finally:
            connection.terminate()

    # the measurements

    async def rest(self) -> None:
        """What a cluster costs to which nobody sends anything."""
        before = self._cpu()
        commits = await self._commits()
        await asyncio.sleep(REST_SECONDS)
        self.figures["rest_cores"] = _rates(before, self._cpu(), REST_SECONDS)
        self.figures["rest_commits_per_s"] = round((await self._commits() - commits) / REST_SECONDS)

    async def under_load(self) -> None:
        """The original's greatest rate for a while, over the HTTP API."""
        log = await self._last_change()
        before, busy = self._cpu(), machine.busy_seconds()
        load_before = machine.cpu_seconds(self.load.pid)
        found = await self._send(self.options.seconds, warm_up=WARM_UP_SECONDS)
        await self._drained()
        after = self._cpu()
        self.figures["load"] = _answers(found)
        self.figures["load_cpu_s"] = {role: round(after[role] - before[role], 2) for role in before}
        generator = machine.cpu_seconds(self.load.pid) - load_before
        ours = sum(after.values()) - sum(before.values()) + generator
        self.figures["generator_cpu_s"] = round(generator, 1)
        self.figures["others_cpu_s"] = round(machine.busy_seconds() - busy - ours, 1)
        self.figures["needless_takeovers"] = await self._changes(log)
        # Only now: reading it stops each process for a moment.
        self.figures["memory_mib"] = self._memory()

    async def kill(self) -> None:
        """SIGKILL one owner while the load runs; how long its shard stands still.

        A quarter of the messages go to that shard, so that it is seen often enough.
        """
        current = await self._settled()
        log = await self._last_change()
        victim, owned = await self._victim(current)
        load = asyncio.create_task(self._send(KILL_SECONDS, _mixed(min(owned))))
        await asyncio.sleep(KILL_AT_SECONDS)
        killed = time.monotonic()
        victim.kill(signal.SIGKILL)
        found = await load
        await self._drained()
        record = await self._simulator(f"record?ids=1&since={killed!r}")
        seen = failover([Arrival(*row) for row in record["arrivals"]], killed, owned)
        self.figures["kill"] = {
            **_answers(found),
            "slots_lost": len(owned),
            "failover_s": None if seen.last is None else round(seen.last, 3),
            "slot_spacing_s": round(4 / self.options.rate, 3),
            "changes": await self._changes(log),
        }

    async def check(self) -> list[str]:
        """What is wrong with the run, in words."""
        record = await self._simulator("record")
        counts = await self.load.ask(Command())
        figures = self.figures
        figures["connections"] = dict(self.peak)
        figures["checked"] = {
            "accepted": self.accepted,
            "unique_at_simulator": record["unique"],
            "repeats_at_simulator": record["repeats"],
            "inversions": record["inversions"],
            "called_back_whole": counts["whole_and_accepted"],
            "repeated_callbacks": counts["repeated_callbacks"],
        }
        spare = await self._spare()
        answered = (figures["load"], figures["kill"])
        facts = {
            f"{self.peak['all']} connections": self.peak["all"] < GOAL_CONNECTIONS,
            f"{spare} spare coreapps": spare == self.options.coreapps - self.options.shards,
            f"answers {[a['statuses'] for a in answered]}": all(
                set(a["statuses"]) == {"201"} and not a["lost"] and not a["unasked"]
                for a in answered
            ),
            f"{record['unique']} of {self.accepted} sent": record["unique"] == self.accepted,
            f"{record['inversions']} out of order": not record["inversions"],
            f"{counts['whole_and_accepted']} of {self.accepted} called back": (
                counts["whole_and_accepted"] == self.accepted
            ),
            f"changes of owners under load: {figures['needless_takeovers']}": (
                not figures["needless_takeovers"]
            ),
            f"changes after the kill: {figures['kill']['changes']}": (
                figures["kill"]["changes"] == {"dead": figures["kill"]["slots_lost"]}
            ),
        }
        return [fact for fact, holds in facts.items() if not holds]

    # small things

    async def _send(
        self, seconds: float, numbers: Sequence[int] = (), warm_up: float = 0.0
    ) -> dict[str, Any]:
        order = Load(
            port=self.cluster.port,
            token=self.token,
            connections=self.options.connections,
            seconds=seconds,
            per_second=self.options.rate,
            numbers=list(numbers),
            warm_up=warm_up,
        )
        found = await self.load.ask(Command(order))
        self.accepted += found["accepted"]
        return found

    async def _drained(self) -> None:
        """Until every message is sent and called back; what is missing is found by ``check``."""
        give_up = time.monotonic() + DRAIN_SECONDS
        while time.monotonic() < give_up:
            if (await self.load.ask(Command()))["whole_and_accepted"] >= self.accepted:
                return
            await asyncio.sleep(0.2)

    async def _victim(self, current: ShardMap) -> tuple[Process, dict[int, int]]:
        """The owner of slot 0, and its slots with their epochs."""
        owner = current.slots[0].owner
        names = {n.incarnation: n.name for n in await read_nodes(self.database)}
        owned = {s.slot: s.epoch for s in current.slots if s.owner == owner}
        assert owner is not None
        return self.cluster.processes[names[owner].partition(":")[2]], owned

    async def _spare(self) -> int:
        """Coreapps that live and own nothing."""
        owners = {slot.owner for slot in (await self._settled()).slots}
        running = [p for p in self.cluster.processes.values() if p.role == "coreapp" and p.alive]
        return len(running) - len(owners)

    async def _last_change(self) -> int:
        last: int = await self.database.fetchval("select coalesce(max(id), 0) from owner_log")
        return last

    async def _changes(self, after: int) -> dict[str, int]:
        rows = await self.database.fetch(
            "select reason, count(*) as n from owner_log where id > $1 group by 1", after
        )
        return {row["reason"]: row["n"] for row in rows}

    async def _commits(self) -> int:
        """Of the whole server; at most a second behind."""
        commits: int = await self.database.fetchval(
            "select sum(xact_commit)::bigint from pg_stat_database"
        )
        return commits

    def _pids(self) -> dict[str, list[int]]:
        pids: dict[str, list[int]] = {role: [] for role in ROLES}
        for process in self.cluster.description()["processes"]:
            pids[process["role"]].append(process["pid"])
        return pids

    def _cpu(self) -> dict[str, float]:
        pids = self._pids()
        postgres = sum(map(machine.family_cpu_seconds, pids.pop("postgres")))
        return {role: sum(map(machine.cpu_seconds, some)) for role, some in pids.items()} | {
            "postgres": postgres
        }

    def _memory(self) -> dict[str, dict[str, float]]:
        pids = self._pids()
        pids["postgres"] += [child for pid in pids["postgres"] for child in machine.children(pid)]
        found = {}
        for role, some in pids.items():
            pss, rss = _total(machine.proportional_mib, some), _total(machine.resident_mib, some)
            found[role] = {"processes": len(some), "pss": pss, "rss": rss}
        return found

    async def _v1(self, method: str, path: str, body: object, authorization: str) -> dict[str, Any]:
        headers = {"Authorization": authorization}
        url = f"{self.cluster.url}/v1/{path}"
        async with self.http.request(method, url, json=body, headers=headers) as answer:
            found: dict[str, Any] = await answer.json()
            if answer.status >= 300:
                raise SystemExit(f"{method} /v1/{path}: {answer.status} {found}")
            return found

    async def _simulator(self, path: str) -> dict[str, Any]:
        async with self.http.get(f"{self.cluster.control_url}/{path}") as answer:
            found: dict[str, Any] = await answer.json()
            return found


def show(figures: dict[str, Any]) -> None:
    """The figures for people."""
    memory, peak = figures["memory_mib"], figures["connections"]
    rest, load = figures["rest_cores"], figures["load_cpu_s"]
    say(f"started and settled in {figures['start_s']} s")
    say(
        f"{'':<11}{'processes':>10}{'connections':>13}{'PSS MiB':>9}{'RSS MiB':>9}"
        f"{'at rest, cores':>16}{'under load, CPU s':>19}"
    )
    for role in ROLES:
        m, n = memory[role], peak.get(role, "")
        say(
            f"{role:<11}{m['processes']:>10}{n:>13}{m['pss']:>9,.0f}{m['rss']:>9,.0f}"
            f"{rest[role]:>16.2f}{load[role]:>19.1f}"
        )
    pss, rss = (sum(m[kind] for m in memory.values()) for kind in ("pss", "rss"))
    processes = sum(m["processes"] for m in memory.values())
    say(
        f"{'all':<11}{processes:>10}{peak['all']:>13}{pss:>9,.0f}{rss:>9,.0f}"
        f"{sum(rest.values()):>16.2f}{sum(load.values()):>19.1f}"
    )
    say(
        f"connections: {peak.get('aside', 0)} of all for a moment, to read a setting; goal under"
        f" {GOAL_CONNECTIONS}; the original's were {ORIGINAL_CONNECTIONS:,}."
        f" At rest {figures['rest_commits_per_s']} transactions/s."
    )
    for name, words in (("load", "under load"), ("kill", "with one coreapp killed")):
        a = figures[name]
        say(
            f"{words}: {a['accepted']:,} accepted in {a['seconds']:.0f} s, answers {a['statuses']};"
            f" 201 after p50 {a['p50_ms']:.1f}, p99 {a['p99_ms']:.1f}, most {a['most_ms']:.0f} ms"
        )
    kill = figures["kill"]
    say(
        f"failover {kill['failover_s']} s from SIGKILL to the first message of its"
        f" shard under a new epoch at the simulator (one is due every {kill['slot_spacing_s']} s);"
        f" changes of owners: {kill['changes']}"
    )
    say(f"takeovers without cause under load: {figures['needless_takeovers'] or 'none'}")
    say("checked: " + ", ".join(f"{n} {k:,}" for n, k in figures["checked"].items()))


def _answers(found: dict[str, Any]) -> dict[str, Any]:
    kept = ("accepted", "seconds", "statuses", "lost", "unasked")
    kept += ("p50_ms", "p99_ms", "most_ms", "warm_up_most_ms")
    return {n: round(v, 2) if isinstance(v := found[n], float) else v for n in kept}


def _rates(before: dict[str, float], after: dict[str, float], seconds: float) -> dict[str, float]:
    return {role: round((after[role] - before[role]) / seconds, 3) for role in before}


def _mixed(slot: int) -> list[int]:
    """Recipients of which every fourth is of this slot, the others of any other."""
    there = [n for n in range(RECIPIENTS) if slot_of(f"49151{n:08d}") == slot]
    elsewhere = [n for n in range(RECIPIENTS) if slot_of(f"49151{n:08d}") != slot]
    rounds = zip(cycle(there), *(iter(elsewhere),) * 3, strict=False)
    return [number for four in rounds for number in four]


def _total(look: Any, pids: Iterable[int]) -> float:
    """Over processes of which some may end meanwhile."""
    total = 0.0
    for pid in pids:
        try:
            total += look(pid)
        except OSError:
            continue
    return round(total, 1)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.wide", description=__doc__)
    parser.add_argument("--shards", type=int, default=32)
    parser.add_argument("--coreapps", type=int, default=34)
    parser.add_argument("--webapps", type=int, default=3)
    parser.add_argument("--masters", type=int, default=3)
    parser.add_argument("--rate", type=float, default=250.0, help="messages a second")
    parser.add_argument("--seconds", type=float, default=30.0, help="under load")
    parser.add_argument("--connections", type=int, default=64, help="HTTP connections")
    parser.add_argument("--keep", action="store_true", help="the data directory, for its logs")
    return parser.parse_args()


async def run(options: argparse.Namespace, folder: Path) -> int:
    cluster = Cluster(
        UpOptions(
            data_dir=folder,
            shards=options.shards,
            coreapps=options.coreapps,
            webapps=options.webapps,
            masters=options.masters,
            port=0,
            tls=False,
            place=executed,
        )
    )
    wide = Wide(options, cluster)
    async with AsyncExitStack() as stack, asyncio.timeout(MOST_SECONDS):
        say(f"on {machine.description()}")
        await wide.prepare(stack)
        await wide.rest()
        await wide.under_load()
        await wide.kill()
        wrong = await wide.check()
        wide.figures["ok"] = not wrong
        show(wide.figures)
        for fact in wrong:
            say(f"WRONG: {fact}")
        print(msgspec.json.encode(wide.figures).decode(), flush=True)
    return 1 if wrong else 0


def main() -> int:
    options = _options()
    # Not below /root: the server may run under another account.
    folder = Path(tempfile.mkdtemp(prefix="warouter-wide-", dir="/tmp"))
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
