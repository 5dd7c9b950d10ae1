"""A site: a cluster on machines of its own, with its PostgreSQL, the WhatsApp side and a business.

PostgreSQL, the simulator and the business are on HOST, where nobody hurts them; all that warouter
runs is on machines, under the shipped units, installed from the package by cloud-init. It stands in
for a local ``Cluster`` where the harness (``Business``, ``Facts``) asks for one.

    async with opened(package) as site:
        await site.add(2, migrates=True)
        await site.serve()
"""

from __future__ import annotations

import asyncio
import shutil
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import aiohttp
from trustme import CA

from tests.campaigns.chaos import audit
from tests.deploy import network
from tests.deploy.database import Database
from tests.deploy.doors import CONTROL_URL, WEBHOOK_PORT, CloudDoor, Door, NativeDoor
from tests.deploy.installed import API_PORT, Installation, units
from tests.deploy.machine import Machine
from tests.deploy.network import HOST
from tests.deploy.rootfs import rootfs
from tests.harness import prepared
from tests.harness.certificates import text_of
from tests.harness.facts import Facts
from tests.harness.proxy import Proxy
from tests.harness.rights import nothing_refused
from tests.harness.wait import soon
from warouter.config import Settings, load
from warouter.errors import CommandError
from warouter.local.cluster import SAMPLE
from warouter.local.process import Process
from warouter.local.seed import first_seed, ready_map

SERVED_PORT = 8000
SERVED = f"http://{HOST}:{SERVED_PORT}"
SERVICE_SECONDS = 240.0  # only a fault makes it wait so long
LOOK_SECONDS = 0.1
_LOOK = aiohttp.ClientTimeout(total=5.0)
SEED = "/var/lib/cloud/seed/nocloud"
_COREAPPS = "select incarnation from node where role = 'coreapp' and host = $1"
INSTANCES = "var/lib/cloud/instances"


