"""Epochs of slots: opened, renewed and given away; what is old is pruned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from warouter.store import history
from warouter.store.history import counted, unless_ahead
from warouter.store.journal.rows import Opened, opened_of
from warouter.store.journal.sessions import JournalSessions

_LEAVE = "select say_leaving($1, 'coreapp', $2) as heirs"
_EXPECTED = "select exists (select from slot where owner = $1 or successor = $1) as expected"
# How far the database's clock is ahead of this node's makes everything younger.
_PRUNE = unless_ahead(
    """prune($1, $2, $3,
             greatest($4 * interval '1 day', interval '10 minutes')
             + greatest(clock_timestamp() - to_timestamp($7), interval '0'), $5, $6)""",
    "$7",
)
_PRUNE_KEYS = unless_ahead("prune_keys($1,$2)", "$3")


# Of each journal the seq behind which to look; None: not to be looked at any more.
PrunePositions = tuple[int | None, ...]
FROM_FIRST: PrunePositions = (0, 0, 0)


class Pruned(NamedTuple):
    """A step of retention; ``after`` is where the next goes on, None if all was looked through."""

    gone: int
    after: PrunePositions | None


class Epochs(JournalSessions):
    """Writes what is recorded of a slot as a whole."""

    async def open(self, owned: Mapping[int, int]) -> list[Opened]:
        """The first write of an epoch, for those of the slots that are held."""
        await self._look()
        rows = await self._fenced(self._records, "select * from open_slots($1,$2,$3)", owned)
        return [opened_of(row) for row in rows]

    async def renew(self, slots: Sequence[int], above: Sequence[int]) -> dict[int, int]:
        """New epochs, above the given ones, for slots that this incarnation still owns.

        Needs no leader.
        """
        rows = await self._read(
            "select * from renew_epochs($1,$2,$3)", self._incarnation, list(slots), list(above)
        )
        return {row["slot"]: row["epoch"] for row in rows}

    async def quiet(self, owned: Mapping[int, int]) -> set[int]:
        """Say that no request of these slots is out; returns those that were marked as moving."""
        rows = await self._fenced(self._records, "select quiet_slots($1,$2,$3) as quiet", owned)
        return set(rows[0]["quiet"])

    async def hand_over(self, owned: Mapping[int, int]) -> set[int]:
        """Give slots to their named successors; returns those that were given."""
        rows = await self._fenced(self._records, "select hand_over($1,$2,$3) as gone", owned)
        return set(rows[0]["gone"])

    async def release(self, owned: Mapping[int, int]) -> set[int]:
        """Leave slots without an owner, because this process stops and nobody can succeed it."""
        rows = await self._fenced(self._records, "select release_slots($1,$2,$3) as gone", owned)
        return set(rows[0]["gone"])

    async def say_leaving(self) -> bool:
        """Ask the leader for successors, because this process will stop; False if nobody can be
        one. Here and not on the session of the beats: a leader's lock on the node's row, or a
        commit before it, would silence those, and who stops would be taken for dead.
        """
        rows = await self._read(_LEAVE, self._incarnation, self._upstream)
        return bool(rows[0]["heirs"])

    async def expects_slots(self) -> bool:
        """True if it owns slots, or is named as a successor.

        Once it has said that it is leaving, no leader names it any more: after a no it may end.
        """
        rows = await self._read(_EXPECTED, self._incarnation)
        return bool(rows[0]["expected"])

    async def prune(
        self,
        owned: Mapping[int, int],
        days: float,
        limit: int,
        after: PrunePositions = FROM_FIRST,
    ) -> Pruned | None:
        """Look at ``limit`` rows of each slot and journal, and delete those that are settled, older
        than ``days``, and of use to nothing.

        By the database's clock and by this node's: one that was set forward takes nothing away, or
        an id that is offered again would not be recognised, nor a webhook that comes again. None:
        it is too far ahead, and nothing was deleted.
        """
        now = history.wall()
        rows = await self._fenced(self._records, _PRUNE, owned, days, limit, after, now)
        if rows[0]["gone"] is None:
            return None
        gone, positions = rows[0]["gone"]
        return Pruned(gone, tuple(positions) if any(positions) else None)

    async def prune_keys(self, slots: Sequence[int], limit: int) -> int | None:
        """Delete up to ``limit`` request keys of these slots after 24 hours; None as ``prune``."""
        rows = await self._read(_PRUNE_KEYS, list(slots), limit, history.wall())
        return counted(rows[0]["gone"])
