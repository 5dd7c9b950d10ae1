"""Accepting with a key beside accepting with a token, and with ten thousand keys in memory.

Those are rows that no API made: one number may have a thousand. Each is used once, so that the
webapp knows it.
"""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

from bench.e2e.accepts import WARM_SECONDS, WARM_UP
from bench.e2e.extent import Extent
from bench.e2e.rounds import Rounds, rounds
from bench.e2e.site import QUIET, Found, Site, site
from warouter.access.key import new_key
from warouter.access.scopes import Scope
from warouter.access.token import hash_of

CONNECTIONS = 64
KNOWN = 10_000
AT_ONCE = 100
_SECOND_HALF = 90.0  # seconds that the second series may take
WEBAPP = "webapp-1"
_ADD = """
insert into api_key (hash, name, starts, scopes, created_by, number)
select hash, 'bench', 'wrk_', $2, 'bench', 1 from unnest($1::bytea[]) hash"""


async def measure(folder: Path, until: float, extent: Extent) -> tuple[Found, list[str]]:
    """The figures of this part, and what was wrong."""
    async with site(folder, extent.build) as here:
        wish = {"name": "bench", "scopes": ["send"]}
        key = (await here.v1("POST", "keys", wish))["keys"][0]["key"]
        # Many short turns: the two differ by less than what disturbs any one of them.
        seconds, wanted = extent.side_seconds / 2, 3 * extent.rounds
        sides = {
            "token": partial(_accepting, here, here.token, seconds),
            "key": partial(_accepting, here, key, seconds),
        }
        for credential in (here.token, key):
            await _accepting(here, credential, WARM_SECONDS)
        alone = await rounds(sides, until, wanted)
        before = here.resident()[WEBAPP]
        await _know(here)
        grown = here.resident()[WEBAPP] - before
        among = await rounds(sides, until + _SECOND_HALF, wanted)
        wrong = await here.check("keys")
    return _figures(alone, among, grown), wrong


async def _accepting(here: Site, credential: str, seconds: float) -> Found:
    """Only the way to the 201, as in ``accepts``."""
    await here.faults(**QUIET, pause=True)
    order = here.order(CONNECTIONS, seconds, token=credential, warm_up=WARM_UP, lives=False)
    found = await here.measured(order, drain=False)
    await here.faults(pause=False)
    await here.drained(callbacks=False)
    return found


async def _know(here: Site) -> None:
    """Make the webapp know ten thousand more keys."""
    texts = [new_key() for _ in range(KNOWN)]
    await here.database.execute(_ADD, [hash_of(text) for text in texts], int(Scope.MONITOR))
    turns = asyncio.Semaphore(AT_ONCE)

    async def use(text: str) -> None:
        async with turns:
            await here.v1("GET", "health", None, f"Bearer {text}")

    await asyncio.gather(*map(use, texts))


def _figures(alone: Rounds, among: Rounds, grown: float) -> Found:
    return {
        "keys": {
            "accepts_vs_token": round(alone.ratio("key", "token"), 3),
            "accepts_vs_token_among_10000": round(among.ratio("key", "token"), 3),
            "p99_ms": round(alone.median("key", "p99_ms"), 2),
            "p99_ms_among_10000": round(among.median("key", "p99_ms"), 2),
            "webapp_mib_of_10000": round(grown, 1),
        },
        "foreign_cores": {"keys": max(alone.foreign_cores, among.foreign_cores)},
        "noisy_rounds": {"keys": alone.noisy + among.noisy},
    }
