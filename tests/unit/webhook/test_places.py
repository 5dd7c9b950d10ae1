"""How many POSTs are under way: in all, of each kind, and of what may hang."""

from __future__ import annotations

import pytest

from warouter.kinds import INBOUND, STATUS
from warouter.webhook.places import Places

BATCH = {3: 2, 4: 1}  # events by slot


def occupied(statuses: int, inbound: int = 0, suspects: int = 0) -> Places:
    places = Places()
    for number in range(statuses):
        places.occupy(STATUS, BATCH, suspects=number < suspects)
    for _ in range(inbound):
        places.occupy(INBOUND, BATCH, suspects=False)
    return places


def test_there_are_as_many_as_are_allowed() -> None:
    assert occupied(1, 1).any(most=3)
    assert not occupied(2, 1).any(most=3)


def test_one_place_is_kept_for_the_other_kind() -> None:
    places = occupied(5)
    assert not places.has(STATUS, most=6)
    assert places.has(INBOUND, most=6)


@pytest.mark.parametrize(("most", "suspects"), [(2, 1), (3, 1), (6, 2), (7, 3)])
def test_half_of_a_kind_s_places_may_hang(most: int, suspects: int) -> None:
    assert occupied(suspects, suspects=suspects - 1).may_hang(STATUS, most)
    assert not occupied(suspects, suspects=suspects).may_hang(STATUS, most)


def test_the_kind_with_fewer_is_next() -> None:
    assert occupied(2, 1).fewest([STATUS, INBOUND]) == INBOUND
    assert occupied(1, 1).fewest([STATUS, INBOUND]) == STATUS
    assert occupied(1, 1).fewest([]) is None


def test_the_end_of_a_post_gives_everything_back() -> None:
    places = occupied(1, suspects=1)
    assert (places.events, places.events_of(3), places.events_of(4)) == (3, 2, 1)
    places.release(STATUS, BATCH, suspects=True)
    assert (places.events, places.events_of(3), places.events_of(4)) == (0, 0, 0)
    assert places.may_hang(STATUS, 2)
    assert places.has(STATUS, 2)
