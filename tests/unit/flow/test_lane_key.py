"""The key of a lane: its number and recipient as one string."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from warouter.flow.event import EventRow
from warouter.flow.lane_key import lane_of, parts_of, recipient_of
from warouter.flow.lanes import LaneEntry

numbers = st.integers(1, 2**31 - 1)
# Empty for an error out of band; a user without digits is known by an id.
recipients = st.text("0123456789", max_size=15) | st.from_regex(r"US\.[0-9]{5}", fullmatch=True)


@given(numbers, recipients)
def test_both_parts_come_back(number: int, recipient: str) -> None:
    lane = lane_of(number, recipient)
    assert parts_of(lane) == (number, recipient)
    assert recipient_of(number, lane) == recipient


@given(recipients)
def test_the_lane_of_number_1_is_the_recipient(recipient: str) -> None:
    assert lane_of(1, recipient) is recipient


def test_rows_in_memory_tell_their_recipient() -> None:
    entry = LaneEntry(1, bytes(20), "2|491511", 0, b"{}", number=2)
    event = EventRow(3, 1, 0, "key", "2|491511", b"{}", number=2)
    assert entry.recipient == event.recipient == "491511"
    assert LaneEntry(1, bytes(20), "491511", 0, b"{}").recipient == "491511"
