"""One cluster under load: its webhook, its switches, its processes, and what it has accepted.

``async with site(folder) as s`` starts and stops it. ``check`` looks every 201 up at the end.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg

from bench import machine
from bench.child import Child
from bench.e2e.elsewhere import Elsewhere
from bench.e2e.running import Running
from bench.order import Command, Load
from warouter.errors import CommandError
from warouter.local.cluster import SAMPLE, Cluster
from warouter.local.options import UpOptions, executed
from warouter.store.database import connect

DRAIN_SECONDS = 180.0
LOOK_SECONDS = 0.1
QUIET = {"sent": 0, "delivered": 0, "read": 0}
LOUD = {"sent": 1, "delivered": 1, "read": 1}
ON = {"sent": True, "delivered": True, "read": True}
# All load comes from one address; a retry of callbacks must not outlast a part of the bench.
ENVIRONMENT = {"WAROUTER_CONNECTIONS_PER_ADDRESS": "2000"}
BACKOFF = {"callback_backoff_delay_ms": 1000, "max_callback_backoff_delay_ms": 2000}
# What a message is accepted, sent and called back by. The simulator stands for WhatsApp.
PRODUCT = ("webapp", "coreapp", "master")

_CONNECTIONS = """
select regexp_replace(substr(application_name, 37), '^.*:', '') as name, count(*) as n
  from pg_stat_activity
 where backend_type = 'client backend' and application_name like 'wa:%' group by 1"""

Found = dict[str, Any]


class Site:
    """A running cluster. ``accepted`` 201s so far, of which ``expected`` get callbacks."""

    def __init__(self, cluster: Running) -> None:
        self.cluster = cluster
        self.accepted = 0
        self.expected = 0
        self.removed = 0  # rows that the bench itself has taken away
        self.unknown = 0  # requests without a 201: a row or not
        self.token = ""
        self.http: aiohttp.ClientSession
        self.database: asyncpg.Connection
        self.load: Child

    async def prepare(self, stack: AsyncExitStack) -> None:
        """Everything runs; the webhook is set with all three statuses."""
        stack.push_async_callback(self.cluster.stop)
        await self.cluster.start()
        self.http = await stack.enter_async_context(aiohttp.ClientSession())
        self.database = await connect(self.cluster.settings, "bench")
        stack.push_async_callback(self.database.close)
        self.load = await Child.start("bench.load")
        stack.push_async_callback(self.load.stop)
        basic = aiohttp.encode_basic_auth(self.cluster.user, self.cluster.password)
        answer = await self.v1("POST", "users/login", None, basic)
        self.token = answer["users"][0]["token"]
        await self.set_webhook()

    async def set_webhook(self) -> None:
        """Also makes the product look at once whether a webhook that failed works again."""
        hook = {"url": f"http://127.0.0.1:{self.load.port}/", "message": ON}
        await self.v1("PATCH", "settings/application", {"webhooks": hook, **BACKOFF})

    async def v1(self, method: str, path: str, body: object, authorization: str = "") -> Found:
        """One call of the API, by the first webapp; CommandError with its errors."""
        headers = {"Authorization": authorization or f"Bearer {self.token}"}
        url = f"{self.cluster.webapp_urls[0]}/v1/{path}"
        async with self.http.request(method, url, json=body, headers=headers) as answer:
            found: Found = await answer.json()
            if answer.status >= 300:
                raise CommandError(f"{method} /v1/{path}: {answer.status} {found}")
            return found

    async def simulator(self, method: str, path: str, body: object = None) -> Found:
        """One call of the simulator's control port."""
        url = f"{self.cluster.control_url}/{path}"
        async with self.http.request(method, url, json=body) as answer:
            found: Found = await answer.json()
            if answer.status >= 300:
                raise CommandError(f"simulator {method} {path}: {answer.status} {found}")
            return found

    async def faults(self, **switches: Any) -> None:
        """Set these of the simulator's switches."""
        await self.simulator("PUT", "faults", switches)

    # processes

    def ports(self, webapps: int = 1) -> list[int]:
        """Of the first webapps: each has one of its own beside the shared one."""
        return [int(url.rpartition(":")[2]) for url in self.cluster.webapp_urls[:webapps]]

    def pids(self) -> dict[str, int]:
        """Every process of the cluster by name, and the load generator."""
        named = {p["name"]: p["pid"] for p in self.cluster.description()["processes"]}
        return {**named, "load": self.load.pid}

    def product(self) -> dict[str, int]:
        """Webapps, coreapps and masters."""
        return {name: pid for name, pid in self.pids().items() if name.startswith(PRODUCT)}

    def cpu(self) -> dict[str, float]:
        """Seconds so far by process; of PostgreSQL with all its backends."""
        return {
            name: (machine.family_cpu_seconds if name == "postgres" else machine.cpu_seconds)(pid)
            for name, pid in self.pids().items()
        }

    def resident(self) -> dict[str, float]:
        """MiB by product process."""
        return {name: machine.resident_mib(pid) for name, pid in self.product().items()}

    async def connections(self) -> Counter[str]:
        """To PostgreSQL, by product process."""
        rows = await self.database.fetch(_CONNECTIONS)
        return Counter({row["name"]: row["n"] for row in rows})

    async def set_shards(self, shards: int) -> None:
        """Live, and done when this returns."""
        cluster = self.cluster
        body = {**SAMPLE._asdict(), "shards": shards}
        await self.v1("POST", "account/shards", {**body, "cert": cluster.cert})

    # load

    def order(self, connections: int, seconds: float, **more: Any) -> Load:
        """A run to the first webapp."""
        return Load(
            **{"port": self.ports()[0], "token": self.token, **more},
            connections=connections,
            seconds=seconds,
        )

    async def run(self, order: Load) -> Found:
        """Run it, and keep the account."""
        found = await self.load.ask(Command(order))
        others = {k: n for k, n in found["statuses"].items() if k != "201" and n}
        self.unknown += sum(others.values()) + found["lost"]
        if others or found["lost"]:
            say(f"  not only 201: {others}, {found['lost']} connections lost")
        self.accepted += found["accepted"]
        self.expected += found["accepted"] if order.lives else 0
        found["per_s"] = found["measured"] / found["seconds"]
        return found

    async def measured(
        self, order: Load, *, drain: bool = True, until: Callable[[], Awaitable[bool]] | None = None
    ) -> Found:
        """Run it; CPU per accepted message until all is drained, or ``until``.

        Without ``drain`` only until the last 201.
        """
        before, others, began = self.cpu(), machine.foreign_seconds(), time.monotonic()
        found = await self.run(order)
        if drain:
            await (until or self.drained)()
        after, others = self.cpu(), machine.foreign_seconds() - others
        found["cpu"] = machine.per_message_us(before, after, found["accepted"])
        found["product_us"] = sum(
            us for name, us in found["cpu"].items() if name.startswith((*PRODUCT, "postgres"))
        )
        found["foreign_cores"] = max(0.0, others / (time.monotonic() - began))
        return found

    async def drained(self, *, callbacks: bool = True) -> bool:
        """Until the simulator has every message and the webhook, if asked, every status."""
        give_up = time.monotonic() + DRAIN_SECONDS
        while time.monotonic() < give_up:
            record = await self.simulator("GET", "record")
            if record["unique"] >= self.accepted and (
                not callbacks or (await self.counts())["whole_and_accepted"] >= self.expected
            ):
                return True
            await asyncio.sleep(LOOK_SECONDS)
        say(f"  not drained after {DRAIN_SECONDS:g} s")
        return False

    async def stored(self) -> bool:
        """Until the simulator has every message, and every status of theirs is in the journal."""
        give_up = time.monotonic() + DRAIN_SECONDS
        while time.monotonic() < give_up:
            record = await self.simulator("GET", "record")
            issued = record["unique"] >= self.accepted and record["statuses"] >= 3 * self.expected
            if issued and not (await self.simulator("GET", ""))["unacked"]:
                return True
            await asyncio.sleep(LOOK_SECONDS)
        say(f"  statuses not stored after {DRAIN_SECONDS:g} s")
        return False

    async def counts(self) -> Found:
        """Where the callbacks stand."""
        return await self.load.ask(Command())

    async def refuse(self, refusing: bool) -> None:
        """Whether the webhook says 503 from now on."""
        await self.load.ask(Command(refuse=refusing))

    async def check(self, name: str) -> list[str]:
        """What is wrong; nothing, if every 201 was kept, sent in order, and called back."""
        rows = self.removed + await self.database.fetchval(
            "select count(*) from message where seq > 0"  # below are those that the bench made up
        )
        record = await self.simulator("GET", "record")
        counts = await self.counts()
        whole, unique = counts["whole_and_accepted"], record["unique"]
        say(
            f"  {name}: {self.accepted:,} accepted, {rows:,} rows, {unique:,} at the simulator"
            f" ({record['repeats']} repeats, {record['inversions']} out of order), {whole:,} of"
            f" {self.expected:,} called back ({counts['repeated_callbacks']} repeats)"
        )
        facts = {
            f"{rows} rows for {self.accepted} accepted": self._as_accepted(rows),
            f"{unique} at the simulator for {self.accepted} accepted": self._as_accepted(unique),
            f"{record['inversions']} inversions": record["inversions"] == 0,
            f"{whole} of {self.expected} called back": whole == self.expected,
        }
        return [f"{name}: {fact}" for fact, holds in facts.items() if not holds]

    def _as_accepted(self, number: int) -> bool:
        return self.accepted <= number <= self.accepted + self.unknown


@asynccontextmanager
async def site(folder: Path, build: Path | None = None, **options: Any) -> AsyncIterator[Site]:
    """A cluster of its own below ``folder``; ``options`` are those of the local cluster.

    ``build`` is the clone whose build runs there, None: this one.
    """
    options.setdefault("environment", ENVIRONMENT)
    options.setdefault("place", executed)
    wanted = UpOptions(data_dir=folder, port=0, tls=False, **options)
    here = Site(Elsewhere(build, wanted) if build is not None else Cluster(wanted))
    async with AsyncExitStack() as stack:
        await here.prepare(stack)
        yield here


def say(line: str) -> None:
    """One line for people; the last line of the bench alone is for programs."""
    print(line, flush=True)
