"""A message from the API is found by its number, and its page tells how it went."""

from __future__ import annotations

import json
import sys
from asyncio import create_subprocess_exec
from asyncio.subprocess import PIPE
from typing import Any

import pytest
from playwright.async_api import expect

from tests.console.browser import Browsers
from tests.console.site import Site

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("console")]

TO = "491521234567"


async def traced(site: Site, message_id: str) -> dict[str, Any]:
    """What `warouter trace` says of it."""
    process = await create_subprocess_exec(
        *(sys.executable, "-m", "warouter", "trace", message_id, "--json"),
        *("--data-dir", str(site.cluster.folder)),
        stdout=PIPE,
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    found: dict[str, Any] = json.loads(out)
    return found


async def test_a_message_is_found_and_its_steps_are_told(shared: Site, browsers: Browsers) -> None:
    business = shared.business
    message_id = await business.message(TO)
    other = await business.message("491529999999")
    await business.called_back("read", message_id, other)
    visit = await browsers.visit(shared, "admin")
    page = await visit.open("/console/messages")
    await page.get_by_label("Number", exact=True).fill(f"+{TO}")
    await page.get_by_role("button", name="Search").click()
    rows = page.locator("#live tbody tr")
    await expect(rows).to_have_count(1)
    await expect(rows).to_contain_text(message_id)
    assert TO not in await rows.inner_text()  # masked
    await rows.get_by_role("link").click()
    await expect(page).to_have_url(f"{shared.origin}/console/messages/{message_id}")
    steps = page.locator("ol.timeline > li")
    trace = await traced(shared, message_id)
    assert trace["id"] == message_id
    assert await steps.count() == len(trace["steps"])
    told = " ".join(await steps.all_inner_texts())
    for step in ("accepted", "sent", "delivered", "read"):
        assert step in told.lower(), told
    assert TO not in await page.locator("#facts").inner_text()


async def test_the_number_is_shown_to_an_administrator_who_leaves_a_row(
    shared: Site, browsers: Browsers
) -> None:
    message_id = await shared.business.message(TO)
    visit = await browsers.visit(shared, "reader")
    page = await visit.open(f"/console/messages/{message_id}")
    await expect(page.get_by_role("button", name="Show the number")).to_have_count(0)
    visit = await browsers.visit(shared, "admin")
    page = await visit.open(f"/console/messages/{message_id}")
    await page.get_by_role("button", name="Show the number").click()
    await expect(page.locator("#revealed")).to_contain_text(TO)
    row = (await shared.audited("reveal number"))[-1]
    assert row["actor"] == "admin"
    assert row["source"] in ("127.0.0.1", "::1")


async def test_the_list_goes_on_by_itself(shared: Site, browsers: Browsers) -> None:
    """And stands still while somebody reads it."""
    visit = await browsers.visit(shared, "reader")
    page = await visit.open("/console/messages")
    await visit.live(page)
    message_id = await shared.business.message(TO)
    rows = page.locator("#live tbody tr")
    await expect(rows.first).to_contain_text(message_id)
    await rows.first.hover()
    await expect(page.locator("#stream")).to_have_attribute("data-stream", "paused")
    later = await shared.business.message(TO)
    await shared.business.called_back("read", later)
    await expect(rows.first).to_contain_text(message_id)
    await page.locator("h1").hover()
    await expect(rows.first).to_contain_text(later)


async def test_filters_are_in_the_address_and_the_back_key_works(
    shared: Site, browsers: Browsers
) -> None:
    visit = await browsers.visit(shared, "reader")
    page = await visit.open("/console/messages")
    await page.get_by_label("State", exact=True).select_option(index=1)
    await page.get_by_role("button", name="Search").click()
    await expect(page.get_by_label("State", exact=True)).not_to_have_value("")
    assert "state=" in page.url
    await page.go_back()
    await expect(page.get_by_label("State", exact=True)).to_have_value("")
