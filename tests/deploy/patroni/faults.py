"""What happens to the member that leads, by name: how it begins, and how it is healed.

After a fault that ``moves`` another member leads before it is healed: this is how long the old one
is away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from tests.deploy.patroni.member import SCOPE, Member
from tests.deploy.patroni.trio import Trio
from warouter.errors import CommandError

Step = Callable[[Trio, Member], Awaitable[None]]
_RUNTIME_MASK = ("systemctl", "--runtime")


class Fault(NamedTuple):
    """``cut_off``: it lives on and may believe that it still leads, so that it must be fenced."""

    begin: Step
    heal: Step
    moves: bool = True
    cut_off: bool = False


async def _nothing(_trio: Trio, _victim: Member) -> None:
    return


async def _switch_over(trio: Trio, victim: Member) -> None:
    """As an operator does it: to the standby that is synchronous."""
    rows = await trio.view()
    standby = next(r["name"] for r in rows if r["role"] == trio.standby)
    words = ("switchover", SCOPE, "--leader", victim.name, "--candidate", standby, "--force")
    said = await victim.patronictl(*words)
    if "Successfully switched over" not in said:
        raise CommandError(f"patronictl: {said}")


async def _kill(_trio: Trio, victim: Member) -> None:
    """Patroni and PostgreSQL, which its unit may not start again before it is healed."""
    await victim.arun(*_RUNTIME_MASK, "mask", "patroni")
    await victim.kill(everything=True)


async def _start_again(_trio: Trio, victim: Member) -> None:
    await victim.arun(*_RUNTIME_MASK, "unmask", "patroni")
    await victim.arun("systemctl", "start", "patroni")


async def _crash(_trio: Trio, victim: Member) -> None:
    """The same, and its unit starts Patroni again."""
    await victim.kill(everything=True)


async def _kill_postgres(_trio: Trio, victim: Member) -> None:
    await victim.kill(everything=False)


async def _pull_plug(_trio: Trio, victim: Member) -> None:
    await asyncio.to_thread(victim.cut)


async def _power_on(_trio: Trio, victim: Member) -> None:
    await asyncio.to_thread(victim.boot)


async def _pull_cable(_trio: Trio, victim: Member) -> None:
    victim.cable(plugged=False)


async def _plug_cable(_trio: Trio, victim: Member) -> None:
    victim.cable(plugged=True)


async def _part(trio: Trio, victim: Member) -> None:
    """It and the other two do not reach each other; warouter reaches all three."""
    await _both_ways(trio, victim, parted=True)


async def _join(trio: Trio, victim: Member) -> None:
    await _both_ways(trio, victim, parted=False)


async def _both_ways(trio: Trio, victim: Member, *, parted: bool) -> None:
    others = [member for member in trio.members if member is not victim]
    steps = [victim.apart(others, parted=parted)]
    steps += [other.apart([victim], parted=parted) for other in others]
    await asyncio.gather(*steps)


FAULTS = {
    "switchover": Fault(_switch_over, _nothing),
    "kill": Fault(_kill, _start_again),
    "crash": Fault(_crash, _nothing, moves=False),
    "postgres": Fault(_kill_postgres, _nothing, moves=False),
    "plug": Fault(_pull_plug, _power_on),
    "partition": Fault(_pull_cable, _plug_cable, cut_off=True),
    "apart": Fault(_part, _join, cut_off=True),
}
