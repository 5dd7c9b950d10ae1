"""Shards that are set while traffic flows: up, down, with a kill in the middle, many at once."""

from __future__ import annotations

import asyncio
import json
import signal
import time

from tests.campaigns.chaos.lab import PROMISED_SECONDS, Lab
from tests.campaigns.chaos.marks import Mark
from tests.campaigns.chaos.nemesis import a_coreapp, begins, nemesis
from warouter._hash import SHARD_COUNTS

RETRIES = 50
REST_SECONDS = 60.0  # slots that left an owner in trouble stay where they are for so long


@nemesis()
async def set_shards(lab: Lab, mark: Mark) -> None:
    """One change, to a count drawn."""
    now = (await lab.database.map()).shards
    await _change(lab, mark, lab.random.choice([n for n in SHARD_COUNTS if n != now]))


@nemesis()
async def set_shards_1_to_32(lab: Lab, mark: Mark) -> None:
    """The longest change there is."""
    await _set(lab, 1)
    await lab.recovered(time.monotonic())
    begins(mark)
    await _change(lab, mark, 32)


@nemesis(of=[a_coreapp])
async def set_shards_and_kill(lab: Lab, mark: Mark) -> None:
    """A coreapp dies in the middle; the call is retried until it is answered 201."""
    now = (await lab.database.map()).shards
    wish = lab.random.choice([n for n in SHARD_COUNTS if n != now])
    victim = lab.process(*mark.victims)
    restarts = victim.restarts
    change = asyncio.create_task(_set(lab, wish))
    await asyncio.sleep(lab.random.uniform(0.0, 0.15))
    victim.kill(signal.SIGKILL)
    await change
    await lab.back(victim.name, restarts)


@nemesis()
async def set_shards_twenty_at_once(lab: Lab, mark: Mark) -> None:
    """Twenty calls at once: what is answered 201 was in force, the rest is refused with 403."""
    wishes = [lab.random.choice(SHARD_COUNTS) for _ in range(20)]
    answers = await asyncio.gather(*(_call(lab, wish) for wish in wishes))
    odd = [a for a in answers if a[0] not in (201, 403)]
    if odd or not any(status == 201 for status, _ in answers):
        mark.wrong.append(f"I12: twenty calls at once were answered {[a[0] for a in answers]}")


@nemesis()
async def scale_up_and_down(lab: Lab, mark: Mark) -> None:
    """The document's way: start coreapps, set shards; set shards back, stop the coreapps."""
    before = (await lab.database.map()).shards
    new = await lab.cluster.add_coreapps(2)
    await _set(lab, 8)
    await asyncio.sleep(1.0)
    await _set(lab, min(before, 4))
    for process in new:
        await process.stop()
        del lab.cluster.processes[process.name]
    mark.victims = [process.name for process in new]


@nemesis()
async def join_doubled_up(lab: Lab, mark: Mark) -> None:
    """More shards than coreapps; then one joins, and doubled-up shards are handed to it."""
    await _set(lab, 8)
    begins(mark)
    (new,) = await lab.cluster.add_coreapps(1)

    async def owns() -> bool:
        return new.name in await lab.database.owners()

    await lab.until(owns, REST_SECONDS + PROMISED_SECONDS)
    await new.stop()
    del lab.cluster.processes[new.name]
    mark.victims = [new.name]


async def _change(lab: Lab, mark: Mark, wish: int) -> None:
    before = await lab.database.map()
    mark.call_s = await _set(lab, wish)
    after = await lab.database.map()
    mark.shards = (before.shards, wish)
    mark.moved = [
        a.slot for a, b in zip(before.slots, after.slots, strict=True) if a.owner != b.owner
    ]


async def _set(lab: Lab, wish: int) -> float:
    """Set shards; retried as long as it is refused for now. The seconds of the last call."""
    for _ in range(RETRIES):
        since = time.monotonic()
        status, body = await _call(lab, wish)
        if status == 201:
            return time.monotonic() - since
        if status != 403:
            break
        await asyncio.sleep(0.2)
    raise RuntimeError(f"set shards to {wish}: {status} {body!r}")


async def _call(lab: Lab, wish: int) -> tuple[int, bytes]:
    c = lab.cluster.description()
    body = {"cc": c["cc"], "phone_number": c["phone_number"], "shards": wish}
    return await lab.business.try_call("POST", "/v1/account/shards", data=json.dumps(body))
