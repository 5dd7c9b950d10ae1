"""Refusals with unknown codes: one ends its message, many in a row stop the number."""

from __future__ import annotations

import msgspec

from warouter.owner.cloud.rate.strange import MANY, Strange
from warouter.upstream.cloud.answers import Class, Judged, judge

TAKEN = Judged(Class.TAKEN)


def refused(code: int) -> Judged:
    return judge(400, msgspec.json.encode({"error": {"code": code, "message": "said"}}))


def classes(strange: Strange, *answers: Judged) -> list[Class]:
    return [strange.judged(each).cls for each in answers]


def test_many_in_a_row_are_the_operators() -> None:
    strange = Strange()
    few = classes(strange, *[refused(987654)] * (MANY - 1))
    assert few == [Class.FINAL] * (MANY - 1)
    stop = strange.judged(refused(987654))
    assert (stop.cls, stop.meta_code) == (Class.OPERATOR, 987654)
    assert stop.details == "10 messages in a row were refused with this unknown code: said"
    assert classes(strange, refused(987654), refused(987654)) == [Class.OPERATOR] * 2


def test_one_that_is_taken_begins_the_row_anew() -> None:
    strange = Strange()
    for _ in range(5):
        answers = [*[refused(987654)] * (MANY - 1), TAKEN]
        assert Class.OPERATOR not in classes(strange, *answers)


def test_a_known_refusal_between_them_says_nothing_and_another_code_begins_anew() -> None:
    strange = Strange()
    known = [refused(131026), refused(987654)] * (MANY - 1)
    assert set(classes(strange, *known)) == {Class.FINAL}
    assert classes(strange, refused(131026)) == [Class.FINAL]
    assert classes(strange, refused(987653), refused(987654)) == [Class.FINAL] * 2
