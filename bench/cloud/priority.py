"""How soon a one-time password leaves while a campaign of fifty thousand waits at level 80.

Half of them are authentication templates, half are texts with ``Warouter-Priority: high``. The
campaign is more than the owners hold in memory, and each of its messages goes to somebody else.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from bench.cloud.extent import Extent
from bench.cloud.site import LOAD_CONNECTIONS, begun, cloud_site, now, requests, spread, warm
from bench.e2e.site import Found, Site, say

OWNERS = 2
LEVEL = 80
COUNT, EVERY_SECONDS = 40, 0.5
POST_SECONDS = 120.0
PATIENCE = 20.0
TEMPLATE = "login_code"
_LANGUAGE = {"policy": "deterministic", "code": "en_US"}
_PARAMETERS = [{"type": "body", "parameters": [{"type": "text", "text": "123456"}]}]
BY_TEMPLATE: dict[str, Any] = {
    "type": "template",
    "template": {
        "namespace": "n",
        "name": TEMPLATE,
        "language": _LANGUAGE,
        "components": _PARAMETERS,
    },
}
BY_HEADER: dict[str, Any] = {"type": "text", "text": {"body": "Your code is 123456."}}


async def measure(folder: Path, extent: Extent) -> tuple[Found, list[str]]:
    """Seconds from the 201 to the request, and what was wrong."""
    switches = {"level": LEVEL, "categories": {TEMPLATE: "AUTHENTICATION"}}
    async with cloud_site(folder, OWNERS, switches) as here:
        await warm(here, LEVEL)
        count = extent.backlog
        await here.run(
            here.order(LOAD_CONNECTIONS, POST_SECONDS, count=count, recipients=count, lives=False)
        )
        since, accepted = now(), {}
        for n in range(COUNT):
            accepted[await _password(here, n)] = now()
            await asyncio.sleep(EVERY_SECONDS)
        first = await _begun(here, since, accepted)
        waits = {i: first[i] - at for i, at in accepted.items() if i in first}
        left = here.accepted + COUNT - (await here.simulator("GET", "record"))["unique"]
        kinds = {name: list(waits.values())[n::2] for n, name in enumerate(("template", "header"))}
        figures: Found = {
            "priority": {
                **{f"{name}_s": spread(some, unit=1.0) for name, some in kinds.items()},
                "most_s": round(max(waits.values(), default=0.0), 2),
                "left": left,
            }
        }
        say(f"  {figures}")
        missing = len(accepted) - len(waits)
        return figures, [f"priority: {missing} had not left after {PATIENCE:g} s"] * bool(missing)


async def _password(here: Site, number: int) -> str:
    """One more, to somebody who gets nothing else; its id."""
    body = {"to": f"49170{number:08d}", **(BY_HEADER if number % 2 else BY_TEMPLATE)}
    headers = {"Authorization": f"Bearer {here.token}"}
    if number % 2:
        headers["Warouter-Priority"] = "high"
    url = f"{here.cluster.webapp_urls[0]}/v1/messages"
    async with here.http.post(url, json=body, headers=headers) as answer:
        answer.raise_for_status()
        message_id: str = (await answer.json())["messages"][0]["id"]
        return message_id


async def _begun(here: Site, since: float, ids: dict[str, float]) -> dict[str, float]:
    """When each request began, once all have."""
    give_up = now() + PATIENCE
    while True:
        found = begun(await requests(here, since))
        if ids.keys() <= found.keys() or now() > give_up:
            return found
        await asyncio.sleep(0.2)
