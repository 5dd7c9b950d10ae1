"""The owner log, read: which changes are one move, who owned which slot at a time, and why.

``at`` is the text of a moment as ``owner_log`` is read, "2026-11-26T01:19:07.489Z": of one form,
so that the later text is the later moment. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

TOGETHER_SECONDS = 1.0  # the changes of one takeover are no further apart

# What each reason of the owner log means, in the order of their weight.
REASONS: Mapping[str, str] = {
    "dead": "the owner died, or fell silent for longer than its lease",
    "overdue": "the owner did not hand over in time, so its slots were taken",
    "successor-died": "the successor died before it had taken over",
    "unreachable": "most webapps had no link to the owner",
    "upstream": "the owner did not hear the upstream",
    "journal": "the owner could not write its journals",
    "unowned": "nobody owned it",
    "timeline": "PostgreSQL was failed over, so each owner goes on under a new epoch",
    "renew": "the owner did not know the outcome of a commit, and goes on under a new epoch",
    "handover": "planned: a shard change, a restart, or a coreapp that joined",
    "released": "the owner stopped in order, and nobody had succeeded it",
}
# What nobody planned: the alert ManyFailovers counts all but "journal" and "unowned" of these.
FAILOVERS = frozenset({"dead", "overdue", "successor-died", "unreachable", "upstream", "journal"})


class OwnerChange(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the owner log.

    ``observed_age_ms``: for how long the former owner had been silent; ``opened_ms``: how long
    after the change the new one acted for the slot. None: not known, or not yet.
    """

    at: str
    age_s: float
    slot: int
    from_node: str | None
    to_node: str | None
    epoch: int
    term: int | None
    reason: str
    observed_age_ms: int | None
    opened_ms: int | None = None


class Move(NamedTuple):
    """Changes of one cause, the latest first: the same nodes, term and reason within a second."""

    changes: Sequence[OwnerChange]

    @property
    def last(self) -> OwnerChange:
        return self.changes[0]

    @property
    def slots(self) -> list[int]:
        return sorted(change.slot for change in self.changes)

    @property
    def epochs(self) -> tuple[int, int]:
        """The lowest and the highest new epoch."""
        epochs = [change.epoch for change in self.changes]
        return min(epochs), max(epochs)

    @property
    def silent_ms(self) -> int | None:
        """For how long the former owner had been silent, at most."""
        return max(_known(c.observed_age_ms for c in self.changes), default=None)

    @property
    def opened_ms(self) -> int | None:
        """How long after the change the last of the slots was open; None until all are."""
        known = _known(c.opened_ms for c in self.changes)
        return max(known) if len(known) == len(self.changes) else None

    @property
    def pause_ms(self) -> int | None:
        """From the last sign of the former owner until the new one acted, for the slot that
        had to wait longest; of a planned move, from the change on.
        """
        if self.opened_ms is None:
            return None
        return max((c.observed_age_ms or 0) + (c.opened_ms or 0) for c in self.changes)


def moves_of(history: Sequence[OwnerChange]) -> list[Move]:
    """The changes, which come the latest first, as moves, in the same order."""
    groups: list[list[OwnerChange]] = []
    latest: dict[tuple[str | None, str | None, int | None, str], list[OwnerChange]] = {}
    for change in history:
        key = (change.from_node, change.to_node, change.term, change.reason)
        group = latest.get(key)
        if group is None or change.age_s - group[-1].age_s > TOGETHER_SECONDS:
            group = latest[key] = []
            groups.append(group)
        group.append(change)
    return [Move(group) for group in groups]


def owners_at(changes: Iterable[OwnerChange], at: str) -> dict[int, str | None]:
    """The owner of each slot at ``at``; a slot of which the changes say nothing is left out.

    The changes come the latest first. It is enough to have of each slot the last one that was not
    after ``at``, or, if there is none any more, the first one after it.
    """
    found: dict[int, str | None] = {}
    later: dict[int, str | None] = {}
    for change in changes:
        if change.slot in found:
            continue
        if change.at <= at:
            found[change.slot] = change.to_node
        else:
            later[change.slot] = change.from_node
    return dict(sorted({**later, **found}.items()))


def moment(at: datetime) -> str:
    """The text of a moment, to compare with those of changes; ``at`` is in UTC."""
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"


def slots_text(slots: Sequence[int]) -> str:
    """``0, 2 .. 30`` for the slots of a shard, otherwise each slot; ``slots`` are in order."""
    if len(slots) > 3:
        step = slots[1] - slots[0]
        if list(slots) == list(range(slots[0], slots[-1] + 1, step or 1)):
            return f"{slots[0]}, {slots[1]} .. {slots[-1]}"
    return ", ".join(map(str, slots))


def _known(values: Iterable[int | None]) -> list[int]:
    return [value for value in values if value is not None]
