"""Every statement that warouter sends, by a piece of its text: its locks, and what it does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from tests.campaigns.simulation.locks import SLOT, TERM, Lock
from tests.campaigns.simulation.loop import EPOCH
from tests.campaigns.simulation.tables import ISSUE_COLUMNS, Tables
from tests.campaigns.simulation.webhook import SETTINGS
from warouter.flow.lane_key import lane_of

Wants = Callable[[Any, tuple[Any, ...]], list[Lock]]
Does = Callable[[Any, Any, tuple[Any, ...]], list[Any]]
BEATEN = "from beat($1, true, '{}', true, false)) as beaten"  # by a master, with its poll
UNFLUSHED = frozenset(
    (
        *("select * from beat", "register_node"),
        *(BEATEN, f"{BEATEN}, pg_try", "touch_cloud_path", "share_number", "say_leaving"),
    )
)


class Record(tuple[Any, ...]):
    """A row whose columns have names as well."""

    names: tuple[str, ...]

    def __new__(cls, names: tuple[str, ...], values: tuple[Any, ...]) -> Record:
        row = super().__new__(cls, values)
        row.names = names
        return row

    def __getitem__(self, key: Any) -> Any:
        return super().__getitem__(self.names.index(key) if isinstance(key, str) else key)


class Statement:
    """What the server knows of one kind of statement.

    ``writes``: its outcome can be in doubt; ``changes``: what it writes is to last, which a beat
    is not.
    """

    __slots__ = ("changes", "does", "name", "wants", "writes")

    def __init__(self, name: str, wants: Wants | None, does: Does) -> None:
        self.name = name
        self.wants = wants
        self.does = does
        self.writes = wants is not None
        self.changes = self.writes and name not in UNFLUSHED

    def flushes(self, arguments: tuple[Any, ...]) -> bool:
        """Its commit waits for the disk: it has written something that is to last."""
        return self.changes and (self.wants is not _shared or bool(arguments[1]))


def find(sql: str) -> Statement:
    """The statement with this text; KeyError when warouter has learned a new one."""
    found = _known.get(sql)
    if found is None:
        piece = next((piece for piece in _STATEMENTS if piece in sql), None)
        if piece is None:
            raise KeyError(f"give this statement a line in _STATEMENTS of {__file__}: {sql!r}")
        found = _known[sql] = _STATEMENTS[piece]
    return found


def _slots_at(place: int, *, exclusive: bool, term: bool = False) -> Wants:
    """The locks of the slots that are an argument, behind that of the term."""

    def wants(_tables: Tables, arguments: tuple[Any, ...]) -> list[Lock]:
        slots = [Lock(SLOT + slot, exclusive) for slot in sorted(arguments[place])]
        return [Lock(TERM, False), *slots] if term else slots

    return wants


def _always(*locks: Lock) -> Wants:
    return lambda _tables, _arguments: list(locks)


_shared, _exclusive = _slots_at(1, exclusive=False), _slots_at(1, exclusive=True)
_term_and_slots = _slots_at(2, exclusive=True, term=True)
_nothing, _term, _term_alone = _always(), _always(Lock(TERM, False)), _always(Lock(TERM, True))


_NODE = ("incarnation", "name", "role", "host", "port", "link_key", "fingerprint", "version")

# What is more than a call of the function with the same name in tables.py. ``s`` is the server,
# ``c`` the session, ``a`` the arguments.


def _register(s: Any, c: Any, a: tuple[Any, ...]) -> list[Any]:
    told = {
        "leaving": False,
        "counter": 0,
        "upstream_ok": True,
        "unreached": [],
        "journal_ok": True,
    }
    node = dict(zip(_NODE, a[: len(_NODE)], strict=True)) | {
        "pid": a[10],
        "upstream": a[11],
        "certificate": a[12],
    }
    s.tables.nodes.setdefault(a[0], node | told)
    s.notify("nodes")
    return []


def _beat(s: Any, c: Any, a: tuple[Any, ...]) -> list[Any]:
    c.beats = True
    rows: list[dict[str, Any]] = s.tables.beat(*a)
    if rows:
        s.history.beaten(a[0], rows[0]["slots"])
    return rows


def _leave(s: Any, c: Any, a: tuple[Any, ...]) -> list[Any]:
    inc, upstream = a
    if inc in s.tables.nodes:
        s.tables.nodes[inc]["leaving"] = True
    s.notify("nodes")
    alive = s.incarnations()
    heirs = any(
        n["role"] == "coreapp"
        and i != inc
        and not n["leaving"]
        and i in alive
        and n["upstream"] == upstream
        for i, n in s.tables.nodes.items()
    )
    return [{"heirs": heirs}]


def _expect(s: Any, c: Any, a: tuple[Any, ...]) -> list[Any]:
    return [{"expected": s.tables.expects_slots(*a)}]


def _notify(s: Any, c: Any, a: tuple[Any, ...]) -> list[Any]:
    s.notify(a[1])
    return []


def _state(s: Any, c: Any, a: tuple[Any, ...]) -> list[Any]:
    t: Tables = s.tables
    t.looked()
    alive = s.incarnations()
    return [
        {
            "version": t.version,
            "shards": t.shards,
            "term": t.term,
            "leader": t.leader,
            "started": s.started,
            "timeline": t.timeline,
            "sessions": None if alive.keys() >= t.nodes.keys() else [inc.hex for inc in alive],
            "request": (*t.request, t.taken_up) if t.request else None,
            "beaten": bool(a) and bool(t.beat(*a, True, [], True, False)),
            "nodes": [_as_a_row(node) for node in t.nodes.values()],
        }
    ]


def _contend(s: Any, c: Any, a: tuple[Any, ...]) -> list[Any]:
    return [row | {"locked": _lead(s, c, a)[0]["won"]} for row in _state(s, c, a)]


_JUDGED = ("incarnation", "name", "role", "leaving", "counter", "upstream_ok")


def _as_a_row(node: dict[str, Any]) -> tuple[Any, ...]:
    unreached = " ".join(str(inc) for inc in node["unreached"])
    return (*(node[name] for name in _JUDGED), unreached, node["journal_ok"], node["upstream"])


def _nodes(s: Any, c: Any, a: tuple[Any, ...]) -> list[Any]:
    return sorted((dict(n) for n in s.tables.nodes.values()), key=lambda n: n["name"])


def _address(s: Any, c: Any, a: tuple[Any, ...]) -> list[Any]:
    node = s.tables.nodes.get(a[0])
    return [dict(node)] if node is not None and node["role"] == "coreapp" else []


def _certificates(s: Any, c: Any, a: tuple[Any, ...]) -> list[Any]:
    nodes = s.tables.nodes.values()
    return [{"certificate": n["certificate"]} for n in nodes if n["role"] != "master"]


def _unwritable(s: Any, c: Any, a: tuple[Any, ...]) -> list[Any]:
    failing = s.failing.get(c.process)
    missing = failing is not None and failing.writes_only
    return [{"missing": "insert on message" if missing else None}]


def _map(s: Any, c: Any, a: tuple[Any, ...]) -> list[Any]:
    return [{"version": s.tables.version, "shards": s.tables.shards}]


def _lead(s: Any, c: Any, a: tuple[Any, ...]) -> list[Any]:
    if s.leader_lock is None:
        s.leader_lock = c
    return [{"won": s.leader_lock is c}]


def _win(s: Any, c: Any, a: tuple[Any, ...]) -> list[Any]:
    rows: list[Any] = s.tables.win_term(*a)
    s.history.note("term", rows[0]["term"], a[0].hex[:6])
    return rows


def _end_holder(s: Any, c: Any, a: tuple[Any, ...]) -> list[Any]:
    held = s.leader_lock
    if held is not None and held is not c and f"wa:{held.incarnation.hex}" not in a[0]:
        held.kill()
    return []


def _end_slots(s: Any, c: Any, a: tuple[Any, ...]) -> list[Any]:
    for session in list(s.sessions):
        if session is not c and session.holds_any({SLOT + slot for slot in a[0]}):
            session.kill()
    return []


def _end_dead(s: Any, c: Any, a: tuple[Any, ...]) -> list[Any]:
    gone = {UUID(name[3:]) for name in a[0]}
    for session in list(s.sessions):
        if session.incarnation in gone:
            session.kill()
    return []


def _settings(s: Any, c: Any, a: tuple[Any, ...]) -> list[Any]:
    return [{"number": 1, "name": a[0], "value": SETTINGS}] if a[0] == "application" else []


def _settings_found(s: Any, c: Any, a: tuple[Any, ...]) -> list[Any]:
    return [{"name": name, "value": c.settings.get(name)} for name in a[0]]


def _pages(s: Any, c: Any, a: tuple[Any, ...]) -> list[Any]:
    *stretches, limit, most = a
    found = []
    for slot, after, upto in sorted(zip(*stretches, strict=True)):
        rows = s.tables.messages[slot].page(after, upto, limit)
        found += _page(s, slot, rows, most)
    return found


def _aside_page(s: Any, c: Any, a: tuple[Any, ...], *, flagged: bool = False) -> list[Any]:
    slot, number, after, upto, limit, most = a
    journal = s.tables.messages[slot]
    rows = [row for row in journal.page(after, upto, len(journal.seqs)) if row.number == number]
    return _page(s, slot, [row for row in rows if row.aside or not flagged][:limit], most)


def _flagged_page(s: Any, c: Any, a: tuple[Any, ...]) -> list[Any]:
    return _aside_page(s, c, a, flagged=True)


def _page(s: Any, slot: int, rows: list[Any], most: int) -> list[Any]:
    found = []
    for row in _upto(most, rows, lambda row: len(row.body)):
        of_it = slot, *row[:6], _age(s, row.accepted), row.number
        found.append(Record(_PAGE, (*of_it, *_issue(s, slot, row.seq))))
    return found


_PAGE = ("slot", "seq", "id", "recipient", "kind", "body", "ttl", "age", "number", *ISSUE_COLUMNS)


def _issue(s: Any, slot: int, seq: int) -> tuple[Any, ...]:
    found: tuple[Any, ...] = s.tables.issue_columns(s.now(), s.tables.issues.rows.get((slot, seq)))
    return found


def _event_pages(s: Any, c: Any, a: tuple[Any, ...]) -> list[Any]:
    kind, *stretches, limit, most = a
    found = []
    for slot, after, upto in sorted(zip(*stretches, strict=True)):
        rows = s.tables.events[slot][kind].page(after, upto, limit)
        read = _upto(most, rows, lambda row: len(row.payload))
        found += [Record(_EVENT_PAGE, (slot, *row[:7])) for row in read]
    return found


_EVENT_PAGE = ("slot", "seq", "kind", "key", "recipient", "payload", "contact", "number")


def _upto(most: int, rows: list[Any], size: Callable[[Any], int]) -> list[Any]:
    """The first rows, to the one that makes up ``most`` bytes."""
    taken, total = [], 0
    for row in rows:
        if total >= most:
            break
        total += size(row)
        taken.append(row)
    return taken


def _parked(s: Any, c: Any, a: tuple[Any, ...]) -> list[Any]:
    slots, pending, most = a
    return [
        {"slot": slot, **row}
        for slot in slots
        for row in _first_lanes(s, s.tables.messages[slot], pending, most)
    ]


def _parked_among(s: Any, c: Any, a: tuple[Any, ...]) -> list[Any]:
    slot, pending, *lanes = a
    return _lanes(s, s.tables.messages[slot], pending, _keys(lanes))


def _with_status(s: Any, c: Any, a: tuple[Any, ...]) -> list[Any]:
    noted = s.tables.shown
    return [{"id": each} for each in a[0] if each in noted]


def _parked_events(s: Any, c: Any, a: tuple[Any, ...]) -> list[Any]:
    slots, kinds, most = a
    return [
        {"slot": slot, "kind": kind, **row}
        for slot, kind in zip(slots, kinds, strict=True)
        for row in _first_lanes(s, s.tables.events[slot][kind], None, most)
    ]


def _parked_events_among(s: Any, c: Any, a: tuple[Any, ...]) -> list[Any]:
    slot, kind, *lanes = a
    return _lanes(s, s.tables.events[slot][kind], None, _keys(lanes))


def _keys(lanes: Any) -> set[str]:
    """The keys of lanes that came as columns."""
    return {lane_of(number, recipient) for number, recipient in zip(*lanes, strict=True)}


def _age(s: Any, at: float) -> float:
    """By a clock that may have gone back since."""
    return float(max(s.now() - at, 0.0)) if s.tables.aged else float(s.now() - at)


def _due_in(s: Any, parked: Any) -> float:
    """No longer than the whole of its wait, wherever the clock has gone since."""
    now = s.now()
    return float(parked.due - (max(now, parked.since) if s.tables.aged else now))


def _first_lanes(s: Any, journal: Any, pending: float | None, most: int) -> list[Any]:
    """Those that are to be looked at first."""
    heads = journal.looked_at()[:most]
    first = {journal.parked[seq].lane: n for n, seq in reversed(list(enumerate(heads)))}
    lanes = _lanes(s, journal, pending, set(first))
    lanes.sort(key=lambda row: first[row["lane"]])
    return [{**row, "full": len(heads) >= most} for row in lanes]


def _lanes(s: Any, journal: Any, pending: float | None, among: set[str]) -> list[Any]:
    """By lane: when its first row is due, and when the first with a ttl ends."""
    lanes: dict[str, list[Any]] = {}
    for seq in sorted(journal.parked):
        parked = journal.parked[seq]
        if parked.lane in among:
            lanes.setdefault(parked.lane, []).append(parked)
    found = []
    for lane, rows in lanes.items():
        journaled = [journal.rows.get(p.seq) for p in rows]
        ends = None if pending is None else _ends_in(s, journaled, pending)
        found.append(
            {
                "lane": lane,
                "due_in": _due_in(s, rows[0]),
                "parked_for": _age(s, rows[0].since),
                "ends_in": ends,
            }
        )
    return found


def _ends_in(s: Any, rows: list[Any], pending: float) -> float | None:
    """When the first ends that has a ttl, or the first of all, unless that is a read mark."""
    ends = [row.ttl - _age(s, row.accepted) for row in rows if row and row.ttl is not None][:64]
    if rows[0] and rows[0].kind & 7 != 1:
        ends.append(pending - _age(s, rows[0].accepted))
    return min(ends, default=None)


def _parked_of(s: Any, c: Any, a: tuple[Any, ...]) -> list[Any]:
    slot, *lanes, limit = a
    journal = s.tables.messages[slot]
    found = []
    for place in zip(*lanes, strict=True):
        for p in journal.lane(lane_of(*place))[:limit]:
            if p.seq in journal.rows:
                row = journal.rows[p.seq]._asdict() | {"attempts": p.attempts, "reason": p.reason}
                del row["aside"]
                row["lane"] = p.lane
                row |= zip(ISSUE_COLUMNS, _issue(s, slot, p.seq), strict=True)
                found.append(row | {"age": _age(s, row.pop("accepted"))})
    return found


def _parked_events_of(s: Any, c: Any, a: tuple[Any, ...]) -> list[Any]:
    slot, kind, *lane, limit = a
    journal = s.tables.events[slot][kind]
    found = []
    for p in journal.lane(lane_of(*lane))[:limit]:
        row = journal.rows[p.seq]._asdict()
        del row["recipient"], row["aside"]
        found.append(row | {"lane": p.lane, "attempts": p.attempts, "age": _age(s, p.first)})
    return found


def _call(name: str, *, tells: str = "", timed: bool = False) -> Does:
    def call(s: Any, c: Any, a: tuple[Any, ...]) -> list[Any]:
        rows: list[Any] = getattr(s.tables, name)(*([s.now()] if timed else []), *a)
        if tells:
            s.notify(tells)
        return rows

    return call


def _firsts(s: Any, c: Any, a: tuple[Any, ...]) -> list[Any]:
    slot, after, seqs, *lanes = a
    rows = s.tables.messages[slot].rows.values()
    return [
        {"seq": seq}
        for seq, *lane in zip(seqs, *lanes, strict=True)
        if not any(after < row.seq < seq and row.lane == lane_of(*lane) for row in rows)
    ]


def _append_issued(s: Any, c: Any, a: tuple[Any, ...]) -> list[Any]:
    rows: list[Any] = s.tables.append_issued(s.now(), *a)
    return rows


def _read_inbox(s: Any, c: Any, a: tuple[Any, ...]) -> list[Any]:
    rows: list[Any] = s.tables.inbox.read(*a, s.tables.sent)
    found = []
    for row in rows:
        place = s.tables.issues.ids.get(row[4])
        if place is None:
            found.append((*row, *[None] * (7 + len(ISSUE_COLUMNS))))
        else:
            issue = s.tables.with_message(s.now(), s.tables.issues.rows[place])
            found.append((*row, issue[1], *issue[3:]))
    return found


def _say(s: Any, c: Any, a: tuple[Any, ...]) -> list[Any]:
    slot, kind, key, message_id, attempt, wamid, payload, number = a
    row = slot, kind, key, message_id, attempt, wamid, None, payload, None, number
    s.tables.inbox.insert(row)
    return []


def _receive(s: Any, c: Any, a: tuple[Any, ...]) -> list[Any]:
    rows: list[Any] = s.tables.inbox.receive(s.now(), (*a[:2], _at(a[2]), *a[3:]))
    return rows


def _touch(s: Any, c: Any, a: tuple[Any, ...]) -> list[Any]:
    s.tables.inbox.touch(s.now(), *a[:2], _at(a[2]), a[3])
    return []


def _at(unix: int) -> float:
    """A time of Meta's clock as the database's, 0 for none."""
    return unix - EPOCH if unix else 0.0


def _learn_unreachable(s: Any, c: Any, a: tuple[Any, ...]) -> list[Any]:
    known, now = s.tables.inbox.unreachable, s.now()
    for number, wa_id, unix in zip(*a, strict=True):
        at = min(_at(unix), now) if unix else now
        known[number, wa_id] = max(known.get((number, wa_id), at), at)
    return []


def _leave_path(s: Any, c: Any, a: tuple[Any, ...]) -> list[Any]:
    s.tables.inbox.leave(s.now(), *a)
    return []


def _refuse(s: Any, c: Any, a: tuple[Any, ...]) -> list[Any]:
    s.tables.inbox.refuse(s.now(), *a)
    return []


def _forget_paths(s: Any, c: Any, a: tuple[Any, ...]) -> list[Any]:
    s.tables.inbox.forget(s.now(), *a)
    return []


def _wamids(s: Any, c: Any, a: tuple[Any, ...]) -> list[Any]:
    attempts = s.tables.issues.attempts
    found = []
    for number, message_id in set(zip(*a, strict=True)):
        mine = [row for row in attempts.get(message_id, ()) if row.number == number]
        if mine:
            wamid = max(mine, key=_by_attempt).wamid
            found.append({"number": number, "id": message_id, "wamid": wamid})
    return found


def _by_attempt(row: Any) -> int:
    return int(row.attempt)


def _ids(s: Any, c: Any, a: tuple[Any, ...]) -> list[Any]:
    known = s.tables.issues.upstream
    names = [name for name in set(zip(*a, strict=True)) if name in known]
    return [{"number": name[0], "wamid": name[1], "id": known[name].id} for name in names]


def _asked_letters(s: Any, c: Any, a: tuple[Any, ...]) -> list[Any]:
    return [{"slot": slot} for slot in sorted({place[0] for place in s.tables.asked} & set(a[0]))]


def _cloud(part: str, name: str) -> Does:
    """The method of this name of Tables.issues, .inbox or .number, at the database's time."""

    def call(s: Any, c: Any, a: tuple[Any, ...]) -> list[Any]:
        return getattr(getattr(s.tables, part), name)(s.now(), *a) or []

    return call


