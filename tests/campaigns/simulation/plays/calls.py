"""What may be asked of the database, as values: drawn by Hypothesis, played by ``player``.

A call is a method of one of the product's store objects with its arguments. What only a database
can give is said in other words: an epoch by what it is beside the known one, a seq by NEXT. Domains
are tiny, so that rows meet: two owners, two leaders, two slots.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from inspect import signature
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from hypothesis import strategies as st

from warouter.cluster.plan import MovingMark, Succession, Takeover
from warouter.flow.aside import AsideStretch
from warouter.message_id import text_of
from warouter.store.beats import NodeSession
from warouter.store.election import LeaderSession
from warouter.store.journal import IssueRequest, Journal, Stretch
from warouter.store.journal.inbox import Proof
from warouter.store.journal.progress import ProgressColumns, TakenRow
from warouter.store.journal.slots import FROM_FIRST
from warouter.store.nodes import ShardRequest

Strategy = st.SearchStrategy[Any]
NODES = ("a", "b")
LEADERS = ("m", "n")
THE_OWNER, THE_LEADER = "the owner", "the leader"
INCARNATIONS = {name: UUID(int=n) for n, name in enumerate((*NODES, *LEADERS), 1)}
NEXT = 0  # the next seq of a journal, or the number of a message that is new
SLOTS = (3, 5)
STATUSES = ("sent", "delivered", "failed")
DAY = 86_400.0
PATIENCE = 60.0
LEAST_STEPS, MOST_STEPS = 8, 20


class Elsewhere(Protocol):
    """What is done to a database by webapps, by operators, by its clock."""

    async def step(self, by: float) -> None:
        """Set its clock so many seconds forward, or back."""

    async def ask_for_shards(self, request: ShardRequest) -> bool: ...

    async def give_up(self, request: ShardRequest) -> None: ...

    async def ask_for_letter(self, slot: int, kind: int, seq: int) -> None:
        """An event of the journal that is not parked is a dead letter that shall come again."""


class Call(NamedTuple):
    """``name`` is a method of ``who``'s journal, node or leader session, or of Elsewhere."""

    who: str
    name: str
    arguments: dict[str, Any]

    def __str__(self) -> str:
        return (
            f"{self.who}: {self.name}({', '.join(f'{k}={v!r}' for k, v in self.arguments.items())})"
        )


class Owned(NamedTuple):
    """Slots with the epochs that are known of them, or others by ``off``."""

    slots: tuple[int, ...]
    off: int = 0


class Message(NamedTuple):
    """A row that is to be appended; of equal numbers is one message."""

    slot: int
    recipient: str
    seq: int = NEXT
    number: int = NEXT
    kind: int = 0
    ttl: int | None = None
    key: str | None = None
    of: int = 1  # the business's number
    aside: bool = False


class Event(NamedTuple):
    """The same of a journal of events."""

    slot: int
    recipient: str
    seq: int = NEXT
    number: int = NEXT
    kind: int = 0
    status: str = STATUSES[0]
    contact: bytes | None = None
    of: int = 1
    aside: bool = False


def id_of(slot: int, number: int) -> bytes:
    return bytes((1, slot)) + number.to_bytes(18, "big")


def _often(usual: Any, *others: Any) -> Strategy:
    """The first one in two of three times."""
    return st.sampled_from((*[usual] * 2 * len(others), *others))


_none = st.just({})
_nodes = _often(THE_OWNER, *NODES)
_leaders = _often(THE_LEADER, *LEADERS)
_slots = st.sampled_from(SLOTS)
_some_slots = st.sampled_from((SLOTS, SLOTS, SLOTS[:1], SLOTS[1:]))
_kinds = st.sampled_from((0, 1))
_seqs = st.integers(1, 4)
_off = st.sampled_from((*[0] * 12, -1, 1))
_limits = st.sampled_from((1, 2, 100))
_an_incarnation = st.sampled_from([INCARNATIONS[name] for name in NODES])
_reasons = st.sampled_from(("handover", "unreachable", "upstream", "journal", "overdue", "join"))
_cursor = st.tuples(st.integers(0, 4), st.sampled_from(([], [6, 6], [6, 7, 9, 9])))


def _stretches(drawn: tuple[Sequence[int], int]) -> list[Stretch]:
    slots, after = drawn
    return [Stretch(slot, after, 9) for slot in slots]


