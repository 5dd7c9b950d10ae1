"""Accepted messages a second, beside the naive server and the bare floor; CPU and latency of a 201.

What is timed is the way to a 201: the upstream is paused, as nothing was sent on in the study that
set the goals either. Beside it the same with the messages sent on, and with everything behind it.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from statistics import median

import aiohttp
import asyncpg

from bench import machine
from bench.child import Child
from bench.e2e.extent import Extent
from bench.e2e.rounds import Round, Rounds, Side, medians, rounds
from bench.e2e.site import LOUD, QUIET, Found, Site, say, site
from bench.order import Command, Load
from warouter.local.options import Placement

WARM_UP = 0.3
WARM_SECONDS = 0.7
AIOHTTP = "webapp-2"  # the one that answers by aiohttp alone
BEHIND_AIOHTTP = "floor_aiohttp"  # what that one could reach if it did nothing itself


class Others:
    """The naive server and the bare floor, also behind aiohttp, on the same PostgreSQL server."""

    def __init__(self, here: Site) -> None:
        self._here = here
        self._counted: dict[str, int] = {"naive": 0, "floor": 0, BEHIND_AIOHTTP: 0}
        self._token = secrets.token_urlsafe(32)
        self._dsns: dict[str, str] = {}
        self._ports: dict[str, int] = {}
        self._pids: dict[str, dict[str, int]] = {}

    async def start(self, stack: AsyncExitStack, folder: Path) -> None:
        assert self._here.cluster.postgres is not None
        for name in self._counted:
            await self._here.database.execute(f"create database {name}")
            self._dsns[name] = self._here.cluster.postgres.dsn(name)
        naive = await Child.start("bench.naive", self._dsns["naive"], self._token)
        stack.push_async_callback(naive.stop)
        self._ports["naive"], self._pids["naive"] = naive.port, {"naive": naive.pid}
        await self._start_floor(stack, folder, "floor", "web")
        await self._start_floor(stack, folder, BEHIND_AIOHTTP, "aiohttp")

    async def _start_floor(
        self, stack: AsyncExitStack, folder: Path, name: str, front: str
    ) -> None:
        path = str(folder / f"{name}.sock")
        core = await Child.start("bench.floor", "core", path, self._dsns[name])
        stack.push_async_callback(core.stop)
        web = await Child.start("bench.floor", front, path)
        stack.push_async_callback(web.stop)
        self._ports[name], self._pids[name] = web.port, {"web": web.pid, "core": core.pid}

    async def measured(self, name: str, connections: int, seconds: float) -> Found:
        """Rate and CPU of one of them by its name."""
        here = self._here
        assert here.cluster.postgres is not None
        postgres = here.cluster.postgres.pid

        def cpu() -> dict[str, float]:
            own = {who: machine.cpu_seconds(pid) for who, pid in self._pids[name].items()}
            return {**own, "postgres": machine.family_cpu_seconds(postgres)}

        before, others, began = cpu(), machine.foreign_seconds(), time.monotonic()
        found = await here.load.ask(
            Command(
                Load(
                    port=self._ports[name],
                    token=self._token,
                    connections=connections,
                    seconds=seconds,
                    warm_up=WARM_UP,
                    lives=False,
                )
            )
        )
        others = machine.foreign_seconds() - others
        found["foreign_cores"] = max(0.0, others / (time.monotonic() - began))
        found["cpu"] = machine.per_message_us(before, cpu(), found["accepted"])
        found["per_s"] = found["measured"] / found["seconds"]
        if found["lost"] or found["accepted"] != sum(found["statuses"].values()):
            say(f"  {name}: not only 201: {found['statuses']}, {found['lost']} connections lost")
        self._counted[name] += found["accepted"]
        return found

    async def check(self) -> list[str]:
        """Whether each 201 of theirs is a row, too."""
        wrong = []
        for name, accepted in self._counted.items():
            connection = await asyncpg.connect(self._dsns[name])
            rows = await connection.fetchval("select count(*) from message")
            await connection.close()
            say(f"  {name}: {accepted:,} accepted, {rows:,} rows")
            if rows != accepted:
                wrong.append(f"{name}: {rows} rows for {accepted} accepted")
        return wrong


async def paused(
    here: Site, connections: int, seconds: float, webapp: int = 1, login: str = ""
) -> Found:
    """Only the way to the 201; what was accepted is sent afterwards, unmeasured."""
    await here.faults(**QUIET, pause=True)
    order = here.order(connections, seconds, warm_up=WARM_UP, lives=False)
    order.port = here.ports(webapp)[-1]
    order.login = login
    found = await here.measured(order, drain=False)
    await here.faults(pause=False)
    await here.drained()
    return found


async def sending(here: Site, connections: int, seconds: float, *, loud: bool) -> Found:
    """The upstream takes the messages; ``loud``: with three statuses and callbacks for each."""
    await here.faults(**(LOUD if loud else QUIET))
    return await here.measured(here.order(connections, seconds, warm_up=WARM_UP, lives=loud))


async def visitor(here: Site) -> str:
    """Credentials of another user: logins end a user's oldest tokens, and ours shall live."""
    user = {"username": "visitor", "password": f"Aa1-{secrets.token_hex(12)}"}
    await here.v1("POST", "users", user)
    return aiohttp.encode_basic_auth(user["username"], user["password"])


