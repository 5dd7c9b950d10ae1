"""The offline checker: history, the simulator's record and the database against the invariants.

Pure: it gets what was seen and returns what is wrong. Each rule is one of the invariants of
docs/architecture.md, by number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any


def violations(
    acked: Mapping[str, Sequence[str]],
    record: Mapping[str, Any],
    statuses: Mapping[str, Sequence[str]],
    owner_log: Sequence[Mapping[str, Any]],
) -> list[str]:
    """Sentences; none means that everything held."""
    return [
        *_lost(acked, record),
        *_order(acked, record),
        *_repeats(record),
        *_stale(record),
        *_called_back(acked, statuses),
        *_chain(owner_log),
    ]


def _lost(acked: Mapping[str, Sequence[str]], record: Mapping[str, Any]) -> list[str]:
    arrived = {i for ids in record["ids"].values() for i in ids}
    lost = [i for ids in acked.values() for i in ids if i not in arrived]
    return [f"I1: {len(lost)} acknowledged messages were never sent"] if lost else []


def _order(acked: Mapping[str, Sequence[str]], record: Mapping[str, Any]) -> list[str]:
    wrong = []
    for recipient, ids in acked.items():
        place = {i: n for n, i in enumerate(record["ids"].get(recipient, ()))}
        places = [place[i] for i in ids if i in place]
        if places != sorted(places):
            wrong.append(recipient)
    found = [f"I7: order broken for {len(wrong)} recipients"] if wrong else []
    if record["inversions"]:
        found.append(f"I7: the simulator saw {record['inversions']} inversions")
    return found


def _repeats(record: Mapping[str, Any]) -> list[str]:
    """What a recipient sees is deduplicated by id: an id may stand there once only (I6)."""
    twice = [r for r, ids in record["ids"].items() if len(ids) != len(set(ids))]
    return [f"I6: {len(twice)} recipients saw a message twice"] if twice else []


def _stale(record: Mapping[str, Any]) -> list[str]:
    """Per slot, the first arrivals of a newer epoch come after all of the older one (I3)."""
    newest: dict[int, int] = {}
    late = 0
    for _, slot, _, epoch in record["arrivals"]:
        late += epoch < newest.get(slot, epoch)
        newest[slot] = max(epoch, newest.get(slot, epoch))
    return [f"I3: {late} messages of an ended epoch were taken"] if late else []


def _called_back(
    acked: Mapping[str, Sequence[str]], statuses: Mapping[str, Sequence[str]]
) -> list[str]:
    wanted = {"sent", "delivered", "read"}
    ids = [i for some in acked.values() for i in some]
    missing = [i for i in ids if not wanted <= set(statuses.get(i, ()))]
    rank = {"sent": 0, "delivered": 1, "read": 2}
    backwards = 0
    for seen in statuses.values():
        first = list(dict.fromkeys(seen))  # repeats are allowed, at least once is the promise
        backwards += any(rank[a] > rank[b] for a, b in pairwise(first))
    found = [f"I8/I10: {len(missing)} messages lack a status callback"] if missing else []
    if backwards:
        found.append(f"I8: {backwards} messages had their statuses called back backwards")
    return found


def _chain(owner_log: Sequence[Mapping[str, Any]]) -> list[str]:
    """Ownership of a slot is one chain: each change starts where the last one ended (I20)."""
    last: dict[int, tuple[Any, int]] = {}
    broken = 0
    for row in owner_log:
        owner, epoch = last.get(row["slot"], (row["from_incarnation"], -1))
        broken += row["from_incarnation"] != owner or row["epoch"] <= epoch
        last[row["slot"]] = (row["to_incarnation"], row["epoch"])
    return [f"I20: the owner log has {broken} broken links"] if broken else []
