"""What a judge reads: duplicates, attempts sent twice, order, requests."""

from __future__ import annotations

from typing import Any

import pytest

from warouter.lab.simulator.cloud.columns import RequestOutcome
from warouter.lab.simulator.cloud.record import CloudRecord
from warouter.lab.simulator.cloud.wamid import Wamids
from warouter.lab.simulator.record import Upload
from warouter.message_id import text_of
from warouter.upstream.cloud.reference import reference

TO, OTHER = "491511234567", "491511234568"


def id_at(ms: int, last: int = 0) -> bytes:
    return bytes((1, 3)) + ms.to_bytes(6, "big") + bytes(11) + bytes((last,))


class Judge:
    def __init__(self) -> None:
        self.record = CloudRecord(Wamids(1))
        self.now = 1.0

    def begin(self, id: bytes, attempt: int = 1, to: str = TO) -> int:
        self.now += 1
        return self.record.begun(reference(id, attempt), to, self.now, self.now + 1000)

    def take(self, id: bytes, attempt: int = 1, to: str = TO) -> str:
        row = self.begin(id, attempt, to)
        wamid = self.record.accepted(row, to, self.now)
        self.record.ended(row, RequestOutcome.ANSWERED, 0, self.now)
        return wamid

    def refuse(self, id: bytes, attempt: int = 1, code: int = 130429) -> None:
        self.record.ended(self.begin(id, attempt), RequestOutcome.ANSWERED, code, self.now)

    def __getitem__(self, name: str) -> Any:
        return self.record.summary()[name]


@pytest.fixture
def judge() -> Judge:
    return Judge()


def test_a_second_acceptance_is_a_duplicate_with_its_attempts(judge: Judge) -> None:
    judge.take(id_at(1), 1)
    judge.take(id_at(2), 1)
    assert (judge["duplicates"], judge["same_reference"]) == ([], 0)
    judge.take(id_at(1), 2)
    judge.take(id_at(1), 3)
    assert judge["duplicates"] == [{"id": text_of(id_at(1)), "attempts": [1, 2, 3]}]
    assert (judge["accepted"], judge["unique"], judge["repeats"]) == (4, 2, 2)
    assert (judge["same_reference"], judge["begun_again"]) == (0, 0)
    judge.take(id_at(1), 2)
    assert (judge["same_reference"], judge["begun_again"], judge["begun_again_open"]) == (1, 1, 1)


def test_an_attempt_that_is_taken_late_is_a_duplicate_of_the_one_after_it(judge: Judge) -> None:
    late = judge.begin(id_at(1), 1)
    judge.take(id_at(1), 2)
    judge.record.accepted(late, TO, judge.now)
    assert judge["duplicates"] == [{"id": text_of(id_at(1)), "attempts": [2, 1]}]
    assert (judge["accepted"], judge["unique"], judge["same_reference"]) == (2, 1, 0)


def test_an_attempt_that_was_refused_may_come_again(judge: Judge) -> None:
    judge.refuse(id_at(1))
    judge.take(id_at(1))
    assert (judge["begun_again"], judge["begun_again_open"]) == (1, 0)
    assert (judge["accepted"], judge["refused"], judge["refused_codes"]) == (1, 1, {"130429": 1})


def test_an_attempt_whose_end_is_unknown_may_not() -> None:
    for outcome, code in (
        (RequestOutcome.DROPPED, 0),
        (RequestOutcome.GONE, 0),
        (RequestOutcome.FAILED, 500),
    ):
        judge = Judge()
        judge.record.ended(judge.begin(id_at(1)), outcome, code, 1.0)
        judge.begin(id_at(1))
        assert judge["begun_again_open"] == 1
    judge = Judge()
    judge.begin(id_at(1))
    judge.begin(id_at(1))
    assert judge["begun_again_open"] == 1, "it has no answer yet"


def test_order_is_of_first_acceptances_by_the_time_in_the_id(judge: Judge) -> None:
    judge.take(id_at(5))
    judge.take(id_at(7, 9))
    judge.take(id_at(7, 1))  # the same millisecond: no order
    judge.take(id_at(6), to=OTHER)
    assert judge["inversions"] == 0
    judge.take(id_at(5), 2)  # a duplicate
    assert judge["inversions"] == 0
    judge.take(id_at(6, 1))
    assert (judge["inversions"], judge["inverted"]) == (1, [text_of(id_at(6, 1))])


