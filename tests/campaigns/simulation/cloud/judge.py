"""What the Cloud API's promises say of a run, once all has been well for a while (7.4 of the
specification): each message has an end, each doubt too; statuses are shown, and never go back.
"""

from __future__ import annotations

from typing import Any

import msgspec

from tests.campaigns.simulation import judge as native
from tests.campaigns.simulation.cloud.history import History
from tests.campaigns.simulation.cloud.issues import KEPT, Issue
from tests.campaigns.simulation.tables import Tables
from tests.harness.history import Row
from warouter.flow.statuses import FAILED, RANKS
from warouter.message_id import parse, text_of
from warouter.owner.cloud.rows import ASKED

UNKNOWN = "outcome unknown"
LATE = ("delivered", "read")
MANY, IN_ALL = 3, 10  # attempts until a message that may be sent again is held


def doubtful(world: Any) -> int:
    """Messages that have no end yet, and webhooks that Meta still has to tell of them."""
    tables: Tables = world.tables
    doubts = sum(row.state != KEPT for row in tables.issues.rows.values())
    return native.left(world)[0] + doubts + world.upstream.untold


def left(world: Any) -> int:
    """What still has to come to rest."""
    tables: Tables = world.tables
    waiting = len(_waiting(tables)) + len(_unmatched(tables))
    return doubtful(world) + native.left(world)[1] + waiting


def judge(world: Any) -> None:
    """Tell the history what the database and the processes look like now."""
    history: History = world.history
    tables: Tables = world.tables
    failures = _failures(tables)
    _messages(history, tables, failures)
    _doubts(history, tables)
    _statuses(history, tables)
    _inbound(history, tables)
    _duplicates(history)
    native.owned(history, tables, world)
    native.events(history, tables, world)


def _failures(tables: Tables) -> dict[bytes, tuple[str, str]]:
    """Of each message that ended as failed: the key of that event, and its details."""
    found: dict[bytes, tuple[str, str]] = {}
    for statuses, _ in tables.events:
        for row in statuses.rows.values():
            name, _, status = row.key.partition(":")
            if status.startswith(FAILED):
                error = msgspec.json.decode(row.payload)["errors"][0]
                said = error.get("details") or ""
                found[parse(name)] = (row.key, f"{error['code']} {said}")
    return found


def _messages(history: History, tables: Tables, failures: dict[bytes, tuple[str, str]]) -> None:
    """Each was accepted, or failed, or is held where somebody sees it."""
    history.rows = []
    held = {row.id for row in tables.issues.rows.values() if row.state == KEPT}
    for slot, journal in enumerate(tables.messages):
        for seq, row in (*journal.rows.items(), *journal.pruned.items()):
            place, settled = f"slot {slot}: seq {seq}", journal.settled(seq)
            ended = row.id in failures or row.id in held
            if row.id in history.aside or row.id in history.kept:
                history.expired[row.id] = history.now()  # its lane went on without it
            if ended and row.id not in history.attempts:
                history.expired[row.id] = history.now()
                history.rows.append(Row(row.id, place, settled, 0.0, 0.0))
            else:
                history.rows.append(Row(row.id, place, settled))
        if journal.parked:
            history.broken("I15", f"slot {slot}: {len(journal.parked)} messages are parked")
    for message_id, (key, said) in failures.items():
        own = key.endswith(":failed")  # Meta's has a time
        if own and message_id in history.attempts and UNKNOWN not in said:
            name = message_id[-6:].hex()
            history.broken("I5", f"{name} was accepted, and said not to be: {said}")


def _few(row: Issue) -> bool:
    """True if a message that is sent again was not sent often enough to be held."""
    return row.doubts - row.spared < MANY and row.doubts < IN_ALL


