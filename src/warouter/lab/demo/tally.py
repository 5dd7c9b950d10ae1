"""The demo's judge: compares what was sent and acknowledged with what arrived on both sides. Pure.

Rules of this file:
  * a 201 is a promise: its message arrives once, in the order of the 201s of its recipient, and
    ``sent``, ``delivered`` and ``read`` are called back;
  * callbacks come at least once, so a repeated one is counted and is no fault; only its first
    arrival counts for order;
  * a request without a clear answer promises nothing, but its message may have arrived.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

STATUSES = ("sent", "delivered", "read")


class Observations(msgspec.Struct, kw_only=True):
    """All observations, each list in the order in which they were made.

    ``accepted`` ids of 201s by recipient; ``doubtful`` ids whose outcome the API called unknown;
    ``unanswered`` requests that broke off, so that not even their id is known; ``refused`` other
    answers than 201. ``statuses`` are (id, status) of callbacks; ``injected`` and ``inbound`` are
    (sender, id); ``arrived`` is the simulator's record, ids by recipient. ``in_doubt`` counts the
    messages of which nobody knew in the end whether they had been taken.
    """

    accepted: dict[str, list[str]] = {}
    doubtful: set[str] = set()
    unanswered: int = 0
    refused: int = 0
    statuses: list[tuple[str, str]] = []
    injected: list[tuple[str, str]] = []
    inbound: list[tuple[str, str]] = []
    arrived: dict[str, list[str]] = {}
    in_doubt: int = 0


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """The counts. ``statuses`` counts accepted messages by the statuses that were called back.

    ``repeated`` has those ``twice`` in it that their recipient got more than once.
    """

    accepted: int
    statuses: dict[str, int]
    injected: int
    inbound: int
    lost_messages: int
    lost_statuses: int
    lost_inbound: int
    repeated: int
    twice: int
    in_doubt: int
    out_of_order: int
    errors: int
    callbacks_again: int

    @property
    def lost(self) -> int:
        return self.lost_messages + self.lost_statuses + self.lost_inbound

    @property
    def verdict(self) -> str:
        """A sentence on what is wrong; empty if nothing is."""
        faults = [
            f"{count} {what}"
            for count, what in (
                (self.lost_messages, "accepted messages never arrived"),
                (self.lost_statuses, "statuses were never called back"),
                (self.lost_inbound, "inbound messages were never called back"),
                (self.repeated, "messages reached their recipient again or unasked"),
                (self.out_of_order, "messages or callbacks came out of order"),
                (self.in_doubt, "messages are still in doubt"),
            )
            if count
        ]
        if not self.accepted:
            faults.insert(0, "no message was accepted")
        return "; ".join(faults) + "." if faults else ""


def judge(evidence: Observations) -> Tally:
    """Compare both sides."""
    promised = {id for ids in evidence.accepted.values() for id in ids}
    arrived = {to: evidence.arrived.get(to, []) for to in evidence.accepted}
    there = {id for ids in arrived.values() for id in ids}
    called_back = set(evidence.statuses)
    statuses = {s: sum((id, s) in called_back for id in promised) for s in STATUSES}
    injected = dict.fromkeys(evidence.injected)
    received = set(evidence.inbound)
    back = sum(message in received for message in injected)
    return Tally(
        accepted=len(promised),
        statuses=statuses,
        injected=len(injected),
        inbound=back,
        lost_messages=len(promised - there),
        lost_statuses=len(promised) * len(STATUSES) - sum(statuses.values()),
        lost_inbound=len(injected) - back,
        repeated=_repeated(evidence, arrived, promised),
        twice=_twice(arrived),
        in_doubt=evidence.in_doubt,
        out_of_order=_messages_inverted(evidence.accepted, arrived)
        + _statuses_inverted(evidence.statuses, promised)
        + _inbound_inverted(evidence.injected, evidence.inbound),
        errors=evidence.refused + evidence.unanswered,
        callbacks_again=_again(evidence.statuses) + _again(evidence.inbound),
    )


def complete(evidence: Observations) -> bool:
    """True if every promised callback has come."""
    called_back = set(evidence.statuses)
    return set(evidence.injected) <= set(evidence.inbound) and all(
        (id, status) in called_back
        for ids in evidence.accepted.values()
        for id in ids
        for status in STATUSES
    )


def inversions(expected: Sequence[str], seen: Sequence[str]) -> int:
    """Number of first arrivals in ``seen`` that are out of the order of ``expected``."""
    place = {id: i for i, id in enumerate(expected)}
    highest, count = -1, 0
    for id in dict.fromkeys(seen):
        if id not in place:
            continue
        if place[id] < highest:
            count += 1
        highest = max(highest, place[id])
    return count


def _repeated(
    evidence: Observations, arrived: Mapping[str, Sequence[str]], promised: set[str]
) -> int:
    """Ids that arrived twice, at another recipient, or without an answer that explains them."""
    owner = {id: to for to, ids in evidence.accepted.items() for id in ids}
    astray = sum(owner.get(id, to) != to for to, ids in arrived.items() for id in ids)
    unasked = {id for ids in arrived.values() for id in ids} - promised - evidence.doubtful
    return _twice(arrived) + astray + max(0, len(unasked) - evidence.unanswered)


def _twice(arrived: Mapping[str, Sequence[str]]) -> int:
    return sum(len(ids) - len(set(ids)) for ids in arrived.values())


def _messages_inverted(
    accepted: Mapping[str, Sequence[str]], arrived: Mapping[str, Sequence[str]]
) -> int:
    return sum(inversions(ids, arrived[to]) for to, ids in accepted.items())


def _statuses_inverted(statuses: Iterable[tuple[str, str]], promised: set[str]) -> int:
    """Number of statuses that moved backwards."""
    seen: dict[str, list[str]] = {}
    for id, status in statuses:
        if id in promised:
            seen.setdefault(id, []).append(status)
    return sum(inversions(STATUSES, of_one) for of_one in seen.values())


def _inbound_inverted(
    injected: Iterable[tuple[str, str]], inbound: Iterable[tuple[str, str]]
) -> int:
    expected, seen = _by_sender(injected), _by_sender(inbound)
    return sum(inversions(ids, seen.get(sender, [])) for sender, ids in expected.items())


def _by_sender(messages: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    result: dict[str, list[str]] = {}
    for sender, id in messages:
        result.setdefault(sender, []).append(id)
    return result


def _again(callbacks: Sequence[tuple[str, str]]) -> int:
    return len(callbacks) - len(set(callbacks))
