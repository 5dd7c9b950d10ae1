"""A visitor's browser: Debian's Chromium by Playwright, and whatever in it should not be."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from axe_playwright_python.base import AXE_FILE_PATH
from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Error,
    Page,
    Playwright,
    Request,
    expect,
)

from tests.console.site import Site
from tests.harness.wait import PATIENCE, Watch

WIDE, NARROW = 1280, 320
HEIGHT = 900
SCREENS = Path(os.environ.get("SCREENS") or "build/console-screens")
STREAM = "/console/stream"
_AXE = Path(AXE_FILE_PATH).read_text()
# WCAG 2.2 AA, and what axe calls good practice.
_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
_JUDGE = """async (tags) => {
  const found = await axe.run(document, {runOnly: {type: "tag", values: tags}});
  return found.violations.map((one) =>
    `${one.id}: ${one.help}: ${one.nodes.map((node) => node.target.join(" ")).slice(0, 5)}`);
}"""
# A policy that is broken is said on the console too, but not in each case with its line.
_TELL = """addEventListener("securitypolicyviolation", (event) =>
  console.error(`policy broken: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`))"""

expect.set_options(timeout=PATIENCE * 1000)


async def started(playwright: Playwright) -> Browser:
    """Chromium refuses to run as root but without its sandbox."""
    return await playwright.chromium.launch(
        executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"),
        args=["--no-sandbox"] if os.getuid() == 0 else [],
    )


class Visit:
    """One visitor. ``wrong`` is what their browser complained of, and what it asked other hosts."""

    def __init__(self, site: Site, context: BrowserContext) -> None:
        self.site = site
        self.context = context
        self.wrong: list[str] = []
        self.streams: set[Request] = set()
        self.watch = Watch()  # of ``streams``
        self._forgiven: list[str] = []
        context.set_default_timeout(PATIENCE * 1000)
        context.on("console", self._said)
        context.on("weberror", lambda error: self.wrong.append(f"uncaught: {error.error}"))
        context.on("request", self._asked)
        context.on("requestfinished", self._ended)
        context.on("requestfailed", self._ended)

    def forgive(self, pattern: str) -> None:
        """Complaints that match are what the test is about."""
        self._forgiven.append(pattern)

    def complaints(self) -> list[str]:
        """What is wrong, but for what was forgiven."""
        return [one for one in self.wrong if not any(re.search(p, one) for p in self._forgiven)]

    async def open(self, path: str = "/console/") -> Page:
        """A new tab with this page, kept up to date if it is one that is."""
        page = await self.context.new_page()
        await self.go(page, path)
        return page

    async def go(self, page: Page, path: str) -> None:
        """Lead the tab to this page."""
        answer = await page.goto(self.site.origin + path)
        assert answer is not None
        assert answer.status < 500, (path, answer.status, await answer.text())

    async def live(self, page: Page) -> None:
        """Until the page's script runs, and its stream has begun."""
        await expect(page.locator("html.script")).to_be_attached()
        await expect(page.locator("#stream")).to_have_attribute("data-stream", "live")
        await self.watch.until(lambda: any(one.frame.page is page for one in self.streams))

    async def log_in(self, page: Page, who: str) -> None:
        """By the form of the login page, which the tab shows."""
        person = self.site.people[who]
        await page.get_by_label("User", exact=True).fill(person.username)
        await page.get_by_label("Password", exact=True).fill(person.password)
        await page.get_by_role("button", name="Log in").click()
        await expect(page.get_by_role("button", name="Log out")).to_be_visible()

    def _said(self, message: ConsoleMessage) -> None:
        self.wrong.append(f"{message.type}: {message.text} at {message.location.get('url')}")

    def _asked(self, request: Request) -> None:
        if not request.url.startswith(("data:", self.site.origin + "/")):
            self.wrong.append(f"asked another host: {request.url}")
        if urlsplit(request.url).path == STREAM:
            self.streams.add(request)
            self.watch.notify()

    def _ended(self, request: Request) -> None:
        self.streams.discard(request)
        self.watch.notify()


class Browsers:
    """Chromium with one visitor after the other. Who logs in once is logged in from then on."""

    def __init__(self, chromium: Browser) -> None:
        self._chromium = chromium
        self._states: dict[tuple[Site, str], Any] = {}
        self._visits: list[Visit] = []

    async def visit(
        self,
        site: Site,
        who: str = "",
        *,
        width: int = WIDE,
        scheme: str = "light",
        script: bool = True,
    ) -> Visit:
        """A fresh browser: of "admin" or "reader", logged in, or of nobody."""
        if who and (site, who) not in self._states:
            self._states[site, who] = await self._logged_in(site, who)
        context = await self._chromium.new_context(
            viewport={"width": width, "height": HEIGHT},
            color_scheme=scheme,  # type: ignore[arg-type]
            java_script_enabled=script,
            storage_state=self._states.get((site, who)),
        )
        await context.add_init_script(_TELL)
        found = Visit(site, context)
        self._visits.append(found)
        return found

    async def _logged_in(self, site: Site, who: str) -> Any:
        visit = await self.visit(site)
        page = await visit.open("/console/login")
        await visit.log_in(page, who)
        state = await visit.context.storage_state()
        await page.close()
        return state

    async def close(self) -> list[str]:
        """End all visits; what was wrong in them."""
        wrong = []
        for visit in self._visits:
            await visit.context.close()
            wrong += visit.complaints()
        self._visits.clear()
        return wrong


async def judged(page: Page) -> list[str]:
    """What axe finds wrong with what the page shows now."""
    if not await page.evaluate("typeof axe === 'object'"):
        await page.evaluate(_AXE)
    found: list[str] = await page.evaluate(_JUDGE, _TAGS)
    return found


async def focused(page: Page) -> str:
    """What has the focus: its tag, and its text or name."""
    name: str = await page.evaluate(
        "(e => `${e.tagName.toLowerCase()} ${e.id || e.name || e.textContent.trim()}`)"
        "(document.activeElement)"
    )
    return name


__all__ = [
    "NARROW",
    "SCREENS",
    "WIDE",
    "Browsers",
    "Error",
    "Visit",
    "focused",
    "judged",
    "started",
]
