"""The Graph side of the Cloud door: requests that are dropped, refused, answered late or wrongly.

Each leaves messages of which nobody knows whether they were taken. What was taken must not be taken
again, and what was not must be.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from tests.campaigns.chaos.doors.cloud import cloud_of
from tests.campaigns.chaos.lab import Lab
from tests.campaigns.chaos.marks import Mark
from tests.campaigns.chaos.nemeses.process import kill
from tests.campaigns.chaos.nemeses.upstream import switched
from tests.campaigns.chaos.nemesis import Act, an_owner, fault, nemesis
from tests.harness.filters import FILTERS

UNCLEAR = ("500", "502", "200", "131000")
NONSENSE = ("redirect", "large", "endless")
RENEWED_SECONDS = 5.0  # in which a new token, or the end of an old one, takes effect


def one_of(*choices: Mapping[str, Any]) -> Act:
    """One of these sets of switches, drawn, for 2.5 s."""

    async def drawn(lab: Lab, mark: Mark) -> None:
        await switched(**lab.random.choice(choices))(lab, mark)

    return drawn


def killing(seconds: float, **switches: Any) -> Act:
    """An owner is killed in the middle of so many seconds with these switches."""

    async def killed(lab: Lab, mark: Mark) -> None:
        async with lab.switched(**switches):
            await asyncio.sleep(seconds / 2)
            await kill(lab, mark)
            await asyncio.sleep(seconds / 2)

    return killed


_AFTER = [{"fail_after": 0.1, "fail_after_as": answer} for answer in UNCLEAR]
_BEFORE = [{"fail_before": 0.1, "fail_before_as": answer} for answer in (*UNCLEAR, "131016")]
_ODD = [{"fail_after": 0.03, "fail_after_as": answer} for answer in NONSENSE]
_LIMITS = ({"throttle": 0.2}, {"bare_throttle": 0.1}, {"code": 131056, "code_share": 0.1})
FAULTS = (
    fault("cloud-takes-and-drops", switched(drop_after=0.1)),
    fault("cloud-drops", switched(drop_before=0.1)),
    fault("cloud-half-answers", switched(half=0.1)),
    fault("cloud-fails-after", one_of(*_AFTER)),
    fault("cloud-fails-before", one_of(*_BEFORE)),
    fault("cloud-answers-nonsense", one_of(*_ODD)),
    fault("cloud-slow", switched(slow=0.2, slow_ms=3000)),
    # Taken up to 3 s after its last byte, also when the connection is gone.
    fault("cloud-late-and-kill", killing(2.5, late=0.2, late_ms=3000), of=[an_owner]),
    fault("cloud-drops-and-kill", killing(2.0, drop_after=0.1, drop_before=0.05), of=[an_owner]),
    fault("cloud-resets-reused", switched(reset_reused=0.05)),
    fault("cloud-closes-idle", switched(idle_s=0.05)),
    # Open connections end, and no other is taken.
    fault("cloud-refuses", switched(refuse=True, idle_s=0.05, reset_reused=0.2)),
    # Bytes wait in the owners' kernels, or in the door's, and an owner dies meanwhile.
    fault("cloud-line-cut", killing(1.5, cut_s=3.0), FILTERS, of=[an_owner]),
    fault("cloud-deaf", killing(1.5, deaf_s=3.0), of=[an_owner]),
    fault("cloud-throttles", one_of(*_LIMITS)),
)


@nemesis()
async def cloud_upgrade(lab: Lab, _mark: Mark) -> None:
    """The number is moved to a higher throughput, and answers 131057 meanwhile."""
    async with lab.switched(upgrade_s=1.5, level=80):  # the door raises the level itself
        await asyncio.sleep(2.0)


@nemesis()
async def cloud_token_expires(lab: Lab, mark: Mark) -> None:
    """Everything waits until there is another token in the file; nobody restarts."""
    old = cloud_of(lab).token_file.read_text().strip()
    async with lab.switched(expired_tokens=[old]):
        if not await _soon(lab, _nobody_connected):
            mark.wrong.append("/v1/health shows a coreapp as connected whose token is dead")
        beside = cloud_of(lab).token_file.with_suffix(".new")
        beside.touch(0o600)
        beside.write_text(f"renewed-{lab.random.getrandbits(64):x}\n")
        beside.rename(cloud_of(lab).token_file)
        since = time.monotonic()
        if not await _soon(lab, lambda lab: _sent(lab, since)):
            mark.wrong.append(f"nothing was sent {RENEWED_SECONDS:g} s after the token was renewed")


async def _soon(lab: Lab, holds: Any) -> bool:
    end = time.monotonic() + RENEWED_SECONDS
    while time.monotonic() < end:
        if await holds(lab):
            return True
        await asyncio.sleep(0.1)
    return False


async def _nobody_connected(lab: Lab) -> bool:
    health = (await lab.business.call("GET", "/v1/health"))["health"]
    nodes = [node for name, node in health.items() if "coreapp" in name]
    return bool(nodes) and all(node["gateway_status"] != "connected" for node in nodes)


async def _sent(lab: Lab, since: float) -> bool:
    await lab.arrivals.fetch()
    return max(lab.arrivals.last) > since
