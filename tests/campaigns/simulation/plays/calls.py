"""What may be asked of the database, as values: drawn by Hypothesis, played by ``player``.

A call names what it means and not numbers that only a database can give: the owner, the known epoch
or one before it, the next seq. Domains are tiny, so that rows meet: two owners, two leaders, two
slots.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from hypothesis import strategies as st

NODES = ("a", "b")
LEADERS = ("m", "n")
OWNER, LEADER = "the owner", "the leader"
NEXT = 0  # the next seq of a journal, or the number of a message that is new
_NEW = {"seq": NEXT, "number": NEXT}
SLOTS = (3, 5)
RECIPIENTS = ("1", "2", "3")
REASONS = ("handover", "unreachable", "upstream", "journal", "overdue", "join")
STATUSES = ("sent", "delivered", "failed")
LEAST_STEPS, MOST_STEPS = 8, 20

Draw = Callable[[st.SearchStrategy[Any]], Any]


class Call(NamedTuple):
    """One call: a method of ``Player`` and its arguments."""

    name: str
    arguments: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.name}({', '.join(f'{k}={v!r}' for k, v in self.arguments.items())})"


def _often(usual: Any, *others: Any) -> st.SearchStrategy[Any]:
    """The first one in two of three times."""
    return st.sampled_from((*[usual] * 2 * len(others), *others))


_nodes = _often(OWNER, *NODES)
_leaders = _often(LEADER, *LEADERS)
_slots = st.sampled_from(SLOTS)
_some_slots = st.sampled_from((SLOTS, SLOTS, SLOTS[:1], SLOTS[1:]))
_kinds = st.sampled_from((0, 1))
_seqs = st.integers(1, 4)
_recipients = st.sampled_from(RECIPIENTS)
_epochs = st.sampled_from((*[0] * 12, -1, 1))  # off the one that is known
_limits = st.sampled_from((1, 2, 100))
_pending = st.sampled_from((30.0, 86_400.0))
_waits = {
    "attempts": st.integers(1, 3),
    "delay_ms": st.sampled_from((0, 500, 5_000, 90_000)),
    "reason": st.sampled_from(("throttled", "refused")),
}
_owner = {"node": _nodes, "epoch": _epochs}
_owner_of = {**_owner, "slots": _some_slots}


def _call(name: str, **arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Call]:
    return st.builds(Call, st.just(name), st.fixed_dictionaries(arguments))


def _rows(**columns: st.SearchStrategy[Any]) -> st.SearchStrategy[list[dict[str, Any]]]:
    row = st.fixed_dictionaries({"slot": _slots, **columns})
    return st.lists(row, min_size=1, max_size=4)


def _places(**columns: st.SearchStrategy[Any]) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Rows of a journal, each once."""
    row = st.fixed_dictionaries({"slot": _slots, "seq": _seqs, **columns})
    return st.lists(
        row, min_size=1, max_size=4, unique_by=lambda r: (r["slot"], r["seq"], r.get("kind"))
    )


_moves = st.lists(
    st.fixed_dictionaries(
        {
            "slot": _slots,
            "epoch": _epochs,
            "to": st.sampled_from(NODES),
            "reason": st.sampled_from(REASONS),
        }
    ),
    max_size=2,
    unique_by=lambda move: move["slot"],
)
_places_of_cursor = st.fixed_dictionaries(
    {"mark": st.integers(0, 4), "ranges": st.sampled_from(([], [6, 6], [6, 7, 9, 9]))}
)
_new = {"seq": _often(NEXT, NEXT, 1, 3, 9), "number": _often(NEXT, NEXT, 1, 2, 3)}
_append = _call(
    "append",
    **_owner,
    rows=_rows(
        **_new,
        recipient=_recipients,
        kind=_often(0, 0, 1, 2),
        ttl=_often(None, 1, 60, 100_000),
        key=_often(None, "kr", "ks", "lr"),
    ),
)
_append_plain = _call(
    "append",
    **_owner,
    rows=_rows(**_new, recipient=_recipients, kind=st.just(0), ttl=st.none(), key=st.none()),
)
_append_events = _call(
    "append_events",
    **_owner,
    rows=_rows(
        **_new,
        kind=_kinds,
        status=st.sampled_from(STATUSES),
        recipient=_recipients,
        contact=_often(None, b"{}"),
    ),
)
_settle = _call(
    "record",
    **_owner_of,
    send=st.dictionaries(_slots, _places_of_cursor, max_size=2),
    events=st.dictionaries(st.tuples(_slots, _kinds), _places_of_cursor, max_size=2),
    rare=st.just({}),
)


