"""``warouter audit --verify``: computes the chain of the audit log again, from its anchor."""

from __future__ import annotations

from collections.abc import Sequence

from warouter.errors import CommandError
from warouter.store.database import Connection
from warouter.store.views.audit import read_ends, read_rows
from warouter.store.views.chain import Chain, ChainBroken, Ends, check_anchor

Known = Sequence[tuple[int, str]]
_WHAT_TO_DO = (
    "Keep a copy of the database now, and compare it with a backup or a log that was kept."
)


async def verify(connection: Connection, known: Known) -> str:
    """A sentence on what was checked; CommandError if the chain does not hold, and where."""
    while True:
        ends = await _ends(connection)
        _check_known(known, ends)
        try:
            return await _walk(connection, ends, known)
        except ChainBroken as error:
            # Not if retention has meanwhile deleted what was about to be read.
            if (await _ends(connection)).tail_id == ends.tail_id:
                raise CommandError(f"The audit log is broken: {error}. {_WHAT_TO_DO}") from error


async def _walk(connection: Connection, ends: Ends, known: Known) -> str:
    check_anchor(ends)
    chain = Chain(ends.tail_id, ends.tail_hash, known)
    while rows := await read_rows(connection, chain.id, ends.head_id):
        for row in rows:
            chain.add(row)
    chain.end(ends)
    return _sentence(chain, ends)


async def _ends(connection: Connection) -> Ends:
    ends = await read_ends(connection)
    if ends is None:
        raise CommandError(f"The audit log is broken: audit_chain is empty. {_WHAT_TO_DO}")
    return ends


def _check_known(known: Known, ends: Ends) -> None:
    for number, _ in known:
        if number < ends.tail_id:
            raise CommandError(
                f"Row {number} of --known is no longer kept (the oldest is row {ends.tail_id + 1}):"
                " use a newer one."
            )


def _sentence(chain: Chain, ends: Ends) -> str:
    rows = "1 row" if chain.rows == 1 else f"{chain.rows} rows"
    span = f" ({ends.tail_id + 1} to {chain.id}, {chain.first} to {chain.last})"
    return (
        f"The audit log is whole: {rows}{span if chain.rows else ''};"
        f" note elsewhere, for --known: {chain.id}:{chain.hash}"
    )
