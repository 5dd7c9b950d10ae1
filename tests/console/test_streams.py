"""Streams: who looks away holds none, who pauses sees nothing move, and a logout ends them."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, expect

from tests.console.browser import Browsers, Visit
from tests.console.site import Site

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("console")]


async def hide(page: Page, hidden: bool) -> None:
    """As if another tab were before it: Chromium without a screen shows all of them.

    The browser says so by itself where the property and the event come from; here from the page.
    """
    await page.evaluate(
        """(hidden) => {
          const state = hidden ? "hidden" : "visible";
          Object.defineProperty(document, "hidden", {value: hidden, configurable: true});
          Object.defineProperty(document, "visibilityState", {value: state, configurable: true});
          document.dispatchEvent(new Event("visibilitychange"));
        }""",
        hidden,
    )


async def streaming(visit: Visit, count: int) -> None:
    """Until the visitor's tabs hold so many streams."""
    await visit.watch.until(lambda: len(visit.streams) == count)


async def test_a_hidden_tab_holds_no_stream(shared: Site, browsers: Browsers) -> None:
    visit = await browsers.visit(shared, "admin")
    pages = [await visit.open("/console/") for _ in range(3)]
    await streaming(visit, 3)
    for page in pages[:2]:
        await hide(page, True)
    await streaming(visit, 1)
    await hide(pages[0], False)
    await streaming(visit, 2)
    await visit.live(pages[0])


async def test_a_tab_that_is_left_ends_its_stream(shared: Site, browsers: Browsers) -> None:
    visit = await browsers.visit(shared, "admin")
    page = await visit.open("/console/")
    await streaming(visit, 1)
    await visit.go(page, "/console/login")
    await streaming(visit, 0)


async def test_a_paused_page_stands_still(shared: Site, browsers: Browsers) -> None:
    visit = await browsers.visit(shared, "admin")
    page = await visit.open("/console/")
    await visit.live(page)
    await page.keyboard.press("p")
    await expect(page.locator("#stream")).to_have_attribute("data-stream", "paused")
    await expect(page.locator("#pause")).to_have_text("Go on")
    await page.keyboard.press("p")
    await expect(page.locator("#stream")).to_have_attribute("data-stream", "live")


async def test_a_page_whose_session_ended_leads_to_the_login_and_back(
    shared: Site, browsers: Browsers
) -> None:
    visit = await browsers.visit(shared)
    visit.forgive("status (of )?401")
    page = await visit.open("/console/")
    await visit.log_in(page, "reader")
    await visit.live(page)
    other = await visit.open("/console/")
    await other.get_by_role("button", name="Log out").click()
    await expect(page.get_by_label("Password", exact=True)).to_be_visible()
    await visit.log_in(page, "reader")
    await expect(page).to_have_url(shared.origin + "/console/")
