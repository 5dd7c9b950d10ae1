"""Every page, for both kinds of visitors, in both schemes and widths."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from playwright.async_api import Page

from tests.console.browser import HEIGHT, NARROW, SCREENS, STREAM, WIDE, Browsers, judged
from tests.console.site import HOSTILE, Site
from warouter.console.pages import PAGES

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("console, pages")]

MOST_BYTES = 60_000  # of the first page over the wire, with all its files
MOST_SCRIPTS = 5
PATHS = {page.name: page.path for page in PAGES}
OF_ADMINISTRATORS = ("settings_change",)  # whoever only reads is told so
# The event of another size comes with a frame: until then the script has not seen it.
_LAID_OUT = "new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)))"


async def shown(page: Page, scheme: str, width: int) -> list[str]:
    """What is wrong with how it looks in this scheme and width."""
    await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    await page.set_viewport_size({"width": width, "height": HEIGHT})
    await page.evaluate(_LAID_OUT)
    wrong = await judged(page)
    needed = await page.evaluate("document.scrollingElement.scrollWidth")
    if needed > width:
        wrong.append(f"needs {needed} pixels")
    return [f"{scheme}, {width}: {one}" for one in wrong]


@pytest.mark.parametrize("who", ["admin", "reader"])
@pytest.mark.parametrize("name", PATHS)
async def test_a_page_is_as_it_should_be(
    busy: Site, browsers: Browsers, name: str, who: str
) -> None:
    visit = await browsers.visit(busy, who)
    if who == "reader" and name in OF_ADMINISTRATORS:
        visit.forgive("status of 403")
    page = await visit.open(busy.place(PATHS[name]))
    if await page.locator("#live").count():
        await visit.live(page)
    wrong = []
    for scheme in ("light", "dark"):
        for width in (WIDE, NARROW):
            wrong += await shown(page, scheme, width)
            if who == "admin":
                SCREENS.mkdir(parents=True, exist_ok=True)
                path = SCREENS / f"{name}-{scheme}-{width}.png"
                await page.screenshot(path=path, full_page=True)
    assert wrong == []
    assert await page.locator("h1").count() == 1
    assert await page.title()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [WIDE, NARROW])
async def test_the_login_is_as_it_should_be(
    busy: Site, browsers: Browsers, scheme: str, width: int
) -> None:
    visit = await browsers.visit(busy)
    page = await visit.open("/console/login")
    assert await shown(page, scheme, width) == []
    await page.screenshot(path=SCREENS / f"login-{scheme}-{width}.png", full_page=True)


async def test_the_first_page_is_light(busy: Site, browsers: Browsers) -> None:
    visit = await browsers.visit(busy, "admin")
    page = await visit.context.new_page()
    wire = await visit.context.new_cdp_session(page)
    paths: dict[str, str] = {}
    weights: Counter[str] = Counter()

    def answered(event: dict[str, Any]) -> None:
        paths[event["requestId"]] = event["response"]["url"].removeprefix(busy.origin)

    def ended(event: dict[str, Any]) -> None:
        weights[paths[event["requestId"]]] += event["encodedDataLength"]

    wire.on("Network.responseReceived", answered)
    wire.on("Network.loadingFinished", ended)
    await wire.send("Network.enable")
    await visit.go(page, "/console/")
    await visit.live(page)
    assert weights["/console/"] > 0
    assert weights.total() < MOST_BYTES, weights
    assert sum(path.endswith(".js") for path in weights) <= MOST_SCRIPTS
    assert sum(path.endswith(".css") for path in weights) == 1
    kept = [path for path in weights if not path.startswith(("/console/static/", STREAM))]
    assert kept == ["/console/"]


async def test_a_page_that_is_not_there_says_so(busy: Site, browsers: Browsers) -> None:
    visit = await browsers.visit(busy, "admin")
    visit.forgive("status of 404")
    for path in ("/console/nothing", "/console/messages/nothing"):
        page = await visit.open(path)
        assert await shown(page, "light", NARROW) == []
        assert await page.get_by_role("heading", level=1).count() == 1


async def test_hostile_text_does_nothing_in_a_browser(busy: Site, browsers: Browsers) -> None:
    """It is in the webhook's answers (``busy``); here also in addresses, and in what is typed."""
    visit = await browsers.visit(busy, "admin")
    visit.forgive(r"status of 40[04]")
    page = await visit.open("/console/")
    for name in PATHS:
        await visit.go(page, busy.place(PATHS[name]))
        fields = page.locator("main form[method=get] input:is([type=search], [type=text])")
        for field in await fields.all():
            await field.fill(HOSTILE[:60])
        if await fields.count():
            async with page.expect_navigation():
                await fields.last.press("Enter")
        assert await page.locator("img[src='x']").count() == 0
