"""Ends of messages: their statuses, and the progress that settles them, in one commit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import asyncpg

from warouter.flow.event import EventRow
from warouter.store.journal.events import Events, event_columns
from warouter.store.journal.outcome import FENCED, Exceptions, RowOutcome, is_data_error
from warouter.store.journal.progress import (
    ProgressColumns,
    Recording,
    SlotProgress,
    progress_columns,
)
from warouter.store.journal.sessions import numbered

_END = f"select * from append_endings({numbered(29)})"


class Endings(Events, Recording):
    """Writes events that tell of ends, together with the progress of their slots."""

    async def append_endings(
        self, owned: Mapping[int, int], rows: Sequence[EventRow], slots: Sequence[SlotProgress]
    ) -> tuple[Exceptions, set[int]]:
        """Append events as ``append_events`` does, and record progress in the same commit.

        Returns the slots that this incarnation still held, too.
        """
        return await self.end(owned, rows, progress_columns(slots))

    async def end(
        self, owned: Mapping[int, int], rows: Sequence[EventRow], wire: ProgressColumns
    ) -> tuple[Exceptions, set[int]]:
        """The commit itself; two where an event cannot be stored, so that the others are."""
        try:
            answer = await self._fenced(
                self._records, _END, owned, *event_columns(rows), *wire.arguments()
            )
        except asyncpg.PostgresError as error:
            if not is_data_error(error):
                raise
            return await self.append_events(owned, rows), await self.write(owned, wire)
        exceptions: Exceptions = {row["ordinal"]: RowOutcome(row["outcome"]) for row in answer}
        fenced = {rows[n].slot for n, outcome in exceptions.items() if outcome is FENCED}
        return exceptions, set(owned) - fenced
