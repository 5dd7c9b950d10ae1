"""The demo's judge must be able to say no: every kind of fault is planted and must be found."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warouter.demo.tally import STATUSES, Evidence, complete, inversions, judge

ADA, BOB = "491510000001", "491510000002"


def perfect() -> Evidence:
    """Two recipients with three messages each, two inbound messages, nothing wrong."""
    accepted = {ADA: ["a1", "a2", "a3"], BOB: ["b1", "b2", "b3"]}
    ids = [id for of_one in accepted.values() for id in of_one]
    inbound = [(ADA, "in1"), (BOB, "in2"), (ADA, "in3")]
    return Evidence(
        accepted=accepted,
        arrived={to: list(of_one) for to, of_one in accepted.items()},
        statuses=[(id, status) for status in STATUSES for id in ids],
        injected=inbound,
        inbound=list(inbound),
    )


def test_nothing_wrong() -> None:
    tally = judge(perfect())
    assert tally.verdict == ""
    assert (tally.accepted, tally.inbound, tally.injected) == (6, 3, 3)
    assert tally.statuses == {"sent": 6, "delivered": 6, "read": 6}
    assert (tally.lost, tally.repeated, tally.out_of_order, tally.errors) == (0, 0, 0, 0)
    assert complete(perfect())


def lost_message(e: Evidence) -> None:
    e.arrived[ADA].remove("a2")


def lost_recipient(e: Evidence) -> None:
    del e.arrived[BOB]


def missing_status(e: Evidence) -> None:
    e.statuses.remove(("b3", "read"))


def missing_inbound(e: Evidence) -> None:
    e.inbound.remove((BOB, "in2"))


def repeated_message(e: Evidence) -> None:
    e.arrived[ADA].append("a1")


def sent_twice_under_two_ids(e: Evidence) -> None:
    e.arrived[ADA].append("a4")


def astray(e: Evidence) -> None:
    e.arrived[BOB].append("a3")


def inverted_messages(e: Evidence) -> None:
    e.arrived[ADA] = ["a2", "a1", "a3"]


def inverted_statuses(e: Evidence) -> None:
    e.statuses.remove(("a1", "sent"))
    e.statuses.append(("a1", "sent"))


def inverted_inbound(e: Evidence) -> None:
    e.inbound.reverse()


FAULTS = [
    (lost_message, "lost_messages", 1),
    (lost_recipient, "lost_messages", 3),
    (missing_status, "lost_statuses", 1),
    (missing_inbound, "lost_inbound", 1),
    (repeated_message, "repeated", 1),
    (sent_twice_under_two_ids, "repeated", 1),
    (astray, "repeated", 1),
    (inverted_messages, "out_of_order", 1),
    (inverted_statuses, "out_of_order", 1),
    (inverted_inbound, "out_of_order", 1),
]


@pytest.mark.parametrize(("plant", "number", "count"), FAULTS)
def test_each_fault_is_found_and_alone(
    plant: Callable[[Evidence], None], number: str, count: int
) -> None:
    evidence = perfect()
    plant(evidence)
    tally = judge(evidence)
    found = {
        name: getattr(tally, name)
        for name in ("lost_messages", "lost_statuses", "lost_inbound", "repeated", "out_of_order")
    }
    assert {name: n for name, n in found.items() if n} == {number: count}
    assert tally.verdict.startswith(str(count))
    assert tally.verdict.endswith(".")


def test_nothing_accepted_is_no_success() -> None:
    tally = judge(Evidence(accepted={ADA: []}, refused=4))
    assert tally.errors == 4
    assert tally.verdict == "no message was accepted."


@pytest.mark.parametrize("plant", [missing_status, missing_inbound])
def test_incomplete_while_a_callback_is_missing(plant: Callable[[Evidence], None]) -> None:
    evidence = perfect()
    plant(evidence)
    assert not complete(evidence)


def test_repeated_callbacks_are_allowed_and_counted() -> None:
    evidence = perfect()
    # All again, after the later ones: only first arrivals count for order.
    evidence.statuses += evidence.statuses
    evidence.inbound += evidence.inbound
    tally = judge(evidence)
    assert tally.verdict == ""
    assert tally.callbacks_again == 18 + 3


def test_a_request_in_doubt_may_have_arrived() -> None:
    evidence = perfect()
    evidence.doubtful = {"a4"}
    evidence.refused = 1
    assert judge(evidence).verdict == ""
    evidence.arrived[ADA].append("a4")
    assert judge(evidence).verdict == ""


def test_a_request_that_broke_off_explains_one_id_only() -> None:
    evidence = perfect()
    evidence.unanswered = 1
    evidence.arrived[ADA].append("x")
    assert judge(evidence).repeated == 0
    evidence.arrived[BOB].append("y")
    assert judge(evidence).repeated == 1


def test_what_others_send_is_not_judged() -> None:
    evidence = perfect()
    evidence.arrived["4930000000"] = ["other", "other"]
    evidence.statuses.insert(0, ("other", "read"))
    evidence.statuses.append(("other", "sent"))
    evidence.inbound.append(("4930000000", "other"))
    assert judge(evidence).verdict == ""


@given(st.permutations(range(6)))
def test_no_inversions_means_sorted(order: list[int]) -> None:
    names = [str(n) for n in range(6)]
    seen = [names[n] for n in order]
    assert (inversions(names, seen) == 0) == (order == sorted(order))


def test_a_gap_is_no_inversion() -> None:
    assert inversions(["1", "2", "3"], ["1", "3"]) == 0
    assert inversions(["1", "2", "3"], ["3", "unknown", "1", "2"]) == 2
