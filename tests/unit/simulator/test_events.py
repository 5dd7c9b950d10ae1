"""The event queue of a slot against a list that does the same slowly."""

from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from warouter.simulator.events import WINDOW, EventQueue


def filled(count: int) -> EventQueue:
    queue = EventQueue()
    for _ in range(count):
        number = queue.number()
        queue.add(number, b"%d" % number)
    return queue


def test_at_most_a_window_is_delivered() -> None:
    queue = filled(WINDOW + 10)
    assert queue.deliver() == [b"%d" % n for n in range(1, WINDOW + 1)]
    assert queue.deliver() == []
    assert queue.ack(3)
    assert not queue.ack(3)
    assert queue.deliver() == [b"%d" % (WINDOW + 1)]
    assert len(queue) == WINDOW + 9


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("add"), st.integers(1, 5)),
            st.tuples(st.just("ack"), st.integers(0, 40)),
            st.just(("rewind", 0)),
            st.just(("deliver", 0)),
        )
    )
)
def test_a_new_claimant_gets_all_that_is_unacknowledged_in_order(
    steps: list[tuple[str, int]],
) -> None:
    queue = EventQueue(first=7)
    kept: list[int] = []
    numbers = count(7)
    delivered: set[int] = set()
    for step, argument in steps:
        if step == "add":
            for _ in range(argument):
                number = queue.number()
                assert number == next(numbers)
                queue.add(number, b"%d" % number)
                kept.append(number)
        elif step == "ack":
            assert queue.ack(argument) == (argument in delivered)
            if argument in delivered:
                kept.remove(argument)
                delivered.discard(argument)
        elif step == "rewind":
            queue.rewind()
            delivered.clear()
        else:
            fresh = [n for n in kept if n not in delivered]
            assert queue.deliver() == [b"%d" % n for n in fresh]
            delivered.update(fresh)
        assert len(queue) == len(kept)
    queue.rewind()
    assert queue.deliver() == [b"%d" % n for n in kept]
