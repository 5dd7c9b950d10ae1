"""The sessions through which an incarnation writes its journals.

Appends have one of their own, so they never wait behind progress and events. With the Cloud API
there are two more, made when needed: issue rows, which requests wait for, do not wait behind the
inbox, proofs and look-ups, some of which look at thousands of rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from warouter.config import Settings
from warouter.store.database import WRITE_SECONDS, Session

# The server gives up as well: what an owner no longer waits for must not hold a slot's lock.
# And whatever it believes of the sizes of tables, statements here go by an index in its order; so
# the plan does not depend on the values, and to plan once more for each array of a few rows would
# be a quarter of a small commit.
_LIMITS = {
    "lock_timeout": "1500ms",
    "statement_timeout": "3s",
    "enable_seqscan": "off",
    "enable_sort": "off",
    "plan_cache_mode": "force_generic_plan",
}
_UNWRITABLE = "select unwritable() as missing"


class JournalSessions:
    """Statements on either session; an outcome that is not known raises OutcomeUnknown."""

    def __init__(self, settings: Settings, incarnation: UUID, application: str) -> None:
        self._incarnation = incarnation
        self._upstream = settings.upstream_name
        self._appends = Session(settings, application, **_LIMITS)
        self._records = Session(settings, application, **_LIMITS)
        self._issues = Session(settings, application, **_LIMITS)
        self._cloud = Session(settings, application, **_LIMITS)
        self._all = (self._appends, self._records, self._issues, self._cloud)

    def terminate(self) -> None:
        for session in self._all:
            session.terminate()

    async def close(self) -> None:
        for session in self._all:
            await session.close()

    async def _fenced(
        self, session: Session, sql: str, owned: Mapping[int, int], *arguments: Any
    ) -> list[Any]:
        """A statement that the database refuses for slots that are not ours any more."""
        fence = self._incarnation, list(owned), list(owned.values())
        return await session.fetch(sql, *fence, *arguments, within=WRITE_SECONDS)

    async def _cloud_read(self, sql: str, *arguments: Any) -> list[Any]:
        return await self._cloud.fetch(sql, *arguments, within=WRITE_SECONDS)

    async def _read(self, sql: str, *arguments: Any) -> list[Any]:
        return await self._records.fetch(sql, *arguments, within=WRITE_SECONDS)

    async def _missing(self) -> str:
        """The rights that an owner needs and does not have, or "", as both of the sessions see it
        through which the journals are written.
        """
        for session in (self._appends, self._records):
            [row] = await session.fetch(_UNWRITABLE, within=WRITE_SECONDS)
            if row["missing"] is not None:
                return str(row["missing"])
        return ""

    async def _look(self) -> None:
        """Open the session of appends: a slot that cannot be appended to is not taken."""
        await self._appends.fetch(_UNWRITABLE, within=WRITE_SECONDS)


def numbered(count: int) -> str:
    """The places of so many arguments in a statement."""
    return ",".join(f"${n}" for n in range(1, count + 1))


def columns_of(rows: Sequence[tuple[Any, ...]], width: int) -> list[list[Any]]:
    """The rows as so many columns."""
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(width)]


def unless_empty(column: Sequence[Any]) -> Sequence[Any] | None:
    """The column, or None if it has zeros or Nones alone, as usual: it then needs no encoding."""
    return column if any(column) else None


def unless_ones(numbers: Sequence[int]) -> Sequence[int] | None:
    """The numbers of rows, or None if all are 1, as they are where there is only one."""
    return numbers if numbers.count(1) < len(numbers) else None
