"""Who waits for a turn, and who has to go: by tables, and by whatever Hypothesis thinks of."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.harness.wait import soon
from warouter.access.password_queue import FairQueue, PasswordQueue
from warouter.errors import TooManyRequests

MOST = 8


def queue(*joining: tuple[str, str, int]) -> tuple[FairQueue[int], list[int | None]]:
    line: FairQueue[int] = FairQueue(MOST)
    return line, [line.join(*each) for each in joining]


def served(line: FairQueue[int]) -> list[int]:
    return [item for item in iter(line.next, None)]


def test_addresses_are_served_in_turn_and_so_are_their_names() -> None:
    line, _ = queue(*(("a", "x", n) for n in range(4)), ("b", "x", 10), ("a", "y", 20))
    assert served(line) == [0, 10, 20, 1, 2, 3]
    assert len(line) == 0


def test_one_more_takes_the_place_of_the_newest_of_who_has_most() -> None:
    line, gone = queue(*(("a", "x", n) for n in range(MOST)))
    assert gone == [None] * MOST
    assert line.join("a", "x", 90) == 90  # who has most is refused
    assert line.join("b", "x", 10) == 7
    assert line.join("b", "x", 11) == 6
    assert line.join("c", "x", 20) == 5
    assert served(line) == [0, 10, 20, 1, 11, 2, 3, 4]


def test_of_one_address_the_name_with_most_gives_way() -> None:
    line, _ = queue(*(("a", "x", n) for n in range(MOST)))
    assert line.join("a", "y", 10) == 7
    assert served(line)[:2] == [0, 10]


def test_a_client_that_left_is_not_served() -> None:
    line, _ = queue(("a", "x", 1), ("a", "x", 2), ("b", "x", 3))
    line.leave("a", "x", 1)
    line.leave("b", "x", 3)
    line.leave("b", "x", 3)
    assert len(line) == 1
    assert served(line) == [2]


STEPS = st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("xyz")) | st.none())


@given(STEPS)
def test_a_share_is_never_taken_away(steps: list[tuple[str, str] | None]) -> None:
    """Nobody is refused while another has two more waiting; nobody is lost, or served twice."""
    line: FairQueue[tuple[str, str, int]] = FairQueue(MOST)
    inside: set[tuple[str, str, int]] = set()
    for n, step in enumerate(steps):
        if step is None:
            item = line.next()
            assert (item is None) == (not inside)
            inside.discard(item or ("", "", 0))
        else:
            item = (*step, n)
            gone = line.join(*step, item)
            if gone is not None:
                before = Counter(each[0] for each in inside)
                most = max(before.values())
                assert len(inside) == MOST
                if gone is item:
                    assert most < before[step[0]] + 2
                else:
                    assert gone[0] == step[0] or before[gone[0]] == most >= before[step[0]] + 2
            inside = (inside | {item}) - {gone or ("", "", 0)}
        assert len(line) == len(inside) <= MOST
    left = [item for item in iter(line.next, None)]
    assert len(left) == len(inside)
    assert set(left) == inside


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xy")), max_size=MOST))
def test_between_two_of_one_address_each_other_has_its_turn(
    joining: list[tuple[str, str]],
) -> None:
    line: FairQueue[str] = FairQueue(MOST)
    for address, name in joining:
        line.join(address, name, address)
    order = [item for item in iter(line.next, None)]
    for at, address in enumerate(order):
        again = order.index(address, at + 1) if address in order[at + 1 :] else None
        if again is not None:
            assert set(order[at:again]) >= set(order[again:])


async def hold(turns: PasswordQueue, address: str, done: asyncio.Event, line: int = 0) -> str:
    async with turns.turn(address, line=line):
        await done.wait()
    return address


async def test_a_cancelled_waiter_gives_its_turn_back() -> None:
    turns, done = PasswordQueue(1, MOST), asyncio.Event()
    done.set()
    async with turns.turn("a"):
        gone, late, last = (asyncio.create_task(hold(turns, "a", done)) for _ in range(3))
        await asyncio.sleep(0)
        gone.cancel()  # and has not left the line when the turn comes
    late.cancel()  # its turn has just come, and it does not know yet
    assert await last == "a"
    for task in (gone, late):
        with pytest.raises(asyncio.CancelledError):
            await task
    assert await hold(turns, "a", done) == "a"


async def test_lines_are_served_in_turn_and_have_places_of_their_own() -> None:
    turns, done = PasswordQueue(1, 2, lines=2), asyncio.Event()
    order: list[int] = []

    async def take(line: int, address: str) -> None:
        async with turns.turn(address, line=line):
            order.append(line)
            await done.wait()

    tasks = [asyncio.create_task(take(0, "a"))]
    await soon(lambda: order == [0])
    tasks += [asyncio.create_task(take(0, "a")) for _ in range(3)]
    tasks += [asyncio.create_task(take(1, "a")) for _ in range(2)]
    await soon(lambda: sum(task.done() for task in tasks) == 1)
    with pytest.raises(TooManyRequests):
        await next(task for task in tasks if task.done())
    done.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert order == [0, 0, 1, 0, 1]