_KEYS = ("1", "2", "2|1")  # of lanes
# What a parameter is, by its name, whichever method has it. ``player`` puts in what it knows.
PARAMETERS = {
    "above": st.sampled_from((0, 7)),
    "ages": st.none(),
    "beat": st.booleans(),
    "by": st.sampled_from((-3600.0, -2.0, 1.0, 20.0, 61.0)),
    "days": st.just(0.0),
    "details": st.just(""),
    "gone": _an_incarnation.map(lambda inc: [inc]),
    "ids": _slots.map(lambda slot: [text_of(id_of(slot, number)) for number in (1, 2, 3)]),
    "journal_ok": st.booleans(),
    "key": st.sampled_from(_KEYS),
    "keys": st.just(_KEYS),
    "kind": _kinds,
    "lanes": _some_slots.map(lambda slots: [(slot, kind) for slot in slots for kind in (0, 1)]),
    "limit": _limits,
    "most_bytes": _limits.map(lambda n: 100 * n),
    "owned": st.builds(Owned, _some_slots, _off),
    "pending": st.sampled_from((30.0, DAY)),
    "number": _often(1, 2),
    "request": st.none(),
    "rows": _limits,
    "seconds": st.just(0.0),
    "seq": _seqs,
    "slot": _slots,
    "slots": _some_slots,
    "state": st.just("done"),
    "stretches": st.tuples(_some_slots, st.integers(0, 3)).map(_stretches),
    "term": st.none(),
    "tried": st.just(5.0),
    "unreached": st.lists(_an_incarnation, max_size=1),
    "upstream_ok": st.booleans(),
    "within": st.just(PATIENCE),
}


def _call(name: str, who: Strategy | None = None, **drawn: Strategy) -> Strategy:
    """Whoever may write is sometimes not the one whose right it is."""
    of = next(of for of in (Journal, LeaderSession, NodeSession, Elsewhere) if hasattr(of, name))
    parameters = [*signature(getattr(of, name)).parameters][1:]
    fenced = {"owned", "above", "term"} & set(parameters)
    usual = {
        Journal: _nodes if fenced else st.just(NODES[0]),
        LeaderSession: _leaders if fenced else st.sampled_from(LEADERS),
        NodeSession: st.sampled_from(NODES),
        Elsewhere: st.just(""),
    }
    arguments = {each: drawn[each] if each in drawn else PARAMETERS[each] for each in parameters}
    by = usual[of] if who is None else who
    return st.builds(Call, by, st.just(name), st.fixed_dictionaries(arguments))


def _append(
    name: str, row: Any, wire: Mapping[str, Strategy] | None = None, **columns: Strategy
) -> Strategy:
    drawn = {
        "slot": _slots,
        "recipient": st.sampled_from(("1", "2", "3")),
        "seq": _often(NEXT, NEXT, 1, 3, 9),
        "number": _often(NEXT, NEXT, 1, 2, 3),
        "of": _often(1, 2),
        "aside": _often(False, True),
        **columns,
    }
    rows = st.fixed_dictionaries(drawn).map(lambda fields: row(**fields))
    more = {} if wire is None else {"wire": _progress(**wire)}
    return _call(name, rows=st.lists(rows, min_size=1, max_size=4), owned=_off, **more)


def _moves(move: Any, **more: Strategy) -> Strategy:
    """The epoch is what it is beside the known one."""
    each = st.builds(
        move, slot=_slots, seen_epoch=_off, to=_an_incarnation, reason=_reasons, **more
    )
    return st.lists(each, max_size=2, unique_by=lambda move: move.slot)


def _marks() -> Strategy:
    """The epoch is what it is beside the known one."""
    each = st.builds(MovingMark, slot=_slots, seen_epoch=_off, moving=st.sampled_from((0, 1, 1)))
    return st.lists(each, max_size=2, unique_by=lambda mark: mark.slot)


def _places(*kind: str, **columns: Strategy) -> Strategy:
    """Rows of journals, each once, and no two due at the same time: either might be first."""
    place = {name: PARAMETERS[name] for name in ("slot", "seq", *kind)}

    def staggered(row: dict[str, Any]) -> dict[str, Any]:
        more = {"delay_ms": 7 * row["seq"], "ends_ms": 3 * row["seq"]}
        return row | {name: row[name] + n for name, n in more.items() if name in row}

    return st.lists(
        st.fixed_dictionaries({**place, **columns}).map(staggered),
        min_size=1,
        max_size=4,
        unique_by=lambda row: tuple(row[name] for name in place),
    )


