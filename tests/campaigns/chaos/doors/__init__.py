"""The simulated WhatsApp's two doors, as the campaign sees them: what differs is here.

native   claims with epochs, repeats dropped by id
cloud    Meta's Graph API and its webhooks: no fence, no repeats dropped
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from warouter.local.cluster import Cluster

if TYPE_CHECKING:
    from tests.campaigns.chaos.lab import Lab
    from tests.campaigns.chaos.marks import Mark

Arrival = tuple[float, int, str, int]  # when, slot, id, epoch (0 where nobody names it)
Row = Mapping[str, Any]


class Door(Protocol):
    """One way in. ``cluster`` is set before anything is started."""

    cluster: Cluster
    name: str
    fences: bool  # it can refuse what an owner of an ended epoch sends, and be told not to
    parks: Mapping[str, Any]  # switches for which recipients wait for more than a second
    pair_seconds: (
        float  # between two messages to one recipient, in the mean, that are never held back
    )
    inbound: int  # messages a second that customers write
    patience: float  # seconds without any progress, until the last callbacks count as lost

    def options(self, folder: Path, host: str) -> dict[str, Any]:
        """Options of the cluster; the door is reached at ``host``."""
        ...

    def port(self) -> int: ...

    def environment(self, host: str, port: int) -> dict[str, str]:
        """Of a process that reaches the door there."""
        ...

    def query(self) -> str:
        """What to ask of ``GET /record`` to hear what is new."""
        ...

    def new(self, record: dict[str, Any]) -> list[Arrival]:
        """First arrivals that the answer adds, in the order of time; they are taken out of it."""
        ...

    async def has_told(self, lab: Lab) -> None:
        """Wait until it has nothing more to say, or for its ``patience``."""
        ...

    async def waiting(self, lab: Lab) -> set[str]:
        """Acknowledged ids that rightly wait on: for an operator, or for a long window."""
        ...

    async def judged(self, lab: Lab, marks: Sequence[Mark], log: Sequence[Row]) -> list[str]:
        """Fill the history with all that arrived; sentences about what this door alone shows."""
        ...

    def told(self) -> dict[str, Any]:
        """Figures of this door alone, once it has judged."""
        ...
