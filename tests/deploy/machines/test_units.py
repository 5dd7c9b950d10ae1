"""The shipped units under a real systemd: sandbox, watchdog, restarts, credentials, media."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.deploy.database import AUTHORITY
from tests.deploy.installed import console_files, units
from tests.deploy.measured import TABLE
from tests.deploy.needs import unless
from tests.deploy.site import LOOK_SECONDS, Site, opened
from tests.deploy.traffic import business_of, lived_through
from tests.harness.wait import soon
from warouter.errors import CommandError

pytestmark = [
    unless("systemd-nspawn", "mmdebstrap", "ip"),
    pytest.mark.asyncio(loop_scope="module"),
]

CONSOLE = "warouter-console@1"
UNITS = [*units(2), CONSOLE]
MOST_EXPOSED = 1.5  # as `make lint` allows
ACCOUNT = range(990, 991)  # uid of the package's account
LOG_IN_PAGE = f"""
import ssl, urllib.request
trusted = ssl.create_default_context(cafile="{AUTHORITY}")
trusted.check_hostname = False  # the certificate has the machine's address, the console loopback
with urllib.request.urlopen("https://127.0.0.1:9080/console/", context=trusted) as answer:
    print(answer.status, "Log in" in answer.read().decode())
"""
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(64)
DYNAMIC = range(61184, 65520)  # uids that systemd gives (DynamicUser=)
STOP_SECONDS = {"coreapp": 40.0, "master": 10.0, "webapp": 20.0, "console": 10.0}  # TimeoutStopSec=
WATCHDOG_SECONDS = 10.0  # of a coreapp


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def site(package: Path) -> AsyncIterator[Site]:
    async with opened(package) as found:
        began = time.monotonic()
        await found.add(2, migrates=True)
        await found.serve()
        TABLE.add("units", "one machine: first boot to service", time.monotonic() - began)
        machine = found.machines[2]
        for place, text in console_files(machine.address).items():
            machine.write(place, text)
        await machine.arun("systemctl", "daemon-reload")
        await machine.arun("systemctl", "start", CONSOLE)
        yield found


async def shown(site: Site, unit: str, *names: str) -> list[str]:
    """Properties of a unit, in the order of their names here."""
    await asyncio.sleep(LOOK_SECONDS)  # asked for again and again
    command = ("systemctl", "show", unit, f"--property={','.join(names)}")
    said = await site.machines[2].arun(*command)
    found = dict(line.split("=", 1) for line in said.splitlines())
    return [found[name] for name in names]


async def pid_of(site: Site, unit: str) -> str:
    """As its machine sees it."""
    return (await shown(site, unit, "MainPID"))[0]


async def status_of(site: Site, unit: str) -> dict[str, str]:
    """The lines of /proc/PID/status."""
    said = await site.machines[2].arun("cat", f"/proc/{await pid_of(site, unit)}/status")
    return {name: value.strip() for name, _, value in (x.partition(":") for x in said.splitlines())}


async def test_the_sandbox_is_in_force(site: Site) -> None:
    machine = site.machines[2]
    await machine.arun("systemctl", "start", "warouter-simulator@1")
    for unit in (*UNITS, "warouter-simulator@1"):
        status = await status_of(site, unit)
        assert {status[name] for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb")} == {"0" * 16}
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
        assert int(status["Uid"].split()[0]) != 0
        inside = ("nsenter", f"--target={await pid_of(site, unit)}", "--mount", "--")
        with pytest.raises(CommandError, match="Read-only file system"):
            await machine.arun(*inside, "touch", "/etc/warouter/of-a-process")
        said = await machine.arun("systemd-analyze", "security", "--no-pager", unit)
        exposed = re.search(r"Overall exposure level for .*: ([0-9.]+)", said)
        assert exposed is not None
        assert float(exposed[1]) <= MOST_EXPOSED
    await machine.arun("systemctl", "stop", "warouter-simulator@1")


async def test_each_kind_has_its_login_by_a_credential_and_links_run_in_tls(site: Site) -> None:
    sessions = await site.facts.connection.fetch(
        "select usename, application_name from pg_stat_activity where application_name like 'wa:%'"
    )
    assert sessions
    for name, application in sessions:
        kind = application.rpartition(":")[2].partition("-")[0]
        assert name == f"warouter_{kind}"
    machine = site.machines[2]
    place = f"/run/credentials/{UNITS[0]}.service/db-password"
    assert await machine.arun("cat", place) == site.database.passwords["coreapp"]
    assert await machine.arun("stat", "--format=%U %a", place) == "root 440\n"
    environment = await machine.arun("cat", f"/proc/{await pid_of(site, UNITS[0])}/environ")
    assert site.database.passwords["coreapp"] not in environment
    rows = await site.facts.connection.fetch(
        "select host, fingerprint, certificate from node where role = 'coreapp'"
    )
    assert rows
    assert all(row["host"] == machine.address and row["fingerprint"] for row in rows)


async def test_the_console_serves_pages_in_tls_under_its_own_login(site: Site) -> None:
    machine = site.machines[2]
    await machine.arun("warouter", "healthcheck", "--role", "console")
    said = await machine.arun("python3", "-c", LOG_IN_PAGE)
    assert said == "200 True\n"
    logins = await site.facts.connection.fetch(
        "select distinct usename from pg_stat_activity where application_name like '%console%'"
    )
    assert [row["usename"] for row in logins] == ["warouter_web_console"]


async def test_a_hung_process_is_ended_by_its_watchdog_and_started_again(site: Site) -> None:
    unit, machine = UNITS[0], site.machines[2]
    async with lived_through(site, planned=False):
        before = await pid_of(site, unit)
        began = time.monotonic()
        await machine.arun("kill", f"-{signal.SIGSTOP.name}", before)

        async def again() -> bool:
            state, pid = await shown(site, unit, "ActiveState", "MainPID")
            return state == "active" and pid not in ("0", before)

        await soon(again)
    took = time.monotonic() - began
    TABLE.add("units", "SIGSTOP: ended by the watchdog and active again", took)
    journal = await machine.arun("journalctl", "--no-pager", f"--unit={unit}")
    assert "Watchdog timeout" in journal
    assert took > WATCHDOG_SECONDS / 2


async def test_a_program_that_cannot_start_is_tried_less_and_less(site: Site) -> None:
    unit, machine = "warouter-coreapp@9", site.machines[2]
    place = f"/etc/systemd/system/{unit}.service.d/broken.conf"
    machine.write(place, "[Service]\nExecStart=\nExecStart=/bin/false\n")
    await machine.arun("systemctl", "daemon-reload")
    began = time.monotonic()
    await machine.arun("systemctl", "start", "--no-block", unit)

    async def slowest() -> bool:
        return (await shown(site, unit, "RestartUSecNext"))[0] == "5s"

    await soon(slowest)
    (restarts,) = await shown(site, unit, "NRestarts")
    seen = f"{restarts} attempts until one comes every 5 s"
    TABLE.add("units", "a program that cannot start", time.monotonic() - began, seen)
    await machine.arun("systemctl", "stop", unit)
    assert int(restarts) < 10


async def test_the_journal_has_the_log_lines(site: Site) -> None:
    for unit in UNITS:
        command = ("journalctl", "--no-pager", "--output=cat", f"--unit={unit}", "_COMM=warouter")
        said = (await site.machines[2].arun(*command)).splitlines()
        lines = [json.loads(line) for line in said if line.startswith("{")]
        assert lines, unit
        assert all({"event", "level", "node"} <= line.keys() for line in lines)


async def test_each_stops_in_its_time_and_starts_again(site: Site) -> None:
    for unit in UNITS:
        began = time.monotonic()
        await site.machines[2].arun("systemctl", "stop", unit)
        took = time.monotonic() - began
        kind = unit.removeprefix("warouter-").partition("@")[0]
        result, status = await shown(site, unit, "Result", "ExecMainStatus")
        assert (result, status) == ("success", "0")
        TABLE.add("units", f"systemctl stop {unit}", took)
        assert took < STOP_SECONDS[kind]
        await site.machines[2].arun("systemctl", "start", unit)
    await site.in_service(2)


async def test_media_stay_whether_the_account_is_there_or_drawn(site: Site) -> None:
    """The package makes the account; without it systemd draws one (DynamicUser=)."""
    machine = site.machines[2]
    async with business_of(site) as business:
        headers = business.headers | {"Content-Type": "image/png"}
        answer = await business.call("POST", "/v1/media", data=PICTURE, headers=headers)
        path = f"/v1/media/{answer['media'][0]['id']}"
        for ids, command in ((ACCOUNT, "true"), (DYNAMIC, "userdel warouter")):
            await machine.arun("systemctl", "stop", *UNITS)
            await machine.arun("sh", "-c", command)
            await machine.arun("systemctl", "start", "--no-block", *UNITS)
            await site.in_service(2)
            for unit in UNITS:
                assert int((await status_of(site, unit))["Uid"].split()[0]) in ids
            assert await business.try_call("GET", path) == (200, PICTURE)
