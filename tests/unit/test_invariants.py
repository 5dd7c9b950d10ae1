"""Each invariant is broken by the fault that it is for, and by nothing that is allowed."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.harness.history import ALL, Change, History, Lease, Row
from tests.harness.invariants import INVARIANTS, violations
from warouter.lab.demo.tally import Observations, Tally, judge

ARCHITECTURE = Path(__file__).parents[2] / "docs" / "architecture.md"
_LINE = re.compile(r"^\| (I\d+) \| (.+?) \|", re.MULTILINE)


def good() -> History:
    """Three messages to two recipients, each sent and read; an inbound one; a change of owner."""
    history = History()
    for n, (recipient, message_id) in enumerate((("r1", "a"), ("r1", "b"), ("r2", "c"))):
        history.on_answer(recipient, message_id, began=n, now=n + 0.5)
        for status in ALL:
            history.on_status(message_id, status)
        history.sends.add(n + 0.6, 1, message_id, 1)
    history.arrived = {"r1": ["a", "b"], "r2": ["c"]}
    history.injected = [("s", "in"), ("s", "next")]
    for message_id in ("in", "next"):
        history.on_inbound("s", message_id)
    history.rows = [Row(i, f"at {i}", True) for i in "abc"]
    history.changes = [Change(1, None, "one", 1), Change(1, "one", "two", 2)]
    history.owners = {1: ("two", 2)}
    history.leases = [Lease(1.0, 1, "one", "one", 0.5)]
    history.trust = 1.0
    return history


Fault = Callable[[History], object]


def unsent(history: History) -> None:
    history.arrived = {"r1": ["a", "b"]}
    history.rows = None


FAULTS: list[tuple[str, Fault]] = [
    ("I1", unsent),
    ("I1", lambda h: h.rows.pop(0)),
    ("I1", lambda h: h.early.append((1.0, "a"))),
    ("I1", lambda h: h.unaccepted.append("a")),
    ("I3", lambda h: [h.sends.add(7.0, 1, "d", 2), h.sends.add(8.0, 1, "e", 1)]),
    ("I4", lambda h: h.changes.extend([Change(2, None, "x", 3), Change(2, "x", "y", 3)])),
    ("I5", lambda h: h.rows.append(Row("z", "at z", True))),
    ("I5", lambda h: h.rows.append(Row("z", "at z", True, ttl=3.0, waited=2.0))),
    ("I5", lambda h: h.rows.append(Row("z", "at z", True, ttl=None, waited=2.0))),
    ("I6", lambda h: h.arrived["r1"].append("a")),
    ("I6", lambda h: h.arrived["r2"].append("a")),
    ("I6", lambda h: [h.arrived["r2"].append("z"), setattr(h, "complete", True)]),
    ("I7", lambda h: h.arrived["r1"].reverse()),
    ("I7", lambda h: setattr(h, "inversions", 1)),
    ("I8", lambda h: h.statuses.update(a=("sent", "read"))),
    ("I8", lambda h: h.statuses.update(a=("sent", "read", "delivered"))),
    ("I8", lambda h: h.statuses.update(z=("failed", "sent"))),
    ("I8", lambda h: h.doomed.add("z")),
    ("I8", lambda h: h.doomed.add("a")),
    ("I9", lambda h: h.injected.append(("s", "lost"))),
    ("I9", lambda h: h.injected.append(("t", "in"))),
    ("I9", lambda h: h.injected.reverse()),
    ("I11", lambda h: h.on_answer("r1", "a", 8.0, 9.0)),
    ("I12", lambda h: h.leases.append(Lease(2.0, 1, "one", "two", 0.5))),
    ("I14", lambda h: h.leases.append(Lease(2.0, 1, "two", "two", 1.2))),
    ("I15", lambda h: h.rows.append(h.rows.pop(0)._replace(settled=False))),
    ("I20", lambda h: h.changes.append(Change(1, "somebody", "three", 3))),
    ("I20", lambda h: h.owners.update({1: ("one", 1)})),
    ("I20", lambda h: h.changes.insert(0, Change(2, "one", "two", 2))),
    ("I2", lambda h: h.broken("I2", "as the database saw it")),
]


def test_nothing_is_wrong_with_a_good_history() -> None:
    assert violations(good()) == []


@pytest.mark.parametrize(("number", "fault"), FAULTS)
def test_each_invariant_is_broken_by_its_fault_alone(number: str, fault: Fault) -> None:
    assert {violation.number for violation in violations(broken_by(fault))} == {number}


def test_every_judge_finds_a_fault() -> None:
    blind = {
        f"{number} {judge.__name__}"
        for number, _, judges in INVARIANTS
        for judge in judges
        if not any(list(judge(broken_by(fault))) for of, fault in FAULTS if of == number)
    }
    assert blind == set(), "give these a line in FAULTS"


def broken_by(fault: Fault) -> History:
    history = good()
    fault(history)
    return history


def at_the_same_time(history: History) -> None:
    """The later one was offered before the other was acknowledged."""
    history.on_answer("r2", "d", began=2.1, now=9.0)
    history.statuses["d"] = ALL
    history.rows.append(Row("d", "at d", True))
    history.arrived["r2"].insert(0, "d")


def ended_by_its_ttl(history: History, *arrived: str) -> None:
    history.expired["b"] = 9.0
    history.rows[1] = Row("b", "at b", True, ttl=1.0, waited=1.0)
    history.arrived["r1"] = list(arrived)


def without_an_answer(history: History) -> None:
    """Nobody else sends where the history is complete."""
    history.complete = True
    history.arrived["r2"].append("z")
    history.unknown.append((1.0, "t1.", "reset"))


ALLOWED: list[Fault] = [
    lambda h: ended_by_its_ttl(h, "a"),
    lambda h: ended_by_its_ttl(h, "b", "a"),
    without_an_answer,
    lambda h: h.statuses.update(a=("sent", "delivered", "sent", "read", "delivered")),  # repeats
    lambda h: [h.statuses.update(a=("read", "sent", "delivered")), h.mixed.add("a")],
    lambda h: h.statuses.update(z=("sent", "failed")),
    lambda h: [h.doomed.add("z"), h.on_status("z", "failed")],
    lambda h: h.on_inbound("s", "in"),
    lambda h: h.arrived["r2"].append("of a request without an answer"),
    lambda h: h.rows.append(Row("z", "at z", True, ttl=2.0, waited=2.0)) or h.expired.update(z=1.0),
    at_the_same_time,
]


@pytest.mark.parametrize("fault", ALLOWED)
def test_allowed_histories_break_no_invariant(fault: Fault) -> None:
    assert violations(broken_by(fault)) == []


def test_one_violation_stands_for_all_of_its_kind_and_knows_its_time() -> None:
    history = good()
    history.leases += [Lease(at, 1, "one", "two", 0.5) for at in (4.0, 5.0, 6.0)]
    (found,) = violations(history)
    assert (found.at, str(found)) == (
        4.0,
        "I12: slot 1: sent by one, who does not own it (and 2 more)",
    )


def test_the_table_is_that_of_the_architecture() -> None:
    rows = _LINE.findall(ARCHITECTURE.read_text())
    table = [(number, text) for number, text, _ in INVARIANTS]
    assert rows == table, "docs/architecture.md and tests/harness/invariants.py differ"
    numbers = [int(number[1:]) for number, _ in rows]
    assert numbers == sorted(set(numbers))


# The shipped judge of the demo and these invariants, on the same histories.

IDS = tuple("abcdefgh")


@st.composite
def stories(draw: st.DrawFn) -> tuple[Observations, History]:
    """Two recipients, what was acknowledged of them, and any course of what followed."""
    ids = draw(st.lists(st.sampled_from(IDS), unique=True, min_size=1))
    border = draw(st.integers(0, len(ids)))
    accepted = {to: some for to, some in (("r1", ids[:border]), ("r2", ids[border:])) if some}
    others = [i for i in IDS if i not in ids]
    doubtful = set(draw(st.lists(st.sampled_from(others)))) if others else set()
    unanswered = draw(st.integers(0, 2))
    arrived = {to: list(some) for to, some in accepted.items()}
    for to in arrived if draw(st.booleans()) else ():
        arrived[to] = draw(st.lists(st.sampled_from(IDS), max_size=5))
    statuses = [(i, status) for i in ids for status in ALL]
    if draw(st.booleans()):
        statuses = draw(st.lists(st.sampled_from(statuses), max_size=30))
    elif draw(st.booleans()):
        statuses = draw(st.permutations(statuses))
    senders = st.tuples(st.sampled_from(("s", "t")), st.sampled_from(("in1", "in2", "in3")))
    injected = draw(st.lists(senders, max_size=4, unique_by=lambda message: message[1]))
    inbound = draw(st.one_of(st.just(list(injected)), st.lists(senders, max_size=6)))
    evidence = Observations(
        accepted=accepted,
        doubtful=doubtful,
        unanswered=unanswered,
        statuses=statuses,
        injected=injected,
        inbound=inbound,
        arrived=arrived,
    )
    return evidence, told(evidence)


def told(evidence: Observations) -> History:
    """The same as a history: each recipient's messages one after the other."""
    history = History()
    for recipient, ids in evidence.accepted.items():
        for n, message_id in enumerate(ids):
            history.on_answer(recipient, message_id, began=n, now=n + 0.5)
    history.doubtful = evidence.doubtful
    history.unknown = [(0.0, f"t{n}.", "reset") for n in range(evidence.unanswered)]
    for message_id, status in evidence.statuses:
        history.on_status(message_id, status)
    history.injected = evidence.injected
    for sender, message_id in evidence.inbound:
        history.on_inbound(sender, message_id)
    history.arrived = evidence.arrived
    history.complete = True
    return history


def found_by(tally: Tally) -> set[str]:
    faults = {
        "lost": tally.lost_messages,
        "statuses": tally.lost_statuses,
        "inbound": tally.lost_inbound,
        "repeated": tally.repeated,
        "order": tally.out_of_order,
    }
    return {name for name, count in faults.items() if count}


def kinds(history: History) -> set[str]:
    """What the invariants find, in the words of the tally."""
    found = set()
    for _, number, how in violations(history):
        match number:
            case "I1":
                found.add("lost")
            case "I6":
                found.add("repeated")
            case "I8" if "only as" in how:
                found.add("statuses")
            case "I9" if "never" in how:
                found.add("inbound")
            case "I7" | "I8" | "I9":
                found.add("order")
    return found


@given(stories())
def test_the_judge_of_the_demo_agrees(story: tuple[Observations, History]) -> None:
    evidence, history = story
    assert found_by(judge(evidence)) == kinds(history)
