"""A rolling upgrade of the package under traffic, from the build before to today's, as
docs/compatibility.md says: the package on each machine, one migration, process by process.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.deploy.installed import units
from tests.deploy.machine import Machine
from tests.deploy.measured import TABLE
from tests.deploy.needs import unless
from tests.deploy.site import Site, opened
from tests.deploy.traffic import lived_through

pytestmark = [
    unless("systemd-nspawn", "mmdebstrap", "ip"),
    pytest.mark.asyncio(loop_scope="module"),
]

# As an operator: with the settings of the processes, and a login of one's own.
AS = """
set -a; . /etc/warouter/warouter.env
WA_DB_USERNAME=warouter_{kind}; WA_DB_PASSWORD_FILE=/etc/warouter/passwords/{kind}.password
exec warouter {command}"""


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def site(former_package: Path) -> AsyncIterator[Site]:
    async with opened(former_package) as found:
        await asyncio.gather(found.add(2, migrates=True), found.add(3))
        await found.serve()
        yield found


async def operator(machine: Machine, kind: str, command: str) -> str:
    return await machine.arun("sh", "-c", AS.format(kind=kind, command=command))


async def versions(site: Site) -> dict[str, set[str]]:
    """Those that ``warouter status`` shows, by machine."""
    machine = site.machines[2]
    found = json.loads(await operator(machine, "console", "status --json"))
    by: dict[str, set[str]] = {}
    for node in found["nodes"]:
        if node["state"] == "alive":
            by.setdefault(node["name"].partition(":")[0], set()).add(node["version"])
    return by


async def installed(site: Site, machine: Machine, package: Path) -> str:
    """The version of the package that it has now."""
    machine.copy(package, f"/var/tmp/{package.name}")
    command = ("dpkg", "--force-confold", "--install", f"/var/tmp/{package.name}")
    await machine.arun(*command, seconds=120)
    asked = ("dpkg-query", "--show", "--showformat=${Version}", "warouter")
    return await machine.arun(*asked)


async def test_the_package_is_upgraded_process_by_process(site: Site, package: Path) -> None:
    machines = list(site.machines.values())
    (before,) = set.union(*(await versions(site)).values())
    began = time.monotonic()
    settings = (machines[0].root / "etc/warouter/warouter.env").read_text()
    async with lived_through(site) as business:
        for machine in machines:
            version = await installed(site, machine, package)
        await business.more(50)  # processes of before, whose files have gone
        password = site.database.passwords["admin"]
        machines[0].write("/etc/warouter/passwords/admin.password", password, 0o600)
        await operator(machines[0], "admin", "migrate")
        for machine in machines:
            for unit in units(2):
                await machine.arun("systemctl", "restart", unit)
            await business.more(20)
    seen = f"{before} to {version}, {business.history.accepted} accepted"
    TABLE.add("upgrade", "two machines, process by process", time.monotonic() - began, seen)
    found = await versions(site)
    assert found == {machine.name: {version} for machine in machines}
    assert version != before
    assert (machines[0].root / "etc/warouter/warouter.env").read_text() == settings
