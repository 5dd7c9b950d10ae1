"""What a page shows while coreapps are killed, shards change, and the database goes away."""

from __future__ import annotations

import asyncio
import re
import signal
from typing import Any

import pytest
from playwright.async_api import Locator, Page, expect

from tests.console.browser import Browsers, focused
from tests.console.site import Site
from tests.harness.wait import Awake
from warouter.store.nodes import read_nodes

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("console, hurt")]

SOON_SECONDS = 2.0
AWAY_SECONDS = 5.0
MARK = "window.marked = true"
MARKED = "window.marked === true"  # false once the page was loaded anew


async def owned(site: Site) -> dict[str, list[int]]:
    """The slots of each coreapp, by its name."""
    names = {one.incarnation: one.name for one in await read_nodes(site.facts.connection)}
    found: dict[str, list[int]] = {}
    for slot, state in enumerate((await site.facts.map()).slots):
        if state.owner is not None:
            found.setdefault(names[state.owner].partition(":")[2], []).append(slot)
    return found


async def shows_owners(page: Page, site: Site) -> None:
    """The page names the owner of each slot, as the database has it."""
    for name, slots in (await owned(site)).items():
        for slot in slots:
            cell = page.locator(f"#slot-{slot}")
            await expect(cell).to_have_attribute("title", re.compile(rf":{re.escape(name)}$"))


async def dead_rows(page: Page, incarnation: Any) -> None:
    await expect(page.locator(f"#node-{incarnation}")).to_contain_text("dead")


async def test_a_killed_coreapp_shows_within_two_seconds(hurt: Site, browsers: Browsers) -> None:
    visit = await browsers.visit(hurt, "admin")
    page = await visit.open("/console/")
    moves = await visit.open("/console/failovers")
    for each in (page, moves):
        await visit.live(each)
        await each.evaluate(MARK)
    field = moves.get_by_label("Since (UTC)")
    await field.press_sequentially("2026-11-2")
    had = await moves.locator("#moves tbody tr").count()
    await hurt.facts.until(lambda m: m.settled)
    await shows_owners(page, hurt)
    name = next(iter(await owned(hurt)))
    nodes = await read_nodes(hurt.facts.connection)
    killed = next(one.incarnation for one in nodes if one.name.endswith(f":{name}"))
    async with Awake() as awake:
        hurt.cluster.processes[name].kill(signal.SIGKILL)
        await dead_rows(page, killed)
        assert awake.seconds <= SOON_SECONDS
    await hurt.facts.until(lambda m: m.settled and all(s.owner != killed for s in m.slots))
    await shows_owners(page, hurt)
    rows = moves.locator("#moves tbody tr")
    await expect(rows.nth(had)).to_be_attached()
    await expect(rows.first).to_contain_text(name)
    await expect(field).to_have_value("2026-11-2")
    assert "filter-since" in await focused(moves)
    assert await page.evaluate(MARKED)
    assert await moves.evaluate(MARKED)


async def test_a_preview_is_what_moves(hurt: Site, browsers: Browsers) -> None:
    """2 to 4 shards by the page, while messages are sent."""
    hurt.business.start()
    await hurt.business.more(20)
    visit = await browsers.visit(hurt, "admin")
    page = await visit.open("/console/")
    await page.get_by_label("Shards", exact=True).select_option("4")
    await page.get_by_role("button", name="Preview").click()
    caption = await page.locator("#shards caption").inner_text()
    many = re.search(r"(\d+) of 32 slots", caption)
    assert many is not None, caption
    planned = [await row.locator("th, td").all_inner_texts() for row in await rows_of(page)]
    assert sum(int(count) for _slots, count, _source, _to in planned) == int(many[1])
    before = await owned(hurt)
    await page.get_by_role("button", name="Set 4 shards…").click()
    await page.get_by_role("dialog").get_by_role("button", name="Set 4 shards").click()
    await expect(page.locator("p.said")).to_contain_text("done")
    await hurt.facts.until(lambda m: m.shards == 4 and m.settled)
    after = await owned(hurt)
    moved = {s for name, slots in after.items() for s in slots if s not in before.get(name, [])}
    assert len(moved) == int(many[1])
    for slots, _count, _source, to in planned:
        # Those in the middle may be left out.
        assert set(map(int, re.findall(r"\d+", slots))) <= set(after[to.rpartition(":")[2]]) & moved
    await hurt.business.more(20)
    await hurt.business.stop()
    await hurt.business.all_called_back()
    assert hurt.business.history.errors == []
    row = (await hurt.audited("set shards"))[-1]
    assert (row["actor"], row["outcome"]) == ("admin", "done")


async def rows_of(page: Page) -> list[Locator]:
    return await page.locator("#shards tbody tr").all()


async def test_a_console_comes_back_to_its_pages(hurt: Site, browsers: Browsers) -> None:
    """Stopped; then without its database for five seconds: grey, live again, nothing twice."""
    visit = await browsers.visit(hurt, "admin")
    visit.forgive(
        "ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED|ERR_EMPTY_RESPONSE|Failed to fetch"
    )
    visit.forgive("network error|status (of )?50[03]|ERR_CONNECTION_RESET|SSE reconnect failed")
    page = await visit.open("/console/")
    await visit.live(page)
    await page.evaluate(MARK)
    console = hurt.cluster.processes["console-1"]
    await console.stop()
    await expect(page.locator("#stream")).to_have_attribute("data-stream", "reconnecting")
    await expect(page.locator("html.old")).to_be_attached()
    await expect(page.locator("#stale")).to_contain_text("As of")
    await hurt.cluster.again(console)
    await whole(page)

    postgres = hurt.cluster.postgres
    assert postgres is not None
    await asyncio.to_thread(postgres.stop)
    await asyncio.sleep(AWAY_SECONDS)  # what is tested is this very time
    await asyncio.to_thread(postgres.start)
    await whole(page)
    assert await page.evaluate(MARKED)


async def whole(page: Page) -> None:
    """Live again, not grey, and no row twice."""
    await expect(page.locator("#stream")).to_have_attribute("data-stream", "live")
    await expect(page.locator("html:not(.old)")).to_be_attached()
    await expect(page.locator("#stale")).to_be_hidden()
    await expect(page.locator("#nodes tbody tr", has_text="coreapp").first).to_be_visible()
    ids = await page.evaluate("[...document.querySelectorAll('[id]')].map((one) => one.id)")
    assert len(ids) == len(set(ids)), sorted(ids)
