"""One reading a second for all who look at the same, and its events."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack, aclosing, suppress

import pytest

from warouter.console import feed, stream
from warouter.console.feed import Feeds
from warouter.console.visit import ConsoleRefusal, Visitor


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "EVERY_SECONDS", 0.01)


async def test_all_who_look_at_the_same_share_its_readings() -> None:
    feeds, times = Feeds(), 0

    async def render() -> str:
        nonlocal times
        times += 1
        return f"reading {times}"

    async def look() -> list[str]:
        async with aclosing(feeds.follow("page", render)) as news:
            return [(await anext(news)).text for _ in range(3)]

    seen = await asyncio.gather(*(look() for _ in range(20)))
    assert times < 20
    assert all(len(set(one)) == 3 for one in seen)
    assert len(feeds) == 0


async def test_viewers_of_another_page_have_their_own_reading() -> None:
    feeds = Feeds()

    async def one() -> str:
        return "one"

    async def two() -> str:
        return "two"

    async with (
        aclosing(feeds.follow("1", one)) as first,
        aclosing(feeds.follow("2", two)) as second,
    ):
        assert (await anext(first)).text == "one"
        assert (await anext(second)).text == "two"
        assert len(feeds) == 2
    assert len(feeds) == 0


async def test_a_reading_that_fails_is_no_news_and_the_next_one_is() -> None:
    feeds, fails = Feeds(), True

    async def render() -> str:
        if fails:
            raise TimeoutError
        return "back"

    async with aclosing(feeds.follow("page", render)) as news:
        waiting = asyncio.ensure_future(anext(news))
        done, _ = await asyncio.wait({waiting}, timeout=0.1)
        assert not done
        fails = False
        assert (await waiting).text == "back"


async def test_closing_ends_every_reading() -> None:
    feeds, reading = Feeds(), asyncio.Event()

    async def render() -> str:
        reading.set()
        await asyncio.Event().wait()
        return ""

    news = feeds.follow("page", render)
    waiting = asyncio.ensure_future(anext(news))
    await reading.wait()
    await feeds.close()
    waiting.cancel()
    await asyncio.wait({waiting})
    assert len(feeds) == 0


def test_an_event_has_a_line_of_data_for_each_line() -> None:
    assert stream.event("<p>\n</p>") == b"data: <p>\ndata: </p>\n\n"
    assert stream.event("now", "alive") == b"event: alive\ndata: now\n\n"


def test_a_text_cannot_end_its_event() -> None:
    hostile = "a\n\nevent: alive\r\rdata: x"
    lines = stream.event(hostile).decode().removesuffix("\n\n").split("\n")
    assert all(line.startswith("data: ") for line in lines)
    assert "\r" not in "".join(lines)


async def _yes() -> bool:
    return True


def visitor(session: str, username: str = "", *, admin: bool = False) -> Visitor:
    return Visitor(username or session, admin, session.encode(), "192.0.2.1")


def refused(streams: stream.Streams, who: Visitor) -> bool:
    """Whether there is no place for one more."""
    with suppress(ConsoleRefusal), streams.counted(who, _yes):
        return False
    return True


def test_streams_are_counted_by_session_user_and_in_all() -> None:
    """Whatever readers do, an administrator finds a place; no reader takes those of all others."""
    streams = stream.Streams()
    with ExitStack() as stack:

        def fill(who: Visitor, many: int) -> None:
            for _ in range(many):
                stack.enter_context(streams.counted(who, _yes))

        with ExitStack() as first:
            for _ in range(stream.MOST_A_SESSION):
                first.enter_context(streams.counted(visitor("one", "robert"), _yes))
            assert refused(streams, visitor("one", "robert"))
            assert not refused(streams, visitor("two", "robert"))
        fill(visitor("one", "robert"), stream.MOST_A_SESSION)
        fill(visitor("two", "robert"), stream.MOST_A_USER - stream.MOST_A_SESSION)
        assert refused(streams, visitor("three", "robert"))
        others = stream.MOST - stream.KEPT - stream.MOST_A_USER
        for n in range(others):
            fill(visitor(f"reader{n}"), 1)
        assert refused(streams, visitor("another"))
        admin = visitor("admin", admin=True)
        fill(admin, stream.KEPT)
        assert len(streams) == stream.MOST == 100
        with pytest.raises(ConsoleRefusal) as told, streams.counted(admin, _yes):
            pass
        assert told.value.status == 429
    assert len(streams) == 0


async def test_the_streams_of_a_session_share_one_question_whether_it_has_ended() -> None:
    streams, asked = stream.Streams(), 0

    async def lives() -> bool:
        nonlocal asked
        asked += 1
        return False

    with (
        streams.counted(visitor("one"), lives) as first,
        streams.counted(visitor("one"), lives) as second,
    ):
        assert await asyncio.gather(first(), second(), first()) == [False] * 3
    assert asked == 1


async def test_a_session_is_not_taken_for_ended_while_the_database_is_away() -> None:
    async def lives() -> bool:
        raise TimeoutError

    with stream.Streams().counted(visitor("one"), lives) as lasts:
        assert await lasts()
