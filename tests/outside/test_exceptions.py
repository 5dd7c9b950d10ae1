"""The table of exceptions names what there is; that each is needed is shown where it is used."""

from __future__ import annotations

import pytest

from tests.outside import exceptions
from tests.outside.cases import CASES
from tests.outside.test_bodies import NAMES, VOTERS
from tests.outside.test_examples import SENDS, WEBHOOKS, examples
from tests.outside.test_readers import READERS
from tests.outside.test_writers import PAIRS

TABLES = ("UNREAD", "UNLIKE", "UNWRITTEN", "UNSENT", "OF_META", "UNTAKEN", "UNPASSED")


def test_no_exception_is_of_something_else() -> None:
    assert exceptions.UNREAD.keys() <= {(one, case) for one in READERS for case in CASES}
    assert exceptions.BLIND.keys() <= set(READERS)
    assert exceptions.UNLIKE.keys() <= CASES.keys()
    assert exceptions.UNWRITTEN.keys() <= set(PAIRS)
    assert exceptions.UNSENT.keys() <= {(voter, name) for voter in VOTERS for name in NAMES}


def test_no_exception_is_of_an_example_that_is_gone(openapi: dict[str, object]) -> None:
    named = exceptions.OF_META.keys() | exceptions.UNTAKEN.keys() | exceptions.UNPASSED.keys()
    assert named <= examples(openapi, SENDS).keys() | examples(openapi, WEBHOOKS).keys()


@pytest.mark.parametrize("table", TABLES)
def test_each_has_a_reason(table: str) -> None:
    found: dict[object, str] = getattr(exceptions, table)
    assert [name for name, reason in found.items() if len(reason.split()) < 4] == []