class Site:
    """``machines`` are by number. ``facts`` are there after ``serve``."""

    def __init__(
        self, folder: Path, package: Path, door: str = "native", names: Sequence[str] = ()
    ) -> None:
        """``names``: of the database, besides HOST."""
        self.folder = folder
        self.authority = CA()
        self.database = Database(folder, self.authority, names)
        self.door: Door = (
            CloudDoor(folder, self.authority) if door == "cloud" else NativeDoor(folder)
        )
        self.package = package
        self.served = folder / "served"  # what machines find at ``SERVED``
        self._installation = Installation(self.database, self.door, self.authority, SERVED, package)
        self.machines: dict[int, Machine] = {}
        self.coreapps: dict[int, int] = {}  # of each machine
        self.tls = ssl.create_default_context(cadata=text_of(self.authority))
        self.user, self.password = "admin", ""
        self.processes: Mapping[str, Process] = {}  # none on this host
        self.urls: list[str] = []  # of the webapps in service
        # Gives a machine what its cloud-init finds, and what its image has, before it boots.
        self.prepare: Callable[[Machine], object] | None = None
        self.facts: Facts
        self._next_webhook = 0

    # what the harness asks of a cluster

    @property
    def webapp_urls(self) -> list[str]:
        return [_url(machine) for machine in self.machines.values()]

    @property
    def url(self) -> str:
        return self.webapp_urls[0]

    @property
    def control_url(self) -> str:
        return CONTROL_URL

    @property
    def settings(self) -> Settings:
        return load(self.database.variables)

    def description(self) -> dict[str, Any]:
        return {"cc": SAMPLE.cc, "phone_number": SAMPLE.phone_number}

    # machines

    async def add(
        self,
        number: int,
        *,
        coreapps: int = 2,
        migrates: bool = False,
    ) -> Machine:
        """Boot a new one, which installs itself; it is in service when ``in_service`` returns.

        ``migrates``: it makes the schema, unless all of them do (``prepare``).
        """
        machine = await asyncio.to_thread(Machine, rootfs("machine"), self.folder, number)
        self.machines[number], self.coreapps[number] = machine, coreapps
        if self.prepare is not None:
            self.prepare(machine)
        else:
            _seed(machine, self._installation.text(machine.address, coreapps, migrates=migrates))
        await asyncio.to_thread(machine.boot)
        return machine

    async def installed(self, *numbers: int) -> None:
        """Until cloud-init has done what it was told on these machines."""
        for number in numbers:
            folder = self.machines[number].root / INSTANCES
            await soon(lambda f=folder: any(f.glob("*/boot-finished")), SERVICE_SECONDS)

    async def in_service(self, *numbers: int) -> None:
        """Until every unit of these machines is active, and their webapps answer."""
        for number in numbers:
            machine = self.machines[number]
            wanted = units(self.coreapps[number])
            await self._active(machine, wanted)
            async with aiohttp.ClientSession() as http:
                await soon(lambda m=machine: self._answers(http, _url(m)), SERVICE_SECONDS)
            if _url(machine) not in self.urls:
                self.urls.append(_url(machine))

    def out_of_service(self, number: int) -> None:
        """Clients no longer go there, as when a load balancer has noticed."""
        self.urls.remove(_url(self.machines[number]))

    async def remove(self, number: int) -> None:
        """It is off, and forgotten."""
        self.coreapps.pop(number)
        await asyncio.to_thread(self.machines.pop(number).remove)

    # life

    async def serve(self, shards: int = 2) -> None:
        """The number and the shards, once the first machines are installed."""
        await self.installed(*self.machines)
        self.password = await first_seed(self.settings, shards, "")
        await self.register()
        await self.in_service(*self.machines)
        await ready_map(self.settings, SERVICE_SECONDS)

    async def register(self) -> None:
        """The number, and what the suite looks at the database by; the schema is there."""
        await self.door.register(self.database.variables)
        self.facts = await self._stack.enter_async_context(Facts(self))  # type: ignore[arg-type]
        await self._watched()

    async def incarnations(self, number: int) -> set[UUID]:
        """The coreapps that this machine has registered."""
        rows = await self.facts.connection.fetch(_COREAPPS, self.machines[number].address)
        assert rows, f"no coreapp of {self.machines[number].name} is registered"
        return {row["incarnation"] for row in rows}

    async def owns_most(self) -> int:
        """The number of the machine that owns most slots."""
        owners = [slot.owner for slot in (await self.facts.map()).slots]
        of = {number: await self.incarnations(number) for number in self.machines}
        return max(of, key=lambda number: sum(owner in of[number] for owner in owners))

    async def handed_over(self, incarnations: set[UUID]) -> None:
        """Until every slot has an owner, and none of these owns one."""
        await self.facts.until(lambda m: all(s.owner not in (None, *incarnations) for s in m.slots))

    # inside

    async def _watched(self) -> None:
        """The witnesses of the campaign belong to the owner of the schema: what is another's would
        be in the way of the next machine that brings the roles up to date.
        """
        connection = self.facts.connection
        await connection.execute("set role warouter_owner")
        await audit.install(connection)
        await connection.execute("reset role")

    async def _active(self, machine: Machine, wanted: Sequence[str]) -> None:
        async def active() -> bool:
            try:
                await machine.arun("systemctl", "is-active", "--quiet", *wanted)
            except (CommandError, OSError):
                await asyncio.sleep(LOOK_SECONDS)
                return False
            return True

        try:
            await soon(active, SERVICE_SECONDS)
        except TimeoutError:
            said = await machine.arun("sh", "-c", "tail -n 40 /var/log/cloud-init-output.log")
            raise CommandError(f"{machine.name}: {said}\n{machine.journal()[-4000:]}") from None

    async def _answers(self, http: aiohttp.ClientSession, url: str) -> bool:
        try:
            async with http.get(f"{url}/", ssl=self.tls, timeout=_LOOK) as answer:
                return answer.status == 200
        except (aiohttp.ClientError, TimeoutError):
            await asyncio.sleep(LOOK_SECONDS)
            return False

    def _webhook_target(self) -> tuple[str, int]:
        """The listeners of the webapps in service, in turn."""
        self._next_webhook += 1
        url = self.urls[self._next_webhook % len(self.urls)]
        return urlsplit(url).hostname or "", WEBHOOK_PORT

    async def _open(self, stack: AsyncExitStack) -> None:
        self._stack = stack
        network.make()
        self.served.mkdir()
        shutil.copy2(self.package, self.served)
        stack.push_async_callback(self.database.stop)
        await self.database.start()
        stack.push_async_callback(self.door.stop)
        await self.door.start()
        _serve_folder(stack, self.served)
        if self.door.name == "cloud":
            proxy = Proxy(self._webhook_target, HOST, WEBHOOK_PORT)
            await stack.enter_async_context(proxy)
        stack.callback(self._remove_all)

    def _remove_all(self) -> None:
        for machine in self.machines.values():
            machine.remove()


@asynccontextmanager
async def opened(
    package: Path, door: str = "native", names: Sequence[str] = ()
) -> AsyncIterator[Site]:
    """A site without machines, in the suite's network; everything ends with it."""
    async with AsyncExitStack() as stack:
        folder = prepared.reachable_folder()
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        stack.callback(nothing_refused, folder)
        site = Site(folder, package, door, names)
        await site._open(stack)
        yield site


def _url(machine: Machine) -> str:
    return f"https://{machine.address}:{API_PORT}"


def _seed(machine: Machine, user_data: str) -> None:
    """What cloud-init finds at its first boot."""
    machine.write(f"{SEED}/user-data", user_data, 0o600)
    machine.write(f"{SEED}/meta-data", f"instance-id: i-{machine.name}\n")
    cloud = {"datasource_list": ["NoCloud"], "network": {"config": "disabled"}}
    text = "".join(f"{name}: {value}\n" for name, value in cloud.items())
    machine.write("/etc/cloud/cloud.cfg.d/99-site.cfg", text + "ssh_genkeytypes: []\n")


def _serve_folder(stack: AsyncExitStack, folder: Path) -> None:
    handler = partial(_Quiet, directory=str(folder))
    server = ThreadingHTTPServer((HOST, SERVED_PORT), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    stack.callback(thread.join)
    stack.callback(server.server_close)
    stack.callback(server.shutdown)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing: a suite's output is its results."""
