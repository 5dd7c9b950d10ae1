"""Three machines from their first boot to their replacement, under traffic through both doors."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.deploy.instances import instances
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
    async with opened(package, request.param) as found, instances(found) as aws:
        found.prepare = aws.prepare
        began = time.monotonic()
        await asyncio.gather(*(found.add(number) for number in (2, 3, 4)))
        await found.serve()
        TABLE.add(request.param, "three machines: first boot to service", time.monotonic() - began)
        yield found
        assert set(aws.signals.values()) == {"SUCCESS"}


async def test_power_off(site: Site) -> None:
    took = await steps.power_off(site)
    assert took < steps.HOLD_SECONDS


async def test_power_cut(site: Site) -> None:
    await steps.power_cut(site)


async def test_scaled_up_and_down(site: Site) -> None:
    for shards, coreapps in ((4, 2), (8, 3), (2, 2)):
        await steps.scaled(site, shards, coreapps)


async def test_rolling_replacement(site: Site) -> None:
    await steps.replaced(site, site.add)
