"""The stack of enterprise.yml with the machines that its user data makes; shards by its function.

ministack starts no machine, so that the suite does what the Auto Scaling group would: it boots them
with the user data of the launch template, registers them with the load balancer, and replaces them
one by one when that user data changes. All else is theirs: they fetch the package, their secrets
and the state of their target, migrate, and start; and the function, which ministack runs, asks the
API behind the load balancer's name.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from tests.deploy import userdata
from tests.deploy.aws import named
from tests.deploy.aws.account import IMAGE, URL, Account, outputs
from tests.deploy.database import ADMIN
from tests.deploy.imds import Imds
from tests.deploy.instances import give_image
from tests.deploy.machine import Machine
from tests.deploy.machines.steps import powered_off
from tests.deploy.measured import TABLE
from tests.deploy.needs import unless
from tests.deploy.network import HOST, NETWORK
from tests.deploy.site import SERVED, Site, opened
from tests.deploy.traffic import lived_through
from tests.harness.certificates import issued, text_of
from tests.harness.proxy import Proxy
from tests.harness.wait import soon
from warouter.local.cluster import SAMPLE

pytestmark = [
    unless("systemd-nspawn", "mmdebstrap", "ip"),
    pytest.mark.asyncio(loop_scope="session"),
]

NAME = "wa.example.com"
MACHINES = 3
MOST_MACHINES = 20
BOOT_LOG = "/var/log/cloud-init-output.log"
OTHERS = """select count(*) from pg_stat_activity where usename like 'warouter%'
    and usename not in ('warouter_webapp', 'warouter_coreapp', 'warouter_master')"""


class Fleet:
    """The machines of the group. ``parameters`` are those of its stack."""

    def __init__(self, account: Account, site: Site, metadata: Imds, database: str) -> None:
        self.site, self.parameters = site, _parameters(account, site)
        self._account, self._metadata, self._database = account, metadata, database
        self._last = 1
        site.prepare = self._prepare

    async def launch(self, each: int) -> int:
        """One more, with so many coreapps; its number."""
        self._last += 1
        number = self._last
        await self.site.add(number, coreapps=each)
        return number

    async def replace(self, each: int) -> None:
        """All of them, one by one, as the update policy has it: gone, then one that is ready."""
        for number in sorted(self.site.machines):
            await powered_off(self.site, number)
            await self.site.remove(number)
            await self.site.in_service(await self.launch(each))

    def update(self, active: str) -> None:
        """Begin to."""
        self._account.update("enterprise", {**self.parameters, "ActiveCoreapps": active})

    def _prepare(self, machine: Machine) -> None:
        instance = self._metadata.prepare(machine, self._account.user_data(), URL)
        give_image(machine, self.site.door)
        hosts = f"127.0.0.1 localhost\n{machine.address} {machine.name}\n{HOST} {self._database}\n"
        machine.write("/etc/hosts", hosts)
        self._account.client("elbv2").register_targets(
            TargetGroupArn=self._account.resource("enterprise", "ApiTarget"),
            Targets=[{"Id": instance.id}],
        )


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def fleet(
    account: Account, package: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Fleet]:
    database = outputs(await account.until("database", "CREATE_COMPLETE"))["Address"]
    async with opened(package, names=[database]) as site:
        with Imds() as metadata:
            found = Fleet(account, site, metadata, database)
            began = time.monotonic()
            account.create("enterprise", found.parameters)
            named.here(await account.balancer(), tmp_path_factory.mktemp("names"))
            async with Proxy(lambda: _webapp(site), HOST, 443):
                await soon(lambda: account.has("enterprise", "Template"))
                await asyncio.gather(*(found.launch(1) for _ in range(MACHINES)))
                await site.installed(*site.machines)
                for machine in site.machines.values():
                    log = await machine.arun("cat", BOOT_LOG)
                    assert "healthy: " in log, log
                await site.register()
                await site.in_service(*site.machines)
                said = outputs(await account.until("enterprise", "CREATE_COMPLETE"))
                assert said["Shards"] == "2 shards."
                TABLE.add("aws", "a new stack: first boot to shards", time.monotonic() - began)
                yield found
        await account.deleted("enterprise")


async def test_the_machines_came_as_the_stack_wants_them(account: Account, fleet: Fleet) -> None:
    for machine in fleet.site.machines.values():
        log = await machine.arun("cat", BOOT_LOG)
        assert "healthy: " in log
        # Signed, read and understood; ministack's group alone waits for none.
        assert "[Group] in stack [enterprise] is not waiting for signals" in log
        shown = await machine.arun("stat", "-c", "%a %U", "/run/warouter/secrets/tls.key")
        assert shown.split() == ["600", "root"]
        left = await machine.arun("ls", "/run/warouter/secrets")
        assert "admin.password" not in left
        assert "api-admin" not in left
    # Each kind of process by a login of its own, and nobody by another.
    assert await fleet.site.facts.connection.fetchval(OTHERS) == 0


async def test_2_to_8_and_back_under_traffic(account: Account, fleet: Fleet) -> None:
    async with lived_through(fleet.site) as business:
        began = time.monotonic()
        fleet.update("8")
        await soon(lambda: "seq 4" in account.user_data())
        # The function waits for nine coreapps, which are there once the machines were replaced.
        assert (await fleet.site.facts.map()).shards == 2
        await fleet.replace(4)
        said = outputs(await account.until("enterprise", "UPDATE_COMPLETE"))
        assert said["Shards"] == "8 shards."
        assert (await fleet.site.facts.map()).shards == 8
        TABLE.add("aws", "2 to 8, three machines replaced", time.monotonic() - began)
        began = time.monotonic()
        fleet.update("2")
        await account.until("enterprise", "UPDATE_COMPLETE")
        assert (await fleet.site.facts.map()).shards == 2
        took = time.monotonic() - began
        await fleet.replace(1)
    seen = f"{business.history.accepted} accepted, {business.history.retried} connects tried again"
    TABLE.add("aws", "8 to 2, before machines go", took, seen)


def _webapp(site: Site) -> tuple[str, int]:
    """Where the load balancer sends a connection: to a machine in service."""
    if not site.urls:
        return HOST, 9  # nobody
    url = urlsplit(Random().choice(site.urls))
    return url.hostname or "", url.port or 0


def _parameters(account: Account, site: Site) -> dict[str, str]:
    authority = site.served / "authority.pem"
    authority.write_text(text_of(site.authority))
    also = [f"{NETWORK}.{number}" for number in range(2, MOST_MACHINES)]
    pair = issued(site.authority, name=NAME, also=also)
    text = json.dumps({"certificate": pair.pem, "key": pair.key})
    certificate = account.secrets.create_secret(Name="certificate", SecretString=text)["ARN"]
    _tell_passwords(account, site)
    return {
        **userdata.STACKS,
        "ActiveCoreapps": "2",
        "PackageUrl": f"{SERVED}/{site.package.name}",
        "PackageSha256": hashlib.sha256(site.package.read_bytes()).hexdigest(),
        "AuthorityUrl": f"{SERVED}/{authority.name}",
        "AuthoritySha256": hashlib.sha256(authority.read_bytes()).hexdigest(),
        "ApiName": NAME,
        "ApiAuthority": text_of(site.authority),
        "CertificateSecret": certificate,
        "CountryCode": SAMPLE.cc,
        "PhoneNumber": SAMPLE.phone_number,
        "Upstream": "simulator",
        "SimulatorHost": HOST,
        "ImageId": IMAGE,
    }


def _tell_passwords(account: Account, site: Site) -> None:
    """The database's owner was made by the site; the API's administrator by the stack."""
    owner = json.dumps({"username": ADMIN, "password": site.database.passwords["admin"]})
    account.secrets.put_secret_value(
        SecretId=account.resource("database", "AdminSecret"), SecretString=owner
    )
    api = account.secrets.get_secret_value(SecretId=account.resource("database", "ApiSecret"))
    site.password = json.loads(api["SecretString"])["password"]
