"""A cluster in the suite's network whose database is on the machine, with a login for each kind of
process, and an operator who types what docs/backup.md says.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, NamedTuple

from tests.deploy import network
from tests.deploy.backup import document
from tests.deploy.backup.server import Server
from tests.harness import prepared
from tests.harness.business import Business
from tests.harness.shell import printed, refused
from warouter.local.cluster import Cluster
from warouter.local.options import Placement, UpOptions
from warouter.local.process import Process

SIZE: dict[str, Any] = {"shards": 2, "coreapps": 3, "webapps": 2, "masters": 2}
HOLD = {"WAROUTER_HOLD": "25"}
ORDER = ("webapp", "coreapp", "master")  # in which they are stopped; they start the other way round
_NOTED = re.compile(r"\d+:[0-9a-f]{64}")


class Installation(NamedTuple):
    server: Server
    cluster: Cluster
    business: Business

    async def backed_up(self) -> None:
        """A full backup, made while messages come in."""
        await self.server.does(document.commands("stanza-create"))
        accepted = self.business.history.accepted
        await self.server.does(document.commands("--type=full"))
        meanwhile = self.business.history.accepted - accepted
        print(f"\naccepted while the backup was made: {meanwhile}")
        assert meanwhile

    async def warouter(self, *arguments: str) -> str:
        return await printed(None, *arguments, **self.server.environment)

    async def noted(self) -> str:
        """The number and hash of the newest row of the audit log, with one more row before it."""
        await self.business.settings(callback_backoff_delay_ms=200)
        (found,) = _NOTED.findall(await self.warouter("audit", "--verify"))
        return found

    async def restored(self, target: str) -> None:
        await self.server.does(document.restore_to(target))

    async def brought_forward(self, before: str, after: str) -> None:
        """The operator's commands before a process starts; ``before`` and ``after`` the target
        these rows of the audit log were noted.
        """
        for line in document.commands("warouter audit --verify").splitlines():
            await self.warouter(*line.split()[1:])
        print(await self.warouter("migrate", "--roles", *self.passwords), end="")
        await self.warouter("migrate", "--check-roles")
        await self.warouter("audit", "--verify", "--known", before)
        print(await refused(None, *_known(after), **self.server.environment))

    @property
    def passwords(self) -> tuple[str, str]:
        return "--password-dir", str(self.cluster.folder / "passwords")

    def _processes(self, role: str) -> list[Process]:
        return [p for p in self.cluster.processes.values() if p.role == role]

    async def stop(self) -> None:
        """All processes of warouter; the WhatsApp side goes on."""
        for role in ORDER:
            for process in self._processes(role):
                await process.stop()

    async def start(self) -> None:
        for role in reversed(ORDER):
            for process in self._processes(role):
                await self.cluster.again(process)


def _known(row: str) -> tuple[str, ...]:
    return "audit", "--verify", "--known", row


@asynccontextmanager
async def installed(
    rate: float, environment: Mapping[str, str] = {}, **options: Any
) -> AsyncIterator[Installation]:
    """Everything runs, and nothing is sent yet."""
    async with AsyncExitStack() as stack:
        network.make()
        folder = prepared.reachable_folder()
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        server = Server(folder)
        stack.callback(server.remove)
        server.start()
        cluster = Cluster(
            UpOptions(
                data_dir=folder / "cluster",
                port=0,
                tls=False,
                environment={**server.environment, **HOLD, **environment},
                place=lambda _name, role: _login(folder, role),
                **SIZE,
                **options,
            )
        )
        passwords = folder / "cluster" / "passwords"
        await printed(
            None, "migrate", "--roles", "--password-dir", str(passwords), **server.environment
        )
        stack.push_async_callback(cluster.stop)
        await cluster.start()
        urls = cluster.webapp_urls
        business = await stack.enter_async_context(Business(cluster, urls, rate=rate))
        stack.push_async_callback(cluster.stop)  # before the receiver that it calls
        stack.callback(business.end)
        yield Installation(server, cluster, business)


def _login(folder: Any, role: str) -> Placement:
    password = folder / "cluster" / "passwords" / f"{role}.password"
    return Placement(
        environment={
            "WA_DB_USERNAME": f"warouter_{role}",
            "WA_DB_PASSWORD": "",
            "WA_DB_PASSWORD_FILE": str(password),
        }
    )