_known: dict[str, Statement] = {}
_STATEMENTS = {
    piece: Statement(piece.strip("( "), wants, does)
    for piece, wants, does in (
        ("select unwritable()", None, _unwritable),
        ("append_messages(", _shared, _call("append_messages", timed=True)),
        ("append_requests(", _shared, _call("append_requests", timed=True)),
        ("append_events(", _shared, _call("append_events")),
        ("append_endings(", _shared, _call("append_endings", timed=True)),
        ("record_progress(", _shared, _call("record_progress", timed=True)),
        ("take_up_letters(", _shared, _call("take_up_letters", timed=True)),
        ("open_slots(", _shared, _call("open_slots")),
        ("note_opened(", _nothing, lambda s, c, a: [{"note_opened": None}]),  # nothing reads it
        ("then prune_keys(", _nothing, lambda s, c, a: [{"gone": 0}]),
        ("then prune(", _shared, _call("prune", timed=True)),
        ("quiet_slots(", _shared, _call("quiet_slots", tells="map")),
        ("hand_over(", _exclusive, _call("hand_over", tells="map")),
        ("release_slots(", _exclusive, _call("release_slots", tells="map")),
        ("renew_epochs(", _exclusive, _call("renew_epochs", tells="map")),
        ("take_over(", _term_and_slots, _call("take_over", tells="map")),
        ("name_successors(", _term, _call("name_successors", tells="map")),
        ("mark_slots(", _term, _call("mark_slots", tells="map")),
        ("begin_shard_request(", _term, _call("begin_shard_request", tells="map")),
        ("end_shard_request(", _term, _call("end_shard_request", tells="shards")),
        ("forget_nodes(", _term, _call("forget_nodes")),
        ("win_term(", _term_alone, _win),
        ("register_node(", _nothing, _register),
        ("select * from beat(", _nothing, _beat),
        (f"{BEATEN}, pg_try", _nothing, _contend),
        (BEATEN, _nothing, _state),
        ("select moved_lately()", None, lambda s, c, a: [{"moved": s.tables.moved_lately()}]),
        ("say_leaving(", _nothing, _leave),
        ("select exists (select from slot where owner", None, _expect),
        ("select pg_notify(", None, _notify),
        ("pg_try_advisory_lock(7701, 0) as locked", None, _contend),
        ("pg_postmaster_start_time()", None, _state),
        ("select slot, epoch, owner, successor", None, _call("slots")),
        ("select n.incarnation, n.name", None, _nodes),
        ("from node where incarnation = $1 and role", None, _address),
        ("select certificate from node", None, _certificates),
        ("select version, shards from shard_map", None, _map),
        ("from callback_request where id >", None, lambda s, c, a: []),
        ("as id from callback_request", None, lambda s, c, a: [{"id": 0}]),
        ("pg_try_advisory_lock($1, 0)", None, _lead),
        ("pg_try_advisory_lock($1, hashtext", None, lambda s, c, a: [{"won": True}]),
        ("end_leader(", None, _end_holder),
        ("end_slot_holders(", None, _end_slots),
        ("end_incarnations(", None, _end_dead),
        ("number = $2 and seq > $3 and seq <= $4 and aside", None, _flagged_page),
        ("number = $2 and seq > $3", None, _aside_page),
        ("from message where slot", None, _pages),
        ("e.key >= i.id", None, _with_status),
        ("from event\n                 where slot", None, _event_pages),
        (
            "from unnest($1::smallint[]) s(slot),\n       lateral (select number, recipient",
            None,
            _parked,
        ),
        ("select $1::smallint as slot) s", None, _parked_among),
        ("from unnest($2::integer[], $3::text[]) r(number, recipient)", None, _parked_of),
        ("from unnest($1::smallint[], $2::smallint[]) s(slot, kind)", None, _parked_events),
        ("$2::smallint as kind) s", None, _parked_events_among),
        (
            "lateral (select * from parked_event h\n                 where h.slot = $1",
            None,
            _parked_events_of,
        ),
        ("mend_parked(", _shared, _call("mend_parked")),
        ("exists (select from dead_letter", None, _asked_letters),
        # what the Cloud API needs
        ("append_issued(", _shared, _append_issued),
        ("issue_requests(", _shared, _call("issue_requests", timed=True)),
        ("open_issues(", _shared, _call("open_issues", timed=True)),
        ("from unnest($1::smallint[], $2::integer[]) w", None, _call("due_issues", timed=True)),
        ("drain_inbox(", _shared, _call("drain_inbox", timed=True)),
        ("select f.seq from unnest($3::bigint[]", None, _firsts),
        ("from cloud_inbox i\n  left join message", None, _read_inbox),
        ("tell_owner(", _nothing, _say),
        ("keep_keys(", _nothing, lambda s, c, a: _receive(s, c, a[:24])),  # no identities here
        ("receive_cloud(", _nothing, _receive),
        ("touch_cloud_path(", _nothing, _touch),
        ("update cloud_path set left_at", _nothing, _leave_path),
        ("update cloud_path set vain_at", _nothing, _refuse),
        ("delete from cloud_path where seen_at", _nothing, _forget_paths),
        ("from (select * from upstream_id u", None, _cloud("inbox", "cohort")),
        (
            "from cloud_path where seen_at",
            None,
            lambda s, c, a: s.tables.inbox.listeners(s.now(), EPOCH),
        ),
        ("lateral (select u.wamid from upstream_id u", None, _wamids),
        ("select number, wamid, id from ids_of_wamids", None, _ids),
        ("select alias, user_id from contact_identity", None, lambda s, c, a: []),
        ("select k.number, k.wa_id, k.acknowledged", None, lambda s, c, a: []),
        ("insert into cloud_unreachable", _nothing, _learn_unreachable),
        ("share_number(", _nothing, _cloud("number", "share")),
        ("stop_number(", _nothing, _cloud("number", "stop")),
        ("delete from cloud_pause", _nothing, lambda s, c, a: s.tables.number.resume(*a)),
        (
            "insert into cloud_number",
            _nothing,
            lambda s, c, a: s.tables.number.describe(*a[:2]) or [],
        ),
        (
            "as identities",
            None,
            lambda s, c, a: [{"identities": 0, "aliases": 0}],
        ),
        ("update media_wanted", _nothing, lambda s, c, a: []),  # customers write texts here
        ("insert into cloud_held", _nothing, _cloud("number", "hold_back")),
        ("delete from cloud_held", None, lambda s, c, a: []),
        ("then prune_cloud(", None, lambda s, c, a: [{"gone": 0}]),
        ("then prune_history(", None, lambda s, c, a: [{"gone": 0}]),
        ("then prune_letters(", None, lambda s, c, a: [{"gone": 0}]),
        ("from setting where", None, _settings),
        ("current_setting(name, true)", None, _settings_found),
    )
}