def test_a_late_message_stands_where_it_was_taken(judge: Judge) -> None:
    first, second = judge.begin(id_at(1)), judge.begin(id_at(2))
    judge.record.accepted(second, TO, 9.0)
    judge.record.accepted(first, TO, 10.0)
    assert judge.record.ids() == {TO: [text_of(id_at(2)), text_of(id_at(1))]}
    assert judge["inversions"] == 1


def test_requests_tell_their_whole_story(judge: Judge) -> None:
    wamid = judge.take(id_at(1), 2)
    row = judge.begin(id_at(2))
    judge.record.ended(row, RequestOutcome.DROPPED, 0, 9.0)
    taken, dropped = judge.record.requests(float("-inf"))
    assert taken == {
        "reference": reference(id_at(1), 2),
        "id": text_of(id_at(1)),
        "attempt": 2,
        "recipient": TO,
        "begun": 2.0,
        "begun_wall": 1002.0,
        "accepted": 2.0,
        "answered": 2.0,
        "told": None,
        "outcome": "answered",
        "code": 0,
        "wamid": wamid,
    }
    assert (dropped["outcome"], dropped["accepted"], dropped["wamid"]) == ("dropped", None, None)
    assert [r["begun"] for r in judge.record.requests(2.0)] == [3.0]


def test_only_the_first_word_about_an_answer_counts(judge: Judge) -> None:
    row = judge.begin(id_at(1))
    judge.record.ended(row, RequestOutcome.ANSWERED, 0, 1.0)
    judge.record.ended(row, RequestOutcome.GONE, 0, 2.0)
    assert (judge["answered"], next(judge.record.requests(0))["outcome"]) == (1, "answered")


def test_a_request_for_an_identity_is_listed_with_it(judge: Judge) -> None:
    judge.begin(id_at(1))
    judge.record.meant(judge.begin(id_at(2)), "hash")
    assert [row.get("identity") for row in judge.record.requests(0)] == [None, "hash"]
    judge.record.forget()
    judge.begin(id_at(3))
    assert "identity" not in next(judge.record.requests(0))


def test_foreign_references_are_known_by_their_text_and_none_by_the_wamid() -> None:
    record = CloudRecord(Wamids(1))
    for text in ("x", "x", "", ""):
        record.accepted(record.begun(text, TO, 1.0, 1.0), TO, 1.0)
    found = record.summary()
    assert (found["accepted"], found["unique"]) == (4, 3)
    assert found["duplicates"] == [{"id": "x", "attempts": [0, 0]}]
    ids = record.ids()[TO]
    assert ids[:2] == ["x", "x"]
    assert all(id.startswith("wamid.") for id in ids[2:])


def test_our_id_leads_to_the_wamid_of_its_last_acceptance(judge: Judge) -> None:
    assert judge.record.wamid(id_at(1)) is None
    judge.take(id_at(1), 1)
    second = judge.take(id_at(1), 2)
    judge.refuse(id_at(1), 3)
    assert judge.record.wamid(id_at(1)) == second


def test_a_forgotten_record_is_not_touched_by_what_began_before(judge: Judge) -> None:
    before = judge.take(id_at(1))
    row = judge.begin(id_at(2))
    judge.record.forget()
    after = judge.record.accepted(row, TO, 9.0)
    judge.record.ended(row, RequestOutcome.ANSWERED, 0, 9.0)
    assert (judge["accepted"], judge["answered"], judge.record.ids()) == (0, 0, {})
    assert before != after
    judge.take(id_at(3))
    assert judge.record.ids() == {TO: [text_of(id_at(3))]}


def test_read_marks_count_once_and_media_are_named_by_message(judge: Judge) -> None:
    for _ in range(2):
        judge.record.marked("wamid.a", typing=True)
    assert (judge["read_marks"], judge["typing"], judge.record.marks()) == (1, 2, ["wamid.a"])
    upload = Upload("image/png", 3, "00")
    judge.record.uploaded("7", upload)
    row = judge.begin(id_at(1))
    judge.record.accepted(row, TO, 1.0)
    judge.record.attached(row, ("7", "8"))
    assert judge.record.media() == {text_of(id_at(1)): [upload, None]}


def test_a_request_knows_when_the_business_first_heard_of_it(judge: Judge) -> None:
    row = judge.begin(id_at(1))
    judge.record.accepted(row, TO, judge.now)
    judge.record.told([row, row], 7.0)
    judge.record.told([row], 8.0)
    assert next(judge.record.requests(0))["told"] == 7.0
    judge.record.forget()
    judge.begin(id_at(2))
    judge.record.told([row], 9.0)  # of a record that was forgotten
    assert next(judge.record.requests(0))["told"] is None
