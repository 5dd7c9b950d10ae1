"""The shim (``bench.cloud.shim``) beside the cluster: a door and a load of its own, same faults.

In the storm, whoever kills an owner of the cluster kills it in the same moment; it is started again
at once.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from bench import machine
from bench.child import Child
from bench.cloud.shim import WEBHOOK, Wanted
from bench.cloud.site import LATENCY, as_arguments, certified, secret
from bench.e2e.site import DRAIN_SECONDS, Found
from bench.order import Command, Load
from tests.harness.wait import soon
from warouter.local import cloud_emulator, ports
from warouter.local.cluster import SAMPLE
from warouter.local.environment import of_child
from warouter.local.process import Process

# Its 201 waits for the Graph API, so that it takes more connections than the cluster does: some
# 1,500 messages a second have place in these, and as many again may wait for their callbacks.
CONNECTIONS, MOST_OPEN = 512, 1024


class Beside:
    """The shim, its door, its load."""

    def __init__(self, wanted: Wanted, control_url: str, load: Child) -> None:
        self._wanted = wanted
        self._control_url = control_url
        self._load = load
        self._shim: Child

    @classmethod
    @asynccontextmanager
    async def running(cls, folder: Path, switches: Mapping[str, Any]) -> AsyncIterator[Beside]:
        """With its files below ``folder``."""
        async with AsyncExitStack() as stack:
            own, graph, control = found = [ports.free_port() for _ in range(3)]
            stack.callback(ports.release, found)
            certificate, key = certified(folder)
            variables = cloud_emulator.emulated(folder, graph, tls=True)
            faults = as_arguments({**LATENCY, **switches})
            webhook = f"http://127.0.0.1:{own}{WEBHOOK}"
            arguments = cloud_emulator.arguments(
                graph, control, "127.0.0.1", (webhook,), "".join(SAMPLE), faults
            )
            arguments += ["--tls", certificate, key]
            door = Process("simulator", "simulator", arguments, of_child(variables), folder)
            stack.push_async_callback(door.stop)
            await door.start()
            load = await Child.start("bench.load")
            stack.push_async_callback(load.stop)
            await load.ask(Command(last_is_enough=True))  # it does not keep the order of statuses
            wanted = Wanted(
                port=own,
                graph_url=variables[f"{cloud_emulator.PREFIX}BASE_URL"],
                certificate=certificate,
                token=secret(variables, "TOKEN"),
                phone_number_id=variables[f"{cloud_emulator.PREFIX}PHONE_NUMBER_ID"],
                app_secret=secret(variables, "APP_SECRET"),
                verify_token=secret(variables, "VERIFY_TOKEN"),
                business_url=f"http://127.0.0.1:{load.port}/",
            )
            beside = cls(wanted, f"http://127.0.0.1:{control}", load)
            await beside._start()
            stack.push_async_callback(beside._stop)
            yield beside

    async def die(self) -> None:
        """Kill it, and start it again."""
        os.kill(self._shim.pid, signal.SIGKILL)
        await self._stop()
        await self._start()

    async def run(self, order: Load) -> Found:
        """The same load, by other connections that are opened again when they end."""
        port = self._wanted.port
        mine = msgspec.structs.replace(
            order, port=port, again=True, times=False, asked=False, heard=False
        )
        return await self._load.ask(Command(mine))

    async def lives(self, order: Load) -> Found:
        """Life cycles under that load, or as many as it bears: a second, and its CPU of each."""
        pid, others, began = self._shim.pid, machine.foreign_seconds(), time.monotonic()
        used = machine.cpu_seconds(pid)
        found = await self.run(
            msgspec.structs.replace(order, connections=CONNECTIONS, most_open=MOST_OPEN)
        )
        await soon(self._settled, DRAIN_SECONDS)
        cpu, others = machine.cpu_seconds(pid) - used, machine.foreign_seconds() - others
        return {
            "per_s": round(found["lives"] / found["seconds"]),
            "cpu_us": {"product": round(cpu / found["accepted"] * 1e6, 1)},
            "foreign_cores": round(others / (time.monotonic() - began), 2),
        }

    async def _settled(self) -> bool:
        counts = await self._load.ask(Command())
        return bool(counts["whole_and_accepted"] == counts["accepted"])

    async def record(self) -> Found:
        """What its door says."""
        async with (
            aiohttp.ClientSession() as http,
            http.get(f"{self._control_url}/record") as answer,
        ):
            found: Found = await answer.json()
            return found

    async def _start(self) -> None:
        self._shim = await Child.start(
            "bench.cloud.shim", msgspec.json.encode(self._wanted).decode()
        )

    async def _stop(self) -> None:
        await self._shim.stop()
