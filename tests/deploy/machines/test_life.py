"""Three machines from their first boot to their replacement, under traffic through both doors."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.deploy.machines import steps
from tests.deploy.measured import TABLE
from tests.deploy.needs import unless
from tests.deploy.site import Site, opened

pytestmark = [
    unless("systemd-nspawn", "mmdebstrap", "ip"),
    pytest.mark.asyncio(loop_scope="module"),
]


@pytest_asyncio.fixture(loop_scope="module", scope="module", params=["native", "cloud"])
async def site(request: pytest.FixtureRequest, package: Path) -> AsyncIterator[Site]:
    async with opened(package, request.param) as found:
        began = time.monotonic()
        await asyncio.gather(found.add(2, migrates=True), found.add(3), found.add(4))
        await found.serve()
        TABLE.add(request.param, "three machines: first boot to service", time.monotonic() - began)
        yield found


async def test_power_off(site: Site) -> None:
    took = await steps.power_off(site)
    if site.door.name == "native":
        assert took < steps.OFF_SECONDS + steps.ROOM_SECONDS


async def test_power_cut(site: Site) -> None:
    await steps.power_cut(site)


async def test_scaled_up_and_down(site: Site) -> None:
    for shards, coreapps in ((4, 2), (8, 3), (2, 2)):
        await steps.scaled(site, shards, coreapps)


async def test_rolling_replacement(site: Site) -> None:
    await steps.replaced(site, site.add)
