"""The judge of the campaign's Cloud door: histories that must fail, and those that must not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from tests.campaigns.chaos.doors.cloud import CloudDoor
from tests.campaigns.chaos.doors.doubts import Doubt, figures, waits
from tests.campaigns.chaos.doors.requests import (
    Request,
    Whole,
    attempts_in_order,
    dated,
    doubts_of_moves,
    first_taken,
    overtaken,
    protocol,
    twice,
    unlogged,
)
from tests.campaigns.chaos.marks import Mark
from tests.harness.history import History
from tests.harness.invariants import violations

WINDOW = 6.0


def mark(kind: str, at: float = 10.0, **more: Any) -> Mark:
    return Mark(kind=kind, at=at, wall=1000.0 + at, healed=at + 2, recovered=at + 3, **more)


def request(begun: float, attempt: int = 1, id: str = "a", **more: Any) -> Request:
    return Request(
        **{"id": id, "attempt": attempt, "recipient": "1", "begun": begun, "accepted": begun} | more
    )


def wrong(*requests: Request, delays: bool = True, cautious: set[str] | None = None) -> list[str]:
    marks = [mark("cloud-withholds", delays=delays)]
    return twice(requests, marks, WINDOW, cautious or set()).wrong


def test_taken_twice_is_excused_where_the_campaign_kept_the_evidence_back() -> None:
    requests = [request(10.0, told=25.0), request(17.0, 2, told=18.0)]
    found = twice(requests, [mark("cloud-withholds", delays=True)], WINDOW, set())
    assert found == ({"a"}, [])
    assert twice([request(10.0), request(17.0, id="b")], [], WINDOW, set()) == (set(), [])


def test_taken_twice_is_wrong_where_nothing_kept_the_evidence_back() -> None:
    late, never = request(10.0, told=25.0), request(10.0)
    assert "though nothing" in wrong(late, request(17.0, 2), delays=False)[0]
    assert "never" in wrong(never, request(17.0, 2), delays=False)[0]
    elsewhen = request(50.0, told=70.0)  # of another time than that of the fault
    assert "though nothing" in wrong(elsewhen, request(57.0, 2))[0]


@pytest.mark.parametrize(
    ("earlier", "later", "why"),
    [
        (request(10.0, told=11.0), request(17.0, 2), "acknowledged"),  # the evidence was there
        (request(10.0, told=25.0), request(12.0, 2), "before its window"),
        (request(10.0, told=25.0), request(17.0, 1), "attempts 1 and 1"),
        (request(10.0, 2, told=25.0), request(17.0, 1), "attempts 2 and 1"),
    ],
)
def test_taken_twice_is_wrong_whoever_kept_evidence_back(
    earlier: Request, later: Request, why: str
) -> None:
    assert why in wrong(earlier, later)[0]


def test_a_message_never_to_be_resent_is_never_excused() -> None:
    requests = [request(10.0, told=25.0), request(17.0, 2)]
    assert "never to be sent again" in wrong(*requests, cautious={"a"})[0]


def test_a_third_acceptance_is_judged_by_the_second() -> None:
    requests = [request(10.0, told=40.0), request(17.0, 2, told=17.5), request(24.0, 3)]
    assert "acknowledged" in wrong(*requests)[0]


def test_evidence_may_come_between_the_look_for_it_and_the_request() -> None:
    assert wrong(request(10.0, told=16.5), request(17.0, 2)) == []


def told(inverted: Sequence[str] = (), /, **counters: int) -> Whole:
    zero = {"inversions": 0, "begun_again_open": 0, "same_reference": 0}
    return Whole(requests=[], inverted=[*inverted], **zero | counters)


def test_the_door_itself_counts_references_that_came_again() -> None:
    def said(**counters: int) -> list[str]:
        return list(protocol(told(**counters)))

    assert said() == []
    assert "begun again" in said(begun_again_open=1)[0]
    assert "more than once" in said(same_reference=1)[0]


def test_only_what_was_acknowledged_can_be_overtaken() -> None:
    assert overtaken(told(["a", "b"], inversions=2), {"b"}) == 1
    assert overtaken(told(["a", "b"], inversions=1001), {"b"}) == 1001


def test_attempts_only_rise() -> None:
    first, second = request(10.0, accepted=None), request(17.0, 2)
    assert attempts_in_order([second, first]) == []
    assert attempts_in_order([request(18.0), second])


def test_the_first_acceptances_make_the_order_and_the_loss() -> None:
    requests = [
        request(3.0, 2, "a"),
        request(1.0, 1, "a", accepted=None),
        request(2.0, 1, "b"),
        request(4.0, 1, "b"),
    ]
    assert first_taken(requests) == {"1": ["b", "a"]}
    history = History()
    for n, message_id in enumerate("abc"):
        history.on_answer("1", message_id, began=n, now=n + 0.5)
        history.on_status(message_id, "read")
    history.on_record({"ids": first_taken(requests), "inversions": 0})
    history.wanted = ("read",)
    assert {v.number for v in violations(history)} == {"I1", "I7"}  # c is lost, b overtook a


def test_a_held_message_is_not_lost() -> None:
    history = History()
    history.on_answer("1", "a", began=1.0, now=1.5)
    assert {v.number for v in violations(history)} == {"I1", "I8"}
    history.held = {"a"}
    assert violations(history) == []


def test_a_status_that_goes_backwards_is_seen_whatever_the_door_mixed_up() -> None:
    history = History()
    for status in ("read", "sent"):
        history.on_status("a", status)
    assert [v.number for v in violations(history)] == ["I8"]


def test_each_repeat_is_in_a_log() -> None:
    assert unlogged({"a", "b"}, {"a"})[0].startswith("1 taken twice")
    assert unlogged({"a"}, {"a"}) == unlogged(set(), set()) == []


def test_a_planned_move_puts_nothing_in_doubt() -> None:
    during, later = Doubt(1011.0, "a", "takeover"), Doubt(1030.0, "b", "takeover")
    assert doubts_of_moves([during, later], [mark("kill-owner")]) == []
    assert doubts_of_moves([later], [mark("set-shards")]) == []
    (said,) = doubts_of_moves([during, later], [mark("set-shards")])
    assert said == "set-shards put 1 messages in doubt: takeover"


def test_a_doubt_lasts_from_its_first_beginning() -> None:
    begun = [Doubt(1.0, "a", "takeover"), Doubt(3.0, "a", "takeover"), Doubt(2.0, "b", "answer")]
    assert waits(begun, [Doubt(7.0, "a", ""), Doubt(2.5, "b", ""), Doubt(9.0, "c", "")]) == [0.5, 6]


def test_an_arrival_has_the_epoch_that_its_slot_had() -> None:
    history = History()
    for at, slot in ((1.0, 3), (5.0, 3), (5.0, 4)):
        history.sends.add(at, slot, "a", 0)
    log = [{"slot": 3, "epoch": e, "wall": 100.0 + at} for e, at in ((7, 0.0), (8, 2.0))]
    dated(history.sends, log, 100.0)
    assert list(history.sends.epoch) == [7, 8, 0]


def asked(*requests: dict[str, Any]) -> dict[str, Any]:
    usual = {"recipient": "491511234567", "attempt": 1, "outcome": "answered"}
    return {"requests": [usual | one for one in requests]}


def test_an_arrival_is_told_once_also_when_it_was_open_before() -> None:
    door = CloudDoor()
    open_ = {"reference": "w1.a.1", "id": "a", "begun": 1.0, "accepted": None, "outcome": "open"}
    done = {"reference": "w1.b.1", "id": "b", "begun": 2.0, "accepted": 2.0}
    assert [one[2] for one in door.new(asked(open_, done))] == ["b"]
    assert door.query() == "since=0.999999"  # what is open is asked for again
    taken = open_ | {"accepted": 3.0, "outcome": "answered"}
    assert [one[2] for one in door.new(asked(taken, done))] == ["a"]
    assert door.query() == "since=2.0"
    assert door.new(asked()) == []


def test_a_wait_is_that_of_each_doubt_of_a_message() -> None:
    begun = [Doubt(1.0, "a", "takeover"), Doubt(20.0, "a", "connection")]
    assert waits(begun, [Doubt(8.0, "a", ""), Doubt(21.0, "a", "")]) == [1.0, 7.0]


def test_the_report_says_by_what_doubts_began_and_ended() -> None:
    begun = [Doubt(1.0, "a", "takeover"), Doubt(2.0, "b", "connection"), Doubt(3.0, "c", "answer")]
    ended = [Doubt(2.0, "a", ""), Doubt(8.0, "b", ""), Doubt(4.0, "c", "")]
    said = [{"by": "status"}, {"by": "resend"}, {"by": "answer"}]
    found = figures(begun, ended, [None, 1, None], said)
    assert found["in_doubt"] == {"takeover": 1, "connection": 1, "answer": 1}
    assert found["ended"] == {"settled": 2, "sent again": 1}
    assert found["ended_by"] == {"a status": 1, "d resend": 1, "c answer": 1}
    assert (found["wait_s_p50"], found["wait_s_p99"], found["wait_s_max"]) == (1.0, 6.0, 6.0)
