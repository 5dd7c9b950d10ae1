"""Without a script all pages are read, and all forms work."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.console.browser import Browsers
from tests.console.site import BAD, Site
from warouter.console.pages import PAGES

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("console")]

PATHS = [page.path for page in PAGES]


@pytest.mark.parametrize("path", PATHS)
async def test_a_page_is_read_its_filters_and_dialogs_work(
    busy: Site, browsers: Browsers, path: str
) -> None:
    visit = await browsers.visit(busy, "admin", script=False)
    place = busy.place(path)
    page = await visit.open(place)
    await expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert len(await page.locator("main").inner_text()) > 40
    await expect(page.get_by_text("reconnecting")).to_have_count(0)
    for button in await page.locator("main button[commandfor]:not(dialog *)").all():
        dialog = page.locator(f"dialog#{await button.get_attribute('commandfor')}")
        await button.click()
        await expect(dialog).to_be_visible()
        await expect(dialog.locator("form[method=post]")).to_have_count(1)
        await dialog.get_by_role("button", name="Cancel").click()
        await expect(dialog).to_be_hidden()
    forms = page.locator("main form[method=get]")
    for at in range(await forms.count()):
        async with page.expect_navigation() as navigation:
            await forms.nth(at).get_by_role("button").first.click()
        answer = await navigation.value
        assert answer is not None
        assert answer.status == 200, answer.url
        await visit.go(page, place)


async def test_acts_work(shared: Site, browsers: Browsers) -> None:
    await shared.replayed()
    ids = await shared.dead(2, b"no")
    shared.accept()
    visit = await browsers.visit(shared, script=False)
    page = await visit.open("/console/webhook")
    await visit.log_in(page, "admin")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Webhook")
    row = page.locator("tr[id^=letter-]", has_text=ids[0])
    await row.get_by_role("button", name="Replay").click()
    await expect(page.locator("p.said")).to_contain_text("done")
    await shared.business.until(lambda: ids[0] in shared.business.receiver.messages)
    await visit.go(page, "/console/webhook")
    await page.get_by_role("button", name="Replay 1 letter…").click()
    await page.get_by_role("dialog").get_by_role("button", name="Replay 1 letter").click()
    await expect(page.locator("p.said")).to_contain_text("done")
    await shared.business.until(lambda: ids[1] in shared.business.receiver.messages)
    await visit.go(page, f"/console/messages?number={BAD}")
    await expect(page.locator("#live tbody tr").first).to_be_visible()
    await page.get_by_role("button", name="Log out").click()
    await expect(page.get_by_label("Password", exact=True)).to_be_visible()
