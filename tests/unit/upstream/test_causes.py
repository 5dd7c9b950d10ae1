"""docs/errors.md and GET /v1/errors: every code that can occur is there, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.harness import error_codes
from warouter import codes
from warouter.api import app
from warouter.upstream.causes import PLACES, Code, answers, known_codes
from warouter.upstream.cloud.meanings import TABLE
from warouter.variables import GROUPS

KNOWN = {code.code: code for code in known_codes()}
PAGE = error_codes.PAGE.read_text()
SOURCE = Path(app.__file__).parents[1]
FRAMEWORK = {("417", 1000)}  # that aiohttp answers, and http/envelope.py words


def test_the_page_is_the_made_one() -> None:
    assert error_codes.page(PAGE) == PAGE, "run `make docs`"


def test_each_code_is_there_and_no_other() -> None:
    assert set(KNOWN) == {*codes.CODES, *(kind.code for kind in answers())}
    assert re.findall(r"^### (.+)$", PAGE, re.MULTILINE) == [str(code) for code in sorted(KNOWN)]


def test_each_answer_with_an_error_has_a_cause_and_each_code_of_messages_too() -> None:
    told = {(each.place, code.code) for code in KNOWN.values() for each in code.causes}
    answered = {(str(kind.status), kind.code) for kind in answers()} | FRAMEWORK
    assert {pair for pair in told if pair[0].isdecimal()} == answered
    assert {place for place, _ in told if not place.isdecimal()} == set(PLACES)
    later = {code for place, code in told if not place.isdecimal()}
    assert later == set(codes.CODES)


@pytest.mark.parametrize("code", KNOWN.values(), ids=lambda code: str(code.code))
def test_metas_codes_are_those_of_the_meanings(code: Code) -> None:
    shown = [n for each in code.meta for n in range(each.first, each.last + 1)]
    assert sorted(shown) == sorted(n for n, meaning in TABLE.items() if meaning.code == code.code)
    assert all(TABLE[n] is each.meaning for each in code.meta for n in (each.first, each.last))


def test_the_page_lists_metas_codes_with_each_code() -> None:
    sections = re.split(r"^### ", PAGE, flags=re.MULTILINE)[1:]
    for section in sections:
        code = int(section.partition("\n")[0])
        shown: set[int] = set()
        for first, last in re.findall(r"^\| (\d+)(?: to (\d+))? \|", section, re.MULTILINE):
            shown |= set(range(int(first), int(last or first) + 1))
        assert shown == {n for n, meaning in TABLE.items() if meaning.code == code}, code


def test_titles_are_those_that_clients_see() -> None:
    for kind in answers():
        assert KNOWN[kind.code].title == kind.title
    for code in codes.CODES:
        assert KNOWN[code].title == codes.title(code)


def test_variables_and_errors_that_causes_name_exist() -> None:
    """Variables, and the words of errors."""
    text = " ".join(f"{c.cause} {c.do}" for code in KNOWN.values() for c in code.causes)
    variables = {variable.name for group in GROUPS for variable in group.variables}
    assert set(re.findall(r"\bWAROUTER_[A-Z0-9_]+", text)) <= variables
    said = " ".join(re.sub(r'"\s*f?"', "", f.read_text()) for f in SOURCE.rglob("*.py"))
    words = re.findall(r"`([a-z]+(?: [a-z]+)+)(?: ID)?`", text)
    assert len(words) > 5
    assert [each for each in words if each not in said and not each.startswith("warouter")] == []


def test_every_href_leads_to_its_code() -> None:
    for code in codes.CODES:
        assert codes.error_object(code)["href"] == f"/v1/errors#{code}"
