"""The key of a lane: the messages of one number to one recipient, or the events between them.

A recipient alone is the lane of number 1, so that what has one number only pays nothing for others.
Pure.
"""

from __future__ import annotations


def lane_of(number: int, recipient: str) -> str:
    """The key of the lane of this number and recipient."""
    return recipient if number == 1 else f"{number}|{recipient}"


def recipient_of(number: int, lane: str) -> str:
    """The recipient of a lane of this number."""
    return lane if number == 1 else lane.partition("|")[2]


def parts_of(lane: str) -> tuple[int, str]:
    """The number and the recipient of a lane."""
    number, bar, recipient = lane.partition("|")
    return (int(number), recipient) if bar else (1, lane)
