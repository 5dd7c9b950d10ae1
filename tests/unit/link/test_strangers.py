"""Who gives way when the places of strangers are taken."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from warouter.link.strangers import Strangers


@given(
    places=st.integers(1, 5),
    steps=st.lists(st.tuples(st.sampled_from("abc"), st.booleans())),
)
def test_the_oldest_of_the_address_with_the_most_gives_way(
    places: int, steps: list[tuple[str, bool]]
) -> None:
    strangers: Strangers[int] = Strangers(places)
    waiting: dict[int, str] = {}
    for number, (address, leaves) in enumerate(steps):
        if leaves:
            first = next(iter(waiting), -1)
            strangers.leave(first)  # who is none leaves without a word
            waiting.pop(first, None)
        waiting[number] = address
        gone = strangers.enter(number, address)
        assert (gone is None) == (len(waiting) <= places)
        if gone is not None:
            counts = Counter(waiting.values())
            assert counts[waiting[gone]] == max(counts.values())
            assert all(n >= gone for n, at in waiting.items() if at == waiting[gone])
            del waiting[gone]
        assert list(strangers) == list(waiting)
        assert len(strangers) == len(waiting) <= places
