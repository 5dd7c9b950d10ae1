"""The demo's judge must be able to say no: every kind of fault is planted and must be found."""

from __future__ import annotations

from warouter.lab.demo.tally import STATUSES, Observations, complete, judge

ADA, BOB = "491510000001", "491510000002"


def perfect() -> Observations:
    """Two recipients with three messages each, two inbound messages, nothing wrong."""
    accepted = {ADA: ["a1", "a2", "a3"], BOB: ["b1", "b2", "b3"]}
    ids = [id for of_one in accepted.values() for id in of_one]
    inbound = [(ADA, "in1"), (BOB, "in2"), (ADA, "in3")]
    return Observations(
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


def inverted_statuses(e: Observations) -> None:
    e.statuses.remove(("a1", "sent"))
    e.statuses.append(("a1", "sent"))


def test_the_verdict_counts_the_faults() -> None:
    """That each is found, and alone, is held against the invariants in test_invariants."""
    evidence = perfect()
    evidence.arrived[ADA] = ["a3", "a1"]
    evidence.arrived[BOB] += ["b1", "a1", "of nobody"]
    evidence.statuses.remove(("b3", "read"))
    assert not complete(evidence)
    evidence.inbound.remove((BOB, "in2"))
    inverted_statuses(evidence)
    assert not complete(evidence)
    assert judge(evidence).verdict == (
        "1 accepted messages never arrived; 1 statuses were never called back; "
        "1 inbound messages were never called back; "
        "3 messages reached their recipient again or unasked; "
        "2 messages or callbacks came out of order."
    )


def test_a_second_message_is_told_from_one_that_nobody_asked_for() -> None:
    evidence = perfect()
    evidence.arrived[ADA] += ["a1", "of nobody"]
    tally = judge(evidence)
    assert (tally.repeated, tally.twice) == (2, 1)


def test_an_open_doubt_is_no_success() -> None:
    evidence = perfect()
    evidence.in_doubt = 2
    assert judge(evidence).verdict == "2 messages are still in doubt."


def test_nothing_accepted_is_no_success() -> None:
    tally = judge(Observations(accepted={ADA: []}, refused=4))
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


def test_messages_of_others_are_not_judged() -> None:
    evidence = perfect()
    evidence.arrived["4930000000"] = ["other", "other"]
    evidence.statuses.insert(0, ("other", "read"))
    evidence.statuses.append(("other", "sent"))
    evidence.inbound.append(("4930000000", "other"))
    assert judge(evidence).verdict == ""