def _doubts(history: History, tables: Tables) -> None:
    for row in tables.issues.rows.values():
        name = f"{row.id[-6:].hex()}.{row.attempt} in state {row.state}"
        if row.state != KEPT:
            history.broken("I15", f"a doubt that never ends: {name}")
        elif row.id in history.to_hold:
            continue
        elif history.spared and history.policy_of(row.id) == "resend":
            history.broken("I5", f"held while none was taken: {name}")
        elif history.policy_of(row.id) == "fail" and row.id not in history.asked:
            history.broken("I5", f"held, and to be failed: {name}")
        elif history.policy_of(row.id) == "resend" and _few(row):
            history.broken("I5", f"held after {row.doubts} attempts: {name}")
    if waiting := _waiting(tables):
        history.broken("I8", f"{len(waiting)} rows of the inbox are left: {waiting[0]}")
    if ours := _unmatched(tables):
        history.broken("I8", f"{len(ours)} statuses of ours were matched with nobody: {ours[0]}")


def _waiting(tables: Tables) -> list[str]:
    """Rows of the inbox, but for words of operators: those may have to wait for a free lane."""
    return [row.key for row in tables.inbox.rows.values() if row.kind != ASKED]


def _unmatched(tables: Tables) -> list[str]:
    """Statuses of ours that lie with those of nobody."""
    known = tables.issues.upstream
    return [key for key, row in tables.inbox.unmatched.items() if (row.number, row.wamid) in known]


def _statuses(history: History, tables: Tables) -> None:
    """What was told is shown, unless it is less than what was shown; and never backwards."""
    shown: dict[bytes, list[str]] = {}
    for slot, (statuses, _) in enumerate(tables.events):
        for _, row in sorted(statuses.rows.items()):
            name, status, *_ = row.key.split(":")
            message_id = parse(name)
            shown.setdefault(message_id, []).append(status)
            if (slot, row.recipient) != (message_id[1], tables.recipient_of(message_id)):
                history.broken("I8", f"{name} is shown to {row.recipient} by slot {slot}")
    for message_id, names in shown.items():
        ranks = [RANKS.get(name, 9) for name in names]
        if ranks != sorted(set(ranks)):
            history.broken("I8", f"{message_id[-6:].hex()} went backwards: {names}")
        if FAILED in names and {*names} & {*LATE}:
            history.broken("I8", f"{message_id[-6:].hex()} failed after it came: {names}")
    for message_id, told in history.statuses_told.items():
        matched = {(a, name) for a, name, bare in told if not bare or _known(tables, message_id, a)}
        names = [name for _, name in matched]
        best = max((name for name in names if name in RANKS), key=RANKS.__getitem__, default="")
        seen = shown.get(message_id, [])
        if best and best not in seen and FAILED not in seen:
            name = text_of(message_id)
            history.broken("I8", f"{name} was told as {best} and shown as {seen}")
        attempts = {each.attempt for each in history.attempts[message_id]}
        failed = {a for a, name in matched if name == FAILED}
        if failed == attempts and not best and FAILED not in seen:
            history.broken("I8", f"{text_of(message_id)} failed and was shown as {seen}")


def _known(tables: Tables, message_id: bytes, attempt: int) -> bool:
    known = tables.issues.attempts.get(message_id, ())
    return any(row.attempt == attempt for row in known)


def _inbound(history: History, tables: Tables) -> None:
    for wamid in history.inbound_told:
        place = tables.keys.get((wamid, 1))
        if place is None:
            history.broken("I9", f"{wamid} was taken and is not stored")
        elif tables.events[place[0]][1].rows[place[2]].recipient != history.wrote[wamid]:
            history.broken("I9", f"{wamid} is somebody else's")


def _duplicates(history: History) -> None:
    """What is known to have been taken twice was told to an owner, once for each further time."""
    for message_id, found in history.evidence.items():
        if found and history.counted[message_id] != len(found) - 1:
            told = f"{history.counted[message_id]} were counted"
            history.broken("I6", f"{message_id[-6:].hex()}: taken {len(found)} times, {told}")
