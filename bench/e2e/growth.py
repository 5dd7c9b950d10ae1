"""CPU of a message while something grows: shards, webapps, recipients, callbacks that wait.

The product's CPU (webapps, coreapps, masters, PostgreSQL) for a full life cycle, from the first
request until everything is drained. The smallest and the larger ones take turns; the figure is the
greatest of the medians of the ratios to the smallest.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from bench.e2e.extent import Extent
from bench.e2e.rounds import Rounds, Side, rounds
from bench.e2e.site import LOUD, Found, Site, say, site

CONNECTIONS = 256
MOST_OPEN = 4_000
SHARDS = (1, 2, 4, 8, 16, 32)
RECIPIENTS = (1_000, 10_000, 100_000, 1_000_000)
WEBAPPS = (1, 2, 3)
OWNERS = (1, 2, 4)  # shards, of which the 3 coreapps have one, one, and two or one
DEFAULT_SHARDS = 2
FILL_SECONDS = 120.0
COST = "product_us"


class Growth:
    """The ratios so far. ``until``: see ``rounds``."""

    def __init__(self, extent: Extent, until: float) -> None:
        self._extent = extent
        self._until = until
        self.figures: Found = {"growth": {}, "foreign_cores": {}, "noisy_rounds": {}}

    async def compare(self, name: str, sides: dict[str, Side]) -> None:
        """The first side is the smallest."""
        say(f"  {name}: CPU us of a message")
        found = await rounds(sides, self._until, self._extent.rounds, what=COST)
        self.keep(name, found, list(sides))

    def keep(self, name: str, found: Rounds, sides: list[str]) -> None:
        """The greatest ratio to the first side, in addition to those that are known."""
        first, *others = sides
        ratios = {side: round(found.ratio(side, first, COST), 3) for side in others}
        known = self.figures["growth"].get(name, 0.0)
        self.figures["growth"][name] = max(known, *ratios.values())
        costs = self.figures.setdefault(f"growth_{name}_us", {})
        costs |= {side: round(found.median(side, COST), 1) for side in sides if side not in costs}
        for kind, number in (("foreign_cores", found.foreign_cores), ("noisy_rounds", found.noisy)):
            self.figures[kind][f"growth_{name}"] = number


async def measure(folder: Path, until: float, extent: Extent) -> tuple[Found, list[str]]:
    """The figures of this part, and what was wrong."""
    growth = Growth(extent, until)
    (folder / "one").mkdir(mode=0o711)
    # Shards alone: with one coreapp, since what several share has smaller commits, see "owners".
    async with site(folder / "one", coreapps=1) as here:
        lives = await _warm(here, extent)
        await growth.compare("shards", {str(n): partial(_sharded, here, n, lives) for n in SHARDS})
        wrong = await here.check("growth, one coreapp")
    (folder / "three").mkdir(mode=0o711)
    async with site(folder / "three", webapps=max(WEBAPPS)) as here:
        lives = await _warm(here, extent)
        await growth.compare("owners", {str(n): partial(_sharded, here, n, lives) for n in OWNERS})
        await here.set_shards(DEFAULT_SHARDS)
        await growth.compare("webapps", {str(n): partial(lives, webapps=n) for n in WEBAPPS})
        await growth.compare(
            "recipients", {str(n): partial(lives, recipients=n) for n in RECIPIENTS}
        )
        await _callbacks(growth, here, extent)
        return growth.figures, wrong + await here.check("growth")


async def _warm(here: Site, extent: Extent) -> Side:
    """A run of life cycles on this cluster, which has had one."""
    await here.faults(**LOUD)
    lives = partial(life_cycles, here, extent.growth_seconds)
    await lives()
    return lives


async def life_cycles(
    here: Site, seconds: float, webapps: int = 1, recipients: int = 10_000
) -> Found:
    """One run, and its CPU until all is drained."""
    order = here.order(CONNECTIONS, seconds, most_open=MOST_OPEN, recipients=recipients)
    order.ports = here.ports(webapps)
    return await here.measured(order)


async def _sharded(here: Site, shards: int, lives: Side) -> Found:
    await here.set_shards(shards)
    return await lives()


# callbacks that wait


async def _callbacks(growth: Growth, here: Site, extent: Extent) -> None:
    """Without and with so many waiting, for a webhook that says 503 to every one of them."""
    none, many = "0", str(extent.callbacks)
    sides = {
        none: partial(_refused, here, extent, 0),
        many: partial(_refused, here, extent, extent.callbacks),
    }
    await growth.compare("callbacks", sides)


async def _refused(here: Site, extent: Extent, waiting: int) -> Found:
    """A run beside so many callbacks; until its statuses are stored. Then they are taken."""
    await here.refuse(True)
    if waiting:
        await here.run(here.order(CONNECTIONS, FILL_SECONDS, count=waiting // 3))
        await here.stored()
    found = await here.measured(here.order(CONNECTIONS, extent.growth_seconds), until=here.stored)
    await here.refuse(False)
    await here.set_webhook()
    await here.drained()
    return found