def _sides(here: Site, others: Others, login: str, seconds: float) -> dict[str, Side]:
    return {
        "c256": partial(paused, here, 256, seconds),
        "floor": partial(others.measured, "floor", 256, seconds),
        "naive": partial(others.measured, "naive", 256, seconds),
        "sending": partial(sending, here, 256, seconds, loud=False),
        "full": partial(sending, here, 256, seconds, loud=True),
        "c64": partial(paused, here, 64, seconds),
        "naive64": partial(others.measured, "naive", 64, seconds),
        "aiohttp64": partial(paused, here, 64, seconds, webapp=2),
        "floor_aiohttp64": partial(others.measured, BEHIND_AIOHTTP, 64, seconds),
        "login64": partial(paused, here, 64, seconds, login=login),
        "c1": partial(paused, here, 1, seconds),
    }


async def measure(folder: Path, until: float, extent: Extent) -> tuple[Found, list[str]]:
    """The figures of this part, and what was wrong."""
    async with AsyncExitStack() as stack:
        here = await stack.enter_async_context(
            site(folder, extent.build, shards=2, webapps=2, place=_place)
        )
        others = Others(here)
        await others.start(stack, folder)
        for warm in (
            partial(paused, here, 256, WARM_SECONDS),
            partial(sending, here, 256, WARM_SECONDS, loud=True),
            partial(paused, here, 64, WARM_SECONDS, webapp=2),
            partial(others.measured, "floor", 256, WARM_SECONDS),
            partial(others.measured, BEHIND_AIOHTTP, 64, WARM_SECONDS),
            partial(others.measured, "naive", 256, WARM_SECONDS),
        ):
            await warm()
        sides = _sides(here, others, await visitor(here), extent.side_seconds)
        found = await rounds(sides, until, extent.rounds)
        wrong = await here.check("accepts") + await others.check()
    return _figures(found), wrong


def _place(name: str, _role: str) -> Placement:
    environment = {"WAROUTER_FAST_PATH": "0"} if name == AIOHTTP else {}
    return Placement(environment=environment, by_fork=False)


def _figures(found: Rounds) -> Found:
    cpu = medians(one["c256"]["cpu"] for one in found.kept)
    cpu.pop(AIOHTTP)
    aiohttp = medians(one["aiohttp64"]["cpu"] for one in found.kept)
    aiohttp.pop("webapp-1")
    return {
        "accepts_per_s": round(found.median("c256", "per_s")),
        "accepts_sending_per_s": round(found.median("sending", "per_s")),
        "accepts_full_per_s": round(found.median("full", "per_s")),
        "accepts_aiohttp_per_s": round(found.median("aiohttp64", "per_s")),
        "accepts_c64_per_s": round(found.median("c64", "per_s")),
        "floor_per_s": round(found.median("floor", "per_s")),
        "floor_aiohttp_per_s": round(found.median("floor_aiohttp64", "per_s")),
        "naive_per_s": {
            "c256": round(found.median("naive", "per_s")),
            "c64": round(found.median("naive64", "per_s")),
        },
        "accepts_vs_naive": {
            "c256": round(found.ratio("c256", "naive"), 2),
            "c64": round(found.ratio("c64", "naive64"), 2),
        },
        "accepts_vs_floor": round(found.ratio("c256", "floor"), 3),
        "accepts_logged_in": round(found.ratio("login64", "c64"), 3),
        "accept_cpu_vs_floor": round(median(map(_cpu_vs_floor, found.kept)), 2),
        "p99_vs_floor": round(found.ratio("c256", "floor", "p99_ms"), 2),
        "accept_cpu_us": round(_server(cpu), 1),
        "accept_aiohttp_cpu_us": round(_server(aiohttp), 1),
        "accept_cpu_by": cpu,
        "floor_cpu_by": medians(one["floor"]["cpu"] for one in found.kept),
        "latency_ms": {
            "c1_p50": round(found.median("c1", "p50_ms"), 2),
            "c64_p99": round(found.median("c64", "p99_ms"), 2),
            "c256_p99": round(found.median("c256", "p99_ms"), 2),
        },
        "latency_loaded_ms": {
            "sending_c256_p99": round(found.median("sending", "p99_ms"), 2),
            "full_c256_p99": round(found.median("full", "p99_ms"), 2),
        },
        "foreign_cores": {"accepts": found.foreign_cores},
        "noisy_rounds": {"accepts": found.noisy},
    }


def _cpu_vs_floor(one: Round) -> float:
    return _server(one["c256"]["cpu"]) / _server(one["floor"]["cpu"])


def _server(cpu: Mapping[str, float]) -> float:
    """Of webapps, coreapps and PostgreSQL, or of the floor's processes; masters are not asked."""
    return sum(us for name, us in cpu.items() if name.startswith(("web", "core", "postgres")))
