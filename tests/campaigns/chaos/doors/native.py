"""The native door: it keeps claims with epochs and drops repeats by id."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from tests.campaigns.chaos.doors import Arrival, Row
from tests.campaigns.chaos.marks import Mark
from tests.harness.history import History
from warouter.flow.lanes import WINDOW
from warouter.local.cluster import Cluster
from warouter.local.options import SIMULATOR

if TYPE_CHECKING:
    from tests.campaigns.chaos.lab import Lab

# Their last sends may lie unread at the simulator until the successor has claimed the slot.
KILLED = frozenset(
    {"kill-owner", "kill-leader-and-owner", "kill-two-owners", "crash-loop", "set-shards-and-kill"}
)


class NativeDoor:
    cluster: Cluster
    name = SIMULATOR
    fences = True
    parks: ClassVar = {"throttle": 0.3, "throttle_ms": 1500}
    pair_seconds = 0.0
    inbound = 0
    patience = 30.0

    def __init__(self) -> None:
        self._since = float("-inf")

    def options(self, _folder: Path, host: str) -> dict[str, Any]:
        return {"upstream": SIMULATOR, "simulator_host": host}

    def port(self) -> int:
        return self.cluster.settings.upstream_host_port[1]

    def environment(self, host: str, port: int) -> dict[str, str]:
        return {"WAROUTER_UPSTREAM_ADDRESS": f"{host}:{port}"}

    def query(self) -> str:
        return f"since={self._since}"

    def new(self, record: dict[str, Any]) -> list[Arrival]:
        found: list[Arrival] = [(*row,) for row in record.pop("arrivals")]
        if found:
            self._since = found[-1][0]
        return found

    async def has_told(self, lab: Lab) -> None:
        """Each status is waited for by its callback."""

    async def waiting(self, lab: Lab) -> set[str]:
        """Here nothing is in doubt."""
        return set()

    async def judged(self, lab: Lab, marks: Sequence[Mark], _log: Sequence[Row]) -> list[str]:
        history = lab.history
        async with lab.business.http.get(f"{lab.cluster.control_url}/record?ids=1") as answer:
            record = await answer.json(content_type=None)
        record.pop("arrivals", None)  # the last ones only
        history.on_record(record)
        history.mixed = mixed(history, marks)
        repeats(history, marks)
        stale(history, marks)
        return []

    def told(self) -> dict[str, Any]:
        return {}


def mixed(history: History, marks: Sequence[Mark]) -> set[str]:
    """The messages whose statuses the upstream itself had mixed up."""
    while_it_did = [(m.at - 5, m.healed + 1) for m in marks if m.kind == "upstream-reorders"]
    return {
        message_id
        for message_id, number in history.number.items()
        if any(a <= history.answered[number] <= b for a, b in while_it_did)
    }


def repeats(history: History, marks: Sequence[Mark]) -> None:
    """At most a window for each slot that changed hands, and all dropped by id."""
    for m in marks:
        if m.kind.startswith("kill-owner") and m.repeats > WINDOW * len(m.owned):
            history.broken("I6", f"{m.kind} cost {m.repeats} repeats for {len(m.owned)} slots")


def stale(history: History, marks: Sequence[Mark]) -> None:
    """An owner stops by itself before its successor sends: the upstream's fence finds nothing."""
    for m in marks:
        if m.stale and m.kind not in KILLED:
            history.broken("I3", f"{m.stale} sends of an ended epoch at {m.kind}")
