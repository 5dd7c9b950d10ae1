"""The chain of the audit log: each row's hash is made of the row and of the hash before it. Pure.

What holds: from an anchor, rows have numbers without a gap, and each fits its hash. So a row that
was removed, changed, moved or put in is found. Whoever may write the whole table can compute a new
chain over what they changed; a hash that was noted elsewhere finds that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec

from warouter.errors import WarouterError

_NULL = b"\xff\xff\xff\xff"


class ChainBroken(WarouterError):
    """A sentence on where the chain does not hold."""


class ChainRow(msgspec.Struct, frozen=True):
    """A row as it is hashed and shown. Times are UTC, as ``2026-11-29T03:00:00.123456Z``.

    ``of``: the row that this is the end of. ``times``, ``since``: of a sum, how many, and when the
    first came. ``hash`` is hexadecimal.
    """

    id: int
    at: str
    actor: str
    action: str
    subject: str
    source: str
    outcome: str
    of: int | None
    times: int
    since: str | None
    hash: str


class Ends(msgspec.Struct, frozen=True):
    """The ends of the chain in the database: the anchor and the newest row, by number and hash.

    The anchor is the last row that retention deleted. ``oldest`` and ``newest`` are the lowest and
    the highest number in the table.
    """

    tail_id: int
    tail_hash: str
    head_id: int
    head_hash: str
    oldest: int | None
    newest: int


def hash_of(previous: str, row: ChainRow) -> str:
    """The hash that a row has behind this one; both hexadecimal."""
    digest = hashlib.sha256(bytes.fromhex(previous))
    for field in msgspec.structs.astuple(row)[:-1]:
        if field is None:
            digest.update(_NULL)
        else:
            text = str(field).encode()
            digest.update(len(text).to_bytes(4, "big") + text)
    return digest.hexdigest()


def check_anchor(ends: Ends) -> None:
    """ChainBroken if a row stands where retention has deleted all."""
    if ends.oldest is not None and ends.oldest <= ends.tail_id:
        raise ChainBroken(f"row {ends.oldest} is back, which retention had deleted")


class Chain:
    """Follows the rows behind an anchor. ``known``: hashes by number that were noted before."""

    def __init__(self, id: int, hash: str, known: Iterable[tuple[int, str]] = ()) -> None:
        self.id = id
        self.hash = hash
        self.rows = 0
        self.first = self.last = ""  # times
        self._known = list(known)
        self._compare()

    def add(self, row: ChainRow) -> None:
        """The next row. ChainBroken if it does not continue the chain."""
        if row.id > self.id + 1:
            raise ChainBroken(f"{_rows(self.id + 1, row.id - 1)} removed")
        if row.id <= self.id:
            raise ChainBroken(f"row {row.id} stands behind row {self.id}: it was put in")
        if row.hash != hash_of(self.hash, row):
            raise ChainBroken(
                f"row {row.id}, of {row.at}, does not fit its hash:"
                " it or the one before was changed"
            )
        self.id, self.hash, self.last = row.id, row.hash, row.at
        self.first = self.first or row.at
        self.rows += 1
        self._compare()

    def end(self, ends: Ends) -> None:
        """All rows were added. ChainBroken if the newest is not the one that the database names."""
        if self.id < ends.head_id:
            raise ChainBroken(f"{_rows(self.id + 1, ends.head_id)} removed from the new end")
        if self.hash != ends.head_hash:
            raise ChainBroken(f"row {self.id} is not the one that audit_chain ends with")
        if ends.newest > ends.head_id:
            raise ChainBroken(f"row {ends.newest} was put in past the trigger, behind the new end")
        for number, _ in self._known:
            if number > self.id:
                raise ChainBroken(f"the chain ends before row {number}, which was known")

    def _compare(self) -> None:
        for number, known in self._known:
            if number == self.id and known != self.hash:
                raise ChainBroken(
                    f"row {number} has another hash than the one that was known: the rows up to it"
                    " were written anew"
                )


def _rows(first: int, last: int) -> str:
    return f"row {first} was" if first == last else f"rows {first} to {last} were"