def _consumers(**columns: Strategy) -> Strategy:
    """Rows of consumers that are aside, each once."""
    place = {"slot": _slots, "log": st.integers(0, 2), "consumer": st.integers(1, 2)}
    return st.lists(
        st.fixed_dictionaries({**place, **columns}),
        min_size=1,
        max_size=3,
        unique_by=lambda row: tuple(row[name] for name in place),
    )


def _progress(send: Strategy = _none, events: Strategy = _none, **rare: Strategy) -> Strategy:
    return st.builds(ProgressColumns, send, events, st.fixed_dictionaries(rare), st.just(()))


def _record(send: Strategy = _none, events: Strategy = _none, **rare: Strategy) -> Strategy:
    return _call("write", wire=_progress(send, events, **rare))


_waits = {
    "attempts": st.integers(1, 3),
    "delay_ms": st.sampled_from((0, 500, 5_000, 90_000)),
    "reason": st.sampled_from(("throttled", "refused")),
}
_tries = {"attempts": st.integers(1, 3), "reason": st.just("refused")}
_requests = {
    "kind": _often(0, 0, 1, 2),
    "ttl": _often(None, 1, 60, 100_000),
    "key": _often(None, "kr", "ks", "lr"),
}
_statuses = {"kind": _kinds, "status": st.sampled_from(STATUSES), "contact": _often(None, b"{}")}
_append_messages = _append("append", Message, **_requests)
_append_plain = _append("append", Message)
_append_events = _append("append_events", Event, **_statuses)
_cursors = {
    "send": st.dictionaries(_slots, _cursor, max_size=2),
    "events": st.dictionaries(st.tuples(_slots, _kinds), _cursor, max_size=2),
}
_settle = _record(**_cursors)
_park = _record(park=_places(**_waits))
_park_all = _record(park=_places(**_waits), park_events=_places("kind", **_waits))
_park_ending = _record(park=_places(ends_ms=st.sampled_from((700, 60_000)), **_waits))
_park_and_unpark = _record(park=_places(**_waits), unpark=_places())
_park_events = _record(park_events=_places("kind", **_waits))
_unpark = _record(unpark=_places())
_unpark_events = _record(unpark_events=_places("kind"))
_flat = st.sampled_from(([], [2, 2], [3, 4, 6, 9]))
_aside = _record(
    aside=_consumers(
        number=st.integers(1, 2),
        base=_seqs,
        since=_seqs,
        upto=st.sampled_from((None, 4, 12)),
        flow=_flat,
        mark=_seqs,
        ranges=_flat,
        why=st.integers(1, 6),
    ),
    **_cursors,
)
_unaside = _record(unaside=_consumers())
_die = _record(dead=_places("kind", **_tries))
_all_to = {
    to: [Takeover(slot, 0, INCARNATIONS[to], None, "unowned") for slot in SLOTS] for to in NODES
}
_take_over = _call("take_over", moves=_moves(Takeover, old=st.none()))
_take_all = _call("take_over", st.just(THE_LEADER), moves=st.just(_all_to["b"]))
_name = _call("name_successors", moves=_moves(Succession))
_mark = _call("mark_slots", marks=_marks())
_ask = _call(
    "ask_for_shards",
    request=st.sampled_from((2, 4)).map(
        lambda shards: ShardRequest(UUID(int=0), shards, "waiting")
    ),
)
_begin = _call("begin_request", moves=_moves(Succession))
_end = _call("end_request")
_step = _call("step")
# What the Cloud API needs; a request's id is that of its place, so that rows meet.
_attempts = st.integers(1, 3)
_recipients = st.sampled_from(("1", "2"))
_numbers = _often(1, 2)


def _requests_of(row: dict[str, Any]) -> IssueRequest:
    return IssueRequest(id=id_of(row["slot"], row["seq"]), **row)


def _taken(row: dict[str, Any]) -> TakenRow:
    message_id = id_of(row["slot"], row["seq"])
    wamid = f"w.{row['slot']}.{row['seq']}.{row['attempt']}"
    return TakenRow(id=message_id, wamid=wamid, wa_id=None, user_id=None, **row)


def _proof(row: dict[str, Any]) -> Proof:
    taken = _taken({name: value for name, value in row.items() if name != "failed"})
    place = taken.wamid, taken.slot, taken.id, taken.attempt
    return Proof(*place, held=taken.held, failed=row["failed"], number=taken.number)


def _rows_of(made: Any, **columns: Strategy) -> Strategy:
    return _places(**columns).map(lambda rows: [made(row) for row in rows])


