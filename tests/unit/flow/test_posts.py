"""What is kept of POSTs is bounded whatever a receiver answers, and the last hour is an hour."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from warouter.flow.posts import (
    ANSWER_BYTES,
    BOUNDS_MS,
    FAILURE_BYTES,
    MOST_FAILURES,
    Counted,
    Hour,
    PostFailure,
    PostFailures,
    Sheet,
    bounded,
    text_of,
    together,
)

# Of a database and of a receiver: no lone surrogates, but anything else.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=600)
ANSWERS = st.binary(max_size=600) | TEXTS.map(lambda text: text.encode())


def failure(event: str = "gBEG", answer: str = "", at_ms: int = 1) -> PostFailure:
    return PostFailure(at_ms, 0, event, 100, "connection", 500, 15_000, answer)


class TestFailures:
    @given(st.lists(st.tuples(TEXTS, ANSWERS), max_size=30), st.integers(0, 300))
    def test_there_are_never_more_than_so_many_nor_is_one_larger(
        self, given: list[tuple[str, bytes]], more: int
    ) -> None:
        kept = PostFailures()
        for event, answer in given:
            kept.add(failure(event, text_of(answer)))
        for n in range(more):
            kept.add(failure(at_ms=n))
        last = kept.last()
        assert len(last) == min(len(given) + more, MOST_FAILURES)
        assert all(len(msgspec.json.encode(one)) <= FAILURE_BYTES for one in last)
        assert len(msgspec.json.encode(Sheet(last))) <= 41 * 1024
        if more:
            assert last[-1].at_ms == more - 1

    @given(TEXTS, ANSWERS)
    def test_only_the_beginning_of_an_answer_is_kept(self, event: str, answer: bytes) -> None:
        text = text_of(answer)
        kept = bounded(failure(event, text))
        assert text.startswith(kept.answer)
        assert event.startswith(kept.event)

    def test_an_ordinary_answer_is_kept_whole(self) -> None:
        text = text_of(b"x" * 1_000)
        assert text == "x" * ANSWER_BYTES
        assert bounded(failure("gBEGkYiEB1VXAglK1ZEqA1YKPrU", text)).answer == text


class TestText:
    @given(ANSWERS)
    def test_is_one_line_that_can_be_printed_and_stored(self, answer: bytes) -> None:
        text = text_of(answer)
        assert all(char.isprintable() for char in text)
        assert text.encode().decode() == text

    @pytest.mark.parametrize(
        ("answer", "text"),
        [
            (b"", ""),
            (b"<h1>Internal\r\n\tError</h1>\n", "<h1>Internal   Error</h1>"),
            (b"\0\x1b[31m\xff", "??[31m?"),
            ("a\u202eb".encode(), "a?b"),
            ("für alle".encode(), "für alle"),
            (b"x" * 199 + "ü".encode(), "x" * 199 + "?"),
            (b"no customer 491511234567 here", "no customer 49...67 here"),
        ],
    )
    def test_examples(self, answer: bytes, text: str) -> None:
        assert text_of(answer) == text


class TestHour:
    @given(
        st.lists(st.tuples(st.floats(0, 3_000), st.integers(0, 30_000), st.booleans())),
        st.floats(0, 20_000),
    )
    def test_counts_the_last_sixty_minutes_and_nothing_else(
        self, steps: list[tuple[float, int, bool]], rest: float
    ) -> None:
        hour, now, all_ = Hour(), 0.0, list[tuple[float, int, bool]]()
        for step, took_ms, taken in steps:
            now += step
            hour.count(now, took_ms, taken=taken)
            all_.append((now, took_ms, taken))
        now += rest
        # A minute counts as a whole, the one that runs included.
        fresh = [(ms, taken) for at, ms, taken in all_ if at // 60 > now // 60 - 60]
        counted = hour.counted(now)
        assert counted.taken == sum(taken for _, taken in fresh)
        assert counted.failed == len(fresh) - counted.taken
        assert sum(counted.took) == len(fresh)
        assert len(counted.took) in (0, len(BOUNDS_MS) + 1)

    @given(st.lists(st.integers(0, BOUNDS_MS[-1]), min_size=1), st.floats(0.01, 1))
    def test_a_quantile_covers_its_share_of_the_posts(self, took: list[int], share: float) -> None:
        hour = Hour()
        for ms in took:
            hour.count(0.0, ms, taken=True)
        within = hour.counted(0.0).within_ms(share)
        assert within in BOUNDS_MS
        assert sum(ms <= within for ms in took) >= share * len(took)
        lower = max((bound for bound in BOUNDS_MS if bound < within), default=-1)
        assert sum(ms <= lower for ms in took) < share * len(took)

    def test_without_posts_there_is_nothing_to_say(self) -> None:
        assert Counted().within_ms(0.5) is None
        assert Hour().counted(0.0).within_ms(0.5) is None
        assert together([]).within_ms(0.5) is None

    def test_several_coreapps_together(self) -> None:
        one, other = Hour(), Hour()
        for _ in range(9):
            one.count(0.0, 4, taken=True)
        other.count(0.0, 15_002, taken=False)
        # The last of a build that tells fewer durations apart.
        all_ = together([one.counted(0.0), Counted(), other.counted(0.0), Counted(1, 0, [1])])
        assert (all_.taken, all_.failed) == (10, 1)
        assert all_.within_ms(0.5) == 5
        assert all_.within_ms(0.95) == 20_000
