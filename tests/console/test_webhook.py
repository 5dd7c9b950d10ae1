"""A webhook that fails: what failed is told, what it refused for good is delivered once more."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import expect

from tests.console.browser import Browsers
from tests.console.site import HOSTILE, Site

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("console")]

PATH = "/console/webhook"
ANSWER = f"<h1>no</h1> {HOSTILE}"


@pytest_asyncio.fixture(loop_scope="session")
async def letters(shared: Site) -> AsyncIterator[list[str]]:
    """Five dead letters, and none else; the webhook accepts everything again."""
    await shared.replayed()
    ids = await shared.dead(5, ANSWER.encode())
    shared.accept()
    yield ids
    await shared.replayed()


async def test_failures_are_told_with_status_and_answer(
    shared: Site, browsers: Browsers, letters: list[str]
) -> None:
    visit = await browsers.visit(shared, "admin")
    page = await visit.open(PATH)
    failure = page.locator("tr[id^=failure-]", has_text=letters[0]).first
    await expect(failure).to_contain_text("400")
    await expect(failure).to_contain_text(ANSWER[:40])
    visit = await browsers.visit(shared, "reader")
    page = await visit.open(PATH)
    failure = page.locator("tr[id^=failure-]", has_text=letters[0]).first
    await expect(failure).to_contain_text("400")
    assert "<h1>no" not in await failure.inner_text()


async def test_letters_are_replayed_one_by_one_chosen_and_all(
    shared: Site, browsers: Browsers, letters: list[str]
) -> None:
    taken = shared.business.receiver.messages
    before = len(await shared.audited("replay callbacks"))
    visit = await browsers.visit(shared, "admin")
    page = await visit.open(PATH)
    rows = page.locator("tr[id^=letter-]")
    await expect(rows).to_have_count(5)
    assert not set(letters) & set(taken)

    await rows.filter(has_text=letters[0]).get_by_role("button", name="Replay").click()
    await expect(page.locator("p.said")).to_contain_text("done")
    await shared.business.until(lambda: letters[0] in taken)
    await expect(rows).to_have_count(4)

    for one in letters[1:3]:
        await rows.filter(has_text=one).get_by_role("checkbox").check()
    await page.get_by_role("button", name="Replay chosen").click()
    await expect(page.locator("p.said")).to_contain_text("2")
    await shared.business.until(lambda: set(letters[:3]) <= set(taken))
    await expect(rows).to_have_count(2)

    await visit.go(page, PATH)
    await page.get_by_role("button", name="Replay 2 letters…").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text("2")
    await dialog.get_by_role("button", name="Replay 2 letters").click()
    await expect(page.locator("p.said")).to_contain_text("done")
    await shared.business.until(lambda: set(letters) <= set(taken))
    await expect(rows).to_have_count(0)

    rows_of_audit = (await shared.audited("replay callbacks"))[before:]
    assert [row["outcome"] for row in rows_of_audit] == ["begun", "done"] * 3
    assert {row["actor"] for row in rows_of_audit} == {"admin"}
    await page.locator("p.said").get_by_role("link").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Access")
    await expect(page.locator("main")).to_contain_text("replay callbacks")


@pytest_asyncio.fixture(loop_scope="session")
async def parked(shared: Site) -> AsyncIterator[str]:
    """A message whose callback is not sent again for a quarter of an hour, to a webhook that
    accepts everything again.
    """
    await shared.back_off(900_000)
    one = await shared.parked()
    shared.accept()
    yield one
    await shared.back_off(50)
    await shared.replayed()


@pytest.mark.parametrize("where", [PATH, "/console/messages/{}"])
async def test_parked_callbacks_are_retried_at_once(
    shared: Site, browsers: Browsers, parked: str, where: str
) -> None:
    taken = shared.business.receiver.messages
    visit = await browsers.visit(shared, "reader")
    page = await visit.open(where.format(parked))
    again = page.get_by_role("button", name="Try again now")
    await expect(page.locator("main")).to_contain_text("parked")
    await expect(again).to_have_count(0)

    visit = await browsers.visit(shared, "admin")
    page = await visit.open(where.format(parked))
    again = page.get_by_role("button", name="Try again now")
    assert parked not in taken
    await again.click()
    await expect(page.locator("p.said")).to_contain_text("retry callbacks")
    await expect(page.locator("p.said")).to_contain_text("done")
    await shared.business.until(lambda: parked in taken)
    await expect(again).to_have_count(0)  # without a reload


async def test_a_reader_has_no_button(shared: Site, browsers: Browsers, letters: list[str]) -> None:
    visit = await browsers.visit(shared, "reader")
    page = await visit.open(PATH)
    await expect(page.locator("tr[id^=letter-]")).to_have_count(len(letters))
    await expect(page.locator("main form[method=post]")).to_have_count(0)
    await expect(page.locator("main [type=checkbox]")).to_have_count(0)


async def test_a_test_callback_reaches_the_webhook(shared: Site, browsers: Browsers) -> None:
    shared.accept()
    before = len(shared.business.receiver.posts)
    visit = await browsers.visit(shared, "admin")
    page = await visit.open(PATH)
    await page.get_by_role("button", name="Send a test callback").click()
    await expect(page.locator("p.said")).to_contain_text("done")
    await shared.business.until(lambda: len(shared.business.receiver.posts) > before)
    await expect(page.locator("tr[id^=trial-]").first).to_contain_text("200")