_issue = _call(
    "issue",
    owned=_off,
    rows=_rows_of(
        _requests_of,
        recipient=_recipients,
        attempt=_attempts,
        doubts=st.integers(0, 2),
        number=_numbers,
    ),
)
_open_issues = _call("open_issues")
_states = _places(
    attempt=_attempts,
    state=st.sampled_from((2, 3, 4, 5, 6, 7)),
    doubts=st.integers(0, 2),
    spared=st.integers(0, 1),
    cause=st.sampled_from((None, "cut")),
    look_ms=st.sampled_from((None, 0, 500, 90_000)),
)
_stated = _record(issues=_states)
_due_issues = _call("due_issues", pages=st.sampled_from(({3: 1, 5: 2}, {3: 100, 5: 100})))
_lanes_of = st.fixed_dictionaries({"slot": _slots, "recipient": _recipients, "number": _numbers})
_reopen = _record(
    reopen=st.lists(_lanes_of, min_size=1, max_size=2, unique_by=lambda lane: lane["slot"])
)
_append_endings = _append(
    "end", Event, {**_cursors, "unpark": _places(), "issues": _states}, **_statuses
)
_taken_rows = _rows_of(_taken, attempt=_attempts, held=st.booleans(), number=_numbers)
_take_some = _call("write", wire=st.builds(ProgressColumns, _none, _none, _none, _taken_rows))
_unissue = _record(unissue=_places(attempt=st.sampled_from((None, 1, 2))))
_FAR = 4_000_000_000  # unix s: what a clock of Meta's calls the future is now
_learn_unreachable = _call(
    "learn_unreachable",
    found=st.sampled_from(([(1, "1", 0), (2, "1", _FAR)], [(2, "1", 0), (1, "2", 0), (1, "1", 0)])),
)
_say = _call(
    "say",
    kind=st.sampled_from((0, 2, 4)),
    key=st.sampled_from(("k", "l", "m:failed:1")),
    message_id=st.tuples(_slots, _seqs).map(lambda place: id_of(*place)),
    attempt=_attempts,
    wamid=_often("w.9", None),
    payload=st.just(b"{}"),
)
_drained = _call(
    "drained",
    numbers=st.lists(st.integers(1, 4), max_size=3),
    proofs=_rows_of(
        _proof,
        attempt=_attempts,
        held=st.booleans(),
        failed=st.booleans(),
        number=_numbers,
    ),
)
_OF_NUMBERS = [(of, id_of(slot, seq)) for of in (1, 2) for slot in SLOTS for seq in (1, 2, 3)]
_WAMIDS = [(of, f"w.3.{seq}.{n}") for of in (1, 2) for seq in (1, 2) for n in (1, 2)]
_cloud_reads = (
    _call("inbox", known=st.lists(st.integers(1, 3), max_size=1)),
    _call("way", age=st.sampled_from((0.5, 30.0)), within=st.just(30.0)),
    _call("wamids_of", ids=st.just(_OF_NUMBERS)),
    _call("ids_of", wamids=st.just(_WAMIDS)),
)
_letters = (_call("ask_for_letter"), _call("asked_letters"))
_take_up = _call("take_up_letters", owned=st.builds(Owned, _slots.map(lambda slot: (slot,)), _off))
_aside_stretches = st.builds(
    AsideStretch,
    st.integers(0, 3),
    st.sampled_from((4, 9)),
    st.booleans(),
    st.sampled_from((1, 50)),
)
_READS = [
    _call("aside_page", stretch=_aside_stretches),
    *map(_call, ("pages", "event_pages", "with_status", "parked", "parked_among", "parked_of")),
    *map(_call, ("parked_events", "parked_events_among", "parked_events_of", "look")),
]
# One or a few calls that have to do with each other. What writes rows comes most, else nothing
# would be found in them.
_STEPS = (
    *((call,) for call in (_append_messages, _append_plain, _append_events, _settle)),
    *((call,) for call in (_park, _unpark, _park_and_unpark, _unpark_events, _die)),
    *(
        (call,)
        for call in (_step, st.one_of(_READS), st.one_of(_READS), _take_over, _name, _begin, _end)
    ),
    *((_call(name),) for name in ("open", "renew", "hand_over", "beat")),
    *((_call(name),) for name in ("say_leaving", "win", "try_lock", "give_up")),
    (_call("forget_nodes"),),
    (_append_messages, _park_all),
    (_append_messages, _park, _park, _unpark),
    (_append_messages, _park_ending),
    (_append_plain, _park_all),
    (_aside, _unaside, _call("open")),
    (_append_events, _park_events),
    (_append_events, *_letters, _take_up),
    (*_letters, *_letters, _take_up),
    (_step, _call("mend_parked", limit=st.just(100))),
    (_call("prune", after=st.just(FROM_FIRST)), _call("prune_keys")),
    (_append_messages, _call("aside_page", stretch=_aside_stretches)),
    (_call("release"), _take_all),
    (_mark, _call("quiet")),
    (_mark, _call("quiet"), _call("renew"), _call("quiet"), _mark),
    (_end, _ask, _mark, _begin),
    (_name, _call("hand_over")),
    (_ask, _begin),
    (_end, _ask, _step, _begin),
    (_end, _ask, _call("step", by=st.sampled_from((-61.0, 20.0))), _begin),
    (_issue, _issue, _stated, _due_issues),
    (_append_messages, _park_and_unpark, _reopen),
    (_append_messages, _park, _issue, _append_endings, _open_issues),
    (_issue, _open_issues, _take_some),
    (_issue, _stated, _unissue, _open_issues),
    (_say, _say, _issue, _drained),
    (_learn_unreachable, _step, _learn_unreachable, _call("keys_of", contacts=st.just([(1, "1")]))),
    (_say, st.one_of(_cloud_reads), _take_some, st.one_of(_cloud_reads)),
)
# A leader, an owner of both slots, and a few rows in each journal.
_ROWS = (("1", 1), ("1", 1), ("2", 1), ("1", 2))  # recipients, and whose rows they are
_FIRST = [(slot, *row) for slot in SLOTS for row in _ROWS]
_WELL = {"upstream_ok": True, "within": PATIENCE, "unreached": [], "journal_ok": True}
BEGINNING = (
    Call("m", "win", {}),
    *(Call(name, "beat", _WELL) for name in NODES),
    Call("m", "take_over", {"term": None, "moves": _all_to["a"], "ages": None}),
    Call("a", "append", {"owned": 0, "rows": [Message(*p, of=of) for *p, of in _FIRST]}),
    *(
        Call(
            "a",
            "append_events",
            {"owned": 0, "rows": [Event(*p, kind=kind, of=of) for *p, of in _FIRST]},
        )
        for kind in (0, 1)
    ),
)


