"""The outcome of a row that was to be appended."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from enum import Enum
from typing import NamedTuple, TypeVar

import asyncpg

_DATA_ERRORS = ("22", "23", "54")  # classes of SQLSTATE: the row is wrong, not the database


class RowOutcome(Enum):
    """The outcomes of a row, as the functions of the database number them."""

    APPENDED = 0
    KNOWN = 1  # the row is there already, under this id or key
    FENCED = 2  # its slot is not ours under this epoch
    REFUSED = 3  # the database cannot store it
    CLASHED = 5  # its Idempotency-Key is that of another request
    PROVEN = 6  # a request for it was taken before
    UNKNOWN = -1  # nobody knows: the commit was not confirmed


APPENDED, KNOWN, FENCED = RowOutcome.APPENDED, RowOutcome.KNOWN, RowOutcome.FENCED
REFUSED, CLASHED, PROVEN = RowOutcome.REFUSED, RowOutcome.CLASHED, RowOutcome.PROVEN
UNKNOWN = RowOutcome.UNKNOWN
ALREADY = 4


class Already(NamedTuple):
    """An earlier request with the same Idempotency-Key, which is the message of this id."""

    id: bytes


Outcome = RowOutcome | Already
# By ordinal, for those that were not simply appended.
Exceptions = dict[int, Outcome]
RowT = TypeVar("RowT")
Append = Callable[[Mapping[int, int], Sequence[RowT]], Awaitable[Exceptions]]


def is_data_error(error: asyncpg.PostgresError) -> bool:
    """True if a row is wrong, and not the database."""
    return (error.sqlstate or "")[:2] in _DATA_ERRORS


async def in_halves(
    append: Append[RowT], owned: Mapping[int, int], rows: Sequence[RowT]
) -> Exceptions:
    """Append; a data error bisects the rows, so that one bad row cannot fail the others."""
    try:
        return await append(owned, rows)
    except asyncpg.PostgresError as error:
        if not is_data_error(error):
            raise
        if len(rows) == 1:
            return {0: REFUSED}
    middle = len(rows) // 2
    left = await in_halves(append, owned, rows[:middle])
    right = await in_halves(append, owned, rows[middle:])
    return left | {middle + n: outcome for n, outcome in right.items()}
