"""The demo's judge must be able to say no: every kind of fault is planted and must be found."""

from __future__ import annotations

from collections.abc import Callable

import pytest

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


def inverted_statuses(e: Evidence) -> None:
    e.statuses.remove(("a1", "sent"))
    e.statuses.append(("a1", "sent"))


Plant = Callable[[Evidence], object]
FAULTS: dict[str, tuple[Plant, str, int]] = {
    "lost message": (lambda e: e.arrived[ADA].remove("a2"), "lost_messages", 1),
    "lost recipient": (lambda e: e.arrived.pop(BOB), "lost_messages", 3),
    "missing status": (lambda e: e.statuses.remove(("b3", "read")), "lost_statuses", 1),
    "missing inbound": (lambda e: e.inbound.remove((BOB, "in2")), "lost_inbound", 1),
    "repeated message": (lambda e: e.arrived[ADA].append("a1"), "repeated", 1),
    "sent under two ids": (lambda e: e.arrived[ADA].append("a4"), "repeated", 1),
    "astray": (lambda e: e.arrived[BOB].append("a3"), "repeated", 1),
    "inverted messages": (lambda e: e.arrived.update({ADA: ["a2", "a1", "a3"]}), "out_of_order", 1),
    "inverted statuses": (inverted_statuses, "out_of_order", 1),
    "inverted inbound": (lambda e: e.inbound.reverse(), "out_of_order", 1),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_found_and_alone(fault: str) -> None:
    plant, number, count = FAULTS[fault]
    evidence = perfect()
    plant(evidence)
    assert complete(evidence) == (fault not in ("missing status", "missing inbound"))
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


def test_repeated_callbacks_are_allowed_and_counted() -> None:
    evidence = perfect()
    # All again, after the later ones: only first arrivals count for order.
    evidence.statuses += evidence.statuses
    evidence.inbound += evidence.inbound
    tally = judge(evidence)
    assert tally.verdict == ""
    assert tally.callbacks_again == 18 + 3


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


def test_a_gap_is_no_inversion() -> None:
    assert inversions(["1", "2", "3"], ["1", "3"]) == 0
    assert inversions(["1", "2", "3"], ["3", "unknown", "1", "2"]) == 2
