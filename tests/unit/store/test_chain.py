"""The chain of the audit log, as a function of its rows: whatever was done to it is found."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from warouter.store.views.chain import (
    Chain,
    ChainBroken,
    ChainRow,
    Ends,
    check_anchor,
    hash_of,
)

EMPTY = hashlib.sha256().hexdigest()
AT = "2026-11-29T03:00:00.000001Z"

_text = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=6)
_fields = st.fixed_dictionaries(
    {
        **dict.fromkeys(("actor", "action", "subject", "source", "outcome"), _text),
        "of": st.none() | st.integers(1, 99),
        "times": st.integers(1, 99),
        "since": st.none() | st.just(AT),
    }
)
_many = st.lists(_fields, min_size=3, max_size=8)


def chained(rows: Sequence[dict[str, Any]], after: int = 0) -> list[ChainRow]:
    """Rows as the trigger writes them."""
    made: list[ChainRow] = []
    previous = EMPTY
    for number, fields in enumerate(rows, after + 1):
        row = ChainRow(id=number, at=AT, hash="", **fields)
        previous = hash_of(previous, row)
        made.append(msgspec.structs.replace(row, hash=previous))
    return made


def check(rows: Sequence[ChainRow], ends: Ends, known: Sequence[tuple[int, str]] = ()) -> None:
    chain = Chain(ends.tail_id, ends.tail_hash, known)
    for row in rows:
        chain.add(row)
    chain.end(ends)


def ends_of(rows: Sequence[ChainRow], tail: int = 0) -> Ends:
    """The ends of these rows when the first ``tail`` of them are to go."""
    last = rows[-1]
    anchor = rows[tail - 1].hash if tail else EMPTY
    return Ends(tail, anchor, last.id, last.hash, tail + 1, last.id)


@given(_many)
def test_a_chain_is_whole_and_so_is_what_retention_leaves_of_it(made: list[dict[str, Any]]) -> None:
    rows = chained(made)
    check(rows, ends_of(rows))
    for gone in range(1, len(rows)):
        check(rows[gone:], ends_of(rows, gone))
        with pytest.raises(ChainBroken, match="removed"):
            check(rows[gone:], ends_of(rows))  # without its anchor


@given(_many, st.data())
def test_a_removed_row_is_named(made: list[dict[str, Any]], data: st.DataObject) -> None:
    rows = chained(made)
    gone = data.draw(st.integers(0, len(rows) - 1))
    left = [*rows[:gone], *rows[gone + 1 :]]
    with pytest.raises(ChainBroken, match=rf"row {gone + 1} was removed"):
        check(left, ends_of(rows))


@given(_many, st.data())
def test_a_changed_row_is_named(made: list[dict[str, Any]], data: st.DataObject) -> None:
    rows = chained(made)
    n = data.draw(st.integers(0, len(rows) - 1))
    field, value = data.draw(
        st.sampled_from(sorted(made[n])).flatmap(
            lambda name: st.tuples(st.just(name), _fields.map(lambda other: other[name]))
        )
    )
    assume(made[n][field] != value)
    rows[n] = msgspec.structs.replace(rows[n], **{field: value})
    with pytest.raises(ChainBroken, match=rf"row {n + 1},"):
        check(rows, ends_of(rows))


@given(_many, st.data())
def test_swapped_and_inserted_rows_are_found(
    made: list[dict[str, Any]], data: st.DataObject
) -> None:
    rows = chained(made)
    a, b = sorted(
        data.draw(st.lists(st.integers(0, len(rows) - 1), min_size=2, max_size=2, unique=True))
    )
    assume(made[a] != made[b])
    ends = ends_of(rows)
    swapped = list(rows)
    swapped[a] = msgspec.structs.replace(rows[b], id=rows[a].id)
    swapped[b] = msgspec.structs.replace(rows[a], id=rows[b].id)
    with pytest.raises(ChainBroken):
        check(swapped, ends)
    with pytest.raises(ChainBroken):
        check([*rows[:b], rows[a], *rows[b:]], ends)
    with pytest.raises(ChainBroken, match="does not fit"):
        check([*rows, msgspec.structs.replace(rows[a], id=len(rows) + 1, hash="")], ends)


@given(_many, st.data())
def test_a_chain_that_was_computed_anew_is_found_by_a_hash_that_was_noted(
    made: list[dict[str, Any]], data: st.DataObject
) -> None:
    rows = chained(made)
    n = data.draw(st.integers(0, len(rows) - 1))
    forged = chained([*made[:n], made[n] | {"actor": "nobody at all"}, *made[n + 1 :]])
    check(forged, ends_of(forged))  # by itself it is one like any other
    noted = (len(rows), rows[-1].hash)
    check(rows, ends_of(rows), [noted])
    with pytest.raises(ChainBroken, match="another hash"):
        check(forged, ends_of(forged), [noted])
    short = chained(made[:-1])
    with pytest.raises(ChainBroken, match="ends before row"):
        check(short, ends_of(short), [noted])


def test_the_ends_are_part_of_it() -> None:
    fields = {name: "x" for name in ("actor", "action", "subject", "source", "outcome")}
    rows = chained([fields | {"of": None, "times": 1, "since": None}] * 3)
    ends = ends_of(rows)
    for changed, sentence in (
        ({"head_id": 5}, "rows 4 to 5 were removed from the new end"),
        ({"head_hash": EMPTY}, "is not the one"),
        ({"newest": 4}, "row 4 was put in"),
        ({"tail_hash": rows[1].hash}, "row 1,"),
    ):
        with pytest.raises(ChainBroken, match=sentence):
            check(rows, msgspec.structs.replace(ends, **changed))


@given(_fields, _fields)
def test_no_two_rows_have_the_same_bytes(one: dict[str, Any], other: dict[str, Any]) -> None:
    """The lengths stand before the fields: "ab", "c" is not "a", "bc", and null is not empty."""
    assume(one != other)
    (a,), (b,) = chained([one]), chained([other])
    assert a.hash != b.hash
    assert hash_of(EMPTY, a) == a.hash


def test_no_row_stands_where_retention_deleted_all() -> None:
    check_anchor(Ends(0, EMPTY, 3, "ab", 1, 3))
    check_anchor(Ends(3, "cd", 3, "cd", None, 0))
    for oldest in (1, 3):
        with pytest.raises(ChainBroken, match=f"row {oldest} is back"):
            check_anchor(Ends(3, "cd", 4, "ab", oldest, 4))
