"""With the keyboard alone: log in, find, open, replay, log out; and every key is told."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Page, expect

from tests.console.browser import Browsers
from tests.console.site import BAD, Site
from warouter.console.pages import PAGES

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("console")]

OTHERS = {"/", "j", "k", "Enter", "r", "p", "?", "Esc"}
# Whether what has the focus can be seen to have it.
_SEEN = """(() => {
  const one = document.activeElement, box = one.getBoundingClientRect();
  const style = getComputedStyle(one);
  const marked = (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2)
    || style.boxShadow !== "none";
  return marked && box.width > 0 && box.height > 0;
})()"""
_FOCUS = "(e => `${e.tagName} ${e.textContent.trim() || e.name || e.id}`)(document.activeElement)"


async def tab_to(page: Page, pattern: str) -> None:
    """Press Tab until what matches has the focus, which is visible on the way."""
    for _ in range(200):
        await page.keyboard.press("Tab")
        on = await page.evaluate(_FOCUS)
        if on.startswith("BODY"):
            continue
        assert await page.evaluate(_SEEN), f"the focus on {on} is not visible"
        if re.search(pattern, on):
            return
    raise AssertionError(f"Tab never comes to {pattern}")


async def test_everything_by_keyboard(shared: Site, browsers: Browsers) -> None:
    await shared.replayed()
    ids = await shared.dead(2, b"no")
    shared.accept()
    person = shared.people["admin"]
    visit = await browsers.visit(shared)
    page = await visit.open("/console/")
    await expect(page.get_by_label("User", exact=True)).to_be_focused()
    await page.keyboard.type(person.username)
    await page.keyboard.press("Tab")
    await page.keyboard.type(person.password)
    await page.keyboard.press("Enter")
    await visit.live(page)

    await page.keyboard.press("g")
    await page.keyboard.press("m")
    await expect(page).to_have_url(f"{shared.origin}/console/messages")
    await visit.live(page)
    await page.keyboard.press("/")
    await expect(page.get_by_label("Number", exact=True)).to_be_focused()
    await page.keyboard.type(BAD)
    await page.keyboard.press("Enter")
    await page.wait_for_url("**number=**")
    await visit.live(page)
    await page.keyboard.press("j")
    await page.keyboard.press("j")
    await page.keyboard.press("k")
    assert await page.evaluate(_SEEN)
    await page.keyboard.press("Enter")
    await page.wait_for_url(re.compile(r"/console/messages/[^?]+$"))
    await expect(page.locator("#facts")).to_be_visible()

    await page.keyboard.press("g")
    await page.keyboard.press("w")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Webhook")
    await visit.live(page)
    await page.keyboard.press("r")  # to the first row that can be replayed
    assert await page.evaluate(_FOCUS) == "BUTTON Replay"
    assert await page.evaluate(_SEEN)
    await page.keyboard.press("Enter")
    await expect(page.locator("p.said")).to_contain_text("done")
    await expect(page.locator("tr[id^=letter-]")).to_have_count(1)
    await visit.go(page, "/console/webhook")
    await tab_to(page, r"^BUTTON Replay 1 letter…$")
    dialog = page.get_by_role("dialog")
    await page.keyboard.press("Enter")
    await expect(dialog).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(dialog).to_be_hidden()
    await page.keyboard.press("Enter")  # the focus is where it was
    await expect(dialog).to_be_visible()
    await tab_to(page, r"^BUTTON Replay 1 letter$")
    await page.keyboard.press("Enter")
    await expect(page.locator("p.said")).to_contain_text("done")
    await shared.business.until(lambda: set(ids) <= set(shared.business.receiver.messages))

    await visit.go(page, "/console/")
    await tab_to(page, r"^A Skip to the content")
    await tab_to(page, r"^BUTTON Log out")
    await page.keyboard.press("Enter")
    await expect(page.get_by_label("Password", exact=True)).to_be_visible()


async def test_the_list_has_every_key_and_each_leads_where_it_says(
    shared: Site, browsers: Browsers
) -> None:
    visit = await browsers.visit(shared, "reader")
    page = await visit.open("/console/")
    await visit.live(page)
    await page.keyboard.press("?")
    dialog = page.locator("dialog#keys")
    await expect(dialog).to_be_visible()
    told = {" ".join(text.split()) for text in await dialog.locator("dt").all_inner_texts()}
    pages = {f"g {one.key}": one.path for one in PAGES if one.key and one.listed}
    listed = {key for text in told for key in ([text] if text.startswith("g ") else text.split())}
    assert listed == {*pages, *OTHERS}
    await page.keyboard.press("Escape")
    await expect(dialog).to_be_hidden()
    for keys, path in pages.items():
        for key in keys.split():
            await page.keyboard.press(key)
        await expect(page).to_have_url(shared.origin + path)
        await expect(page.locator("html.script")).to_be_attached()


async def test_no_key_acts_while_somebody_types(shared: Site, browsers: Browsers) -> None:
    visit = await browsers.visit(shared, "reader")
    page = await visit.open("/console/messages")
    await visit.live(page)
    field = page.get_by_label("Number", exact=True)
    await field.focus()
    await page.keyboard.type("gc/jkrp?")
    await expect(field).to_have_value("gc/jkrp?")
    assert page.url == f"{shared.origin}/console/messages"
    await expect(page.locator("dialog[open]")).to_have_count(0)