def _read(name: str, **arguments: Any) -> Call:
    return Call("a", name, arguments)


# Whatever came of it is read in the end, in pages that are full and in such that are not.
_LANES = [(slot, kind) for slot in SLOTS for kind in (0, 1)]
ENDING = (
    *(_read("parked", slots=SLOTS, pending=DAY, rows=rows) for rows in (1, 2, 100)),
    _read("parked_events", lanes=_LANES, rows=100),
    _read("parked_events_among", slot=3, kind=0, keys=_KEYS),
    *(_read("parked_of", slot=slot, keys=_KEYS, limit=slot - 2) for slot in SLOTS),
    *(
        _read("parked_events_of", slot=slot, key=key, kind=kind, limit=slot - 2)
        for slot, kind in _LANES
        for key in ("1", "2|1")
    ),
    _read("inbox", slots=SLOTS, known=[], limit=100),
    *(
        _read(
            "aside_page",
            slot=3,
            number=number,
            stretch=AsideStretch(0, 9, flagged, 50),
            most_bytes=200,
        )
        for number in (1, 2)
        for flagged in (False, True)
    ),
    Call(THE_OWNER, "open_issues", {"owned": Owned(SLOTS)}),
    _read("pages", stretches=[Stretch(slot, 1, 9) for slot in SLOTS], limit=100, most_bytes=200),
    _read("event_pages", kind=0, stretches=[Stretch(3, 1, 9)], limit=2, most_bytes=1 << 20),
    Call(THE_OWNER, "open", {"owned": Owned(SLOTS)}),
)


def whole(steps: Sequence[tuple[Call, ...]]) -> list[Call]:
    """A play of these steps."""
    return [*BEGINNING, *(call for step in steps for call in step), *ENDING]


_drawn = [st.tuples(*calls) for calls in _STEPS]
plays = st.lists(st.one_of(_drawn), min_size=LEAST_STEPS, max_size=MOST_STEPS).map(whole)
# Every call that there is, each with arguments that are drawn.
whole_plays = st.tuples(*_drawn, *map(st.tuples, _READS)).map(whole)
