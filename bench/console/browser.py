"""``.venv-console/bin/python -m bench.console.browser``: a browser that is told by lines of JSON.

Times are seconds since 1970, as all processes of a machine have them.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from typing import Any

from playwright.async_api import Browser, Page, async_playwright

PATIENCE_MS = 60_000
STREAM = "/console/stream"
# When a row says that its node is dead, or is gone; looked at with each change of the page.
_DEAD = """(id) => new Promise((found) => {
  const look = () => {
    const row = document.getElementById(id);
    if (row && ![...row.cells].some((cell) => /^dead\\b/.test(cell.textContent.trim()))) return;
    seen.disconnect();
    found(Date.now() / 1000);
  };
  const seen = new MutationObserver(look);
  seen.observe(document, {subtree: true, childList: true, characterData: true, attributes: true});
  look();
})"""


class Visitor:
    """One tab, and what it waits for."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._page: Page
        self._dead: asyncio.Task[Any]

    async def open(self, url: str, username: str, password: str) -> dict[str, Any]:
        """Log in; ``live`` is when the first page had a row and its stream had begun."""
        context = await self._browser.new_context()
        page = self._page = await context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        await page.goto(url)
        await page.get_by_label("User", exact=True).fill(username)
        await page.get_by_label("Password", exact=True).fill(password)
        async with page.expect_response(lambda answer: STREAM in answer.url):
            await page.get_by_role("button", name="Log in").click()
        await page.locator("#nodes tbody tr").first.wait_for()
        return {"live": time.time()}

    async def watch(self, node: str) -> dict[str, Any]:
        """Begin to look for the death of this incarnation, whose row must be there."""
        await self._page.locator(f"#node-{node}").wait_for()
        self._dead = asyncio.create_task(self._page.evaluate(_DEAD, f"node-{node}"))
        await self._page.evaluate("1")  # after it
        return {}

    async def dead(self) -> dict[str, Any]:
        """``dead`` is when the page said so."""
        async with asyncio.timeout(PATIENCE_MS / 1000):
            return {"dead": await self._dead}


async def main() -> None:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"),
            args=["--no-sandbox"] if os.getuid() == 0 else [],
        )
        visitor = Visitor(browser)
        print(os.getpid(), flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            what, *arguments = json.loads(line)
            print(json.dumps(await getattr(visitor, what)(*arguments)), flush=True)
        await browser.close()


if __name__ == "__main__":
    asyncio.run(main())
