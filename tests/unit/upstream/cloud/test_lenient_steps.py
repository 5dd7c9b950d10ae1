"""Mending takes time linear in the text, whatever the text: counted in steps, not in seconds."""

from __future__ import annotations

import re
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.harness.backtracking import steps
from tests.unit.upstream.cloud.samples import OWNED, TEXT, change, dumped, webhook
from warouter.upstream.cloud import lenient
from warouter.upstream.cloud.batch import Unreadable
from warouter.upstream.cloud.elements import read

PATTERNS = [
    found for found in vars(lenient).values() if isinstance(found, re.Pattern)
]  # all that ever sees a body
PER_CHARACTER = 12  # of each pattern: as many alternatives look at one before it is taken
PASSES = 6  # the levels of the envelope, each before and after mending

STRINGS = ('"', "\\", '\\"', "\\\\", "\\u", "\\ud800", "\\udc00", "a", "\N{SNOWMAN}", "\0", "\n")
OTHERS = ("[", "]", "{", "}", "-", "1", "e+", ".", ",", ":", '{"a":', '"entry":[')
ODD = st.sampled_from((*STRINGS, *OTHERS))
TEXTS = st.lists(
    st.tuples(st.lists(ODD, min_size=1, max_size=4), st.integers(1, 40)), max_size=4
).map(lambda runs: "".join("".join(parts) * times for parts, times in runs))


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: pattern.pattern[:12])
@given(text=TEXTS)
@example(text='"' + '\\"' * 400)
@example(text='"' + "\\" * 401)
@example(text='"' * 400)
@example(text="-" * 400)
@example(text="1e+" * 200)
def test_no_text_takes_more_steps_than_it_has_characters(
    pattern: re.Pattern[str], text: str
) -> None:
    assert steps(pattern, text) <= PER_CHARACTER * (len(text) + 1)


@given(text=TEXTS, inside=st.booleans())
def test_no_body_is_read_more_often_than_its_envelope_has_levels(text: str, inside: bool) -> None:
    body = text.encode()
    if inside:
        message = dumped(TEXT | {"odd": "ODD"}).replace(b'"ODD"', body)
        body = webhook(change(messages=["MESSAGE"] * 3)).replace(b'"MESSAGE"', message)
    seen = 0
    mended = lenient.mended

    def counted(data: bytes) -> bytes:
        nonlocal seen
        seen += len(data)
        return mended(data)

    with pytest.MonkeyPatch.context() as patch, suppress(Unreadable):
        patch.setattr(lenient, "mended", counted)
        read(body, OWNED)
    assert seen <= PASSES * len(body)


def test_the_clock_tells_a_quadratic_pattern() -> None:
    pattern = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
    assert steps(pattern, '"' + '\\"' * 300) > 10 * PER_CHARACTER * 601
    assert steps(re.compile("a[0-9]*+"), "a123") == 8


@pytest.mark.parametrize("end", ['\\"' * 50_000, "\\", "\\\\\\", '"', ""])
def test_a_text_without_an_end_stays_one(end: str) -> None:
    body = ('{"entry": "' + end).encode()
    assert lenient.mended(body) == body
    with pytest.raises(Unreadable):
        read(body, OWNED)