def _rarely(**parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Call]:
    none = st.just({})
    rare = st.fixed_dictionaries(parts)
    return _call("record", **_owner_of, send=none, events=none, rare=rare)


_park = _rarely(park=_places(**_waits))
_park_ending = _rarely(park=_places(ends_ms=st.sampled_from((700, 60_000)), **_waits))
_unpark = _rarely(unpark=_places())
_park_and_unpark = _rarely(park=_places(**_waits), unpark=_places())
_park_events = _rarely(park_events=_places(kind=_kinds, **_waits))
_unpark_events = _rarely(unpark_events=_places(kind=_kinds))
_die = _rarely(dead=_places(kind=_kinds, attempts=st.integers(1, 3), reason=st.just("refused")))
_park_all = _rarely(park=_places(**_waits), park_events=_places(kind=_kinds, **_waits))
_name = _call("name_successors", leader=_leaders, moves=_moves)
_hand_over = _call("hand_over", **_owner_of)
_take_over = _call("take_over", leader=_leaders, moves=_moves)
_take_all = _call(
    "take_over",
    leader=st.just(LEADER),
    moves=st.just([{"slot": s, "epoch": 0, "to": "b", "reason": "unowned"} for s in SLOTS]),
)
_ask = _call("ask_for_shards", shards=st.sampled_from((2, 4)))
_end = _call("end_request", leader=_leaders)
_begin = _call("begin_request", leader=_leaders, moves=_moves)
_step = _call("step", seconds=st.sampled_from((-3600.0, -2.0, 1.0, 20.0, 61.0)))
_letters = _call("ask_for_letters", slot=_slots, kind=_kinds, seq=_seqs)
_take_up = _call("take_up_letters", **_owner, slot=_slots, limit=_limits)
_beat = _call(
    "beat",
    node=st.sampled_from(NODES),
    upstream_ok=st.booleans(),
    unreached=st.lists(st.sampled_from(NODES), max_size=1),
    journal_ok=st.booleans(),
)
_READS = (
    _call("page", slot=_slots, after=st.integers(0, 3), limit=_limits, most=_limits),
    _call("event_page", slot=_slots, kind=_kinds, after=st.integers(0, 3), limit=_limits),
    _call("parked", slots=_some_slots, pending=_pending, most=_limits),
    _call("parked_among", slot=_slots, pending=_pending),
    _call("parked_of", slot=_slots, limit=_limits),
    _call("parked_events", slots=_some_slots),
    _call("parked_events_of", slot=_slots, kind=_kinds, limit=_limits),
    _call("with_status", slot=_slots),
    _call("look", leader=st.sampled_from(LEADERS)),
)
_OWNS = (
    _call("open", **_owner_of),
    _call("renew", node=_nodes, slots=_some_slots, above=st.sampled_from((0, 7))),
    _hand_over,
    _beat,
    _call("leave", node=st.sampled_from(NODES)),
    _call("lead", **_owner_of),
    _call("prune", **_owner_of),
)
_LEADS = (
    _call("win", leader=st.sampled_from(LEADERS)),
    _call("lock", leader=st.sampled_from(LEADERS)),
    _take_over,
    _name,
    _call("give_up"),
    _begin,
    _end,
    _call("raise_epochs", leader=_leaders),
    _call("forget", leader=_leaders, node=st.sampled_from(NODES)),
)
# One or a few calls that have to do with each other. What writes rows comes most, else nothing
# would be found in them.
_STEPS = (
    *(st.tuples(each) for each in (_append, _append_plain, _append_events, _settle)),
    *(st.tuples(each) for each in (_park, _unpark, _park_and_unpark, _unpark_events, _die)),
    st.tuples(_append, _park_all),
    st.tuples(_append, _park, _park, _unpark),
    st.tuples(_append, _park_ending),
    st.tuples(_append_plain, _park_all),
    st.tuples(_append_events, _park_events),
    st.tuples(_append_events, _letters, _take_up),
    st.tuples(_letters, _letters, _take_up),
    st.tuples(_step, _call("mend", **_owner_of)),
    st.tuples(_step),
    *(st.tuples(each) for each in (*_OWNS, *_LEADS)),
    st.tuples(st.one_of(_READS)),
    st.tuples(st.one_of(_READS)),
    st.tuples(_call("release", **_owner_of), _take_all),
    st.tuples(_name, _hand_over),
    st.tuples(_ask, _begin),
    st.tuples(_end, _ask, _step, _begin),
    st.tuples(_end, _ask, _call("step", seconds=st.sampled_from((-61.0, 20.0))), _begin),
)
# A leader, an owner of both slots, and a few rows in each journal.
BEGINNING = (
    Call("win", {"leader": "m"}),
    Call("beat", {"node": "a", "upstream_ok": True, "unreached": [], "journal_ok": True}),
    Call("beat", {"node": "b", "upstream_ok": True, "unreached": [], "journal_ok": True}),
    Call(
        "take_over",
        {
            "leader": "m",
            "moves": [{"slot": s, "epoch": 0, "to": "a", "reason": "unowned"} for s in SLOTS],
        },
    ),
    Call(
        "append",
        {
            "node": OWNER,
            "epoch": 0,
            "rows": [
                {**_NEW, "slot": s, "recipient": r, "kind": 0, "ttl": None, "key": None}
                for s in SLOTS
                for r in ("1", "1", "2")
            ],
        },
    ),
    Call(
        "append_events",
        {
            "node": OWNER,
            "epoch": 0,
            "rows": [
                {**_NEW, "slot": s, "recipient": r, "kind": k, "status": "sent", "contact": None}
                for s in SLOTS
                for k in (0, 1)
                for r in ("1", "1", "2")
            ],
        },
    ),
)
# Whatever came of it is read in the end, in pages that are full and in such that are not.
ENDING = (
    *(Call("parked", {"slots": SLOTS, "pending": 86_400.0, "most": most}) for most in (1, 2, 100)),
    Call("parked_events", {"slots": SLOTS}),
    *(Call("parked_of", {"slot": slot, "limit": slot - 2}) for slot in SLOTS),
    *(
        Call("parked_events_of", {"slot": slot, "kind": kind, "limit": slot - 2})
        for slot in SLOTS
        for kind in (0, 1)
    ),
    Call("page", {"slot": 3, "after": 1, "limit": 100, "most": 2}),
    Call("event_page", {"slot": 3, "kind": 0, "after": 1, "limit": 2}),
    Call("open", {"node": OWNER, "epoch": 0, "slots": SLOTS}),
)


def _whole(steps: Sequence[tuple[Call, ...]]) -> list[Call]:
    return [*BEGINNING, *(call for step in steps for call in step), *ENDING]


plays = st.lists(st.one_of(_STEPS), min_size=LEAST_STEPS, max_size=MOST_STEPS).map(_whole)
# Every call that there is, each with arguments that are drawn.
whole_plays = st.tuples(*_STEPS, *(st.tuples(read) for read in _READS)).map(_whole)
