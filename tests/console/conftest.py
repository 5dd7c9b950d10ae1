"""The console of real clusters in a real browser (`make test-console`).

Most tests share one cluster; those that hurt theirs for good share another.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio
from playwright.async_api import Browser, async_playwright

from tests.console.browser import Browsers, started
from tests.console.site import Site, site


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await started(playwright)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def browsers_of_all(chromium: Browser) -> Browsers:
    return Browsers(chromium)


@pytest_asyncio.fixture(loop_scope="session")
async def browsers(browsers_of_all: Browsers) -> AsyncIterator[Browsers]:
    """Nobody's browser may complain of anything."""
    yield browsers_of_all
    assert await browsers_of_all.close() == []


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def shared() -> AsyncIterator[Site]:
    """The cluster of the tests that leave it whole."""
    async with site() as found:
        yield found


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def hurt() -> AsyncIterator[Site]:
    """That of the tests whose coreapps and database go away."""
    async with site(coreapps=6) as found:
        yield found


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def busy(shared: Site) -> Site:
    """The same, once it has something of everything to show."""
    await shared.fill()
    return shared
