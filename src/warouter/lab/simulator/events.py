"""The events of one slot on their way to its claimant. Pure.

An event waits, is delivered, and is dropped when it is acknowledged. At most ``WINDOW`` of a slot
are delivered and not acknowledged; a new claimant gets those again, first and in order.
"""

from __future__ import annotations

from collections import deque

WINDOW = 512


class EventQueue:
    """Encoded events by number. Each is acknowledged individually."""

    def __init__(self, first: int = 1) -> None:
        self._next = first
        self._delivered: dict[int, bytes] = {}
        self._waiting: deque[tuple[int, bytes]] = deque()

    def __len__(self) -> int:
        """Number of events that are not acknowledged."""
        return len(self._delivered) + len(self._waiting)

    def number(self) -> int:
        """The number of the next event; each is given once."""
        number = self._next
        self._next += 1
        return number

    def add(self, number: int, frame: bytes) -> None:
        """Queue an event behind all others."""
        self._waiting.append((number, frame))

    def deliver(self) -> list[bytes]:
        """Events to send now, in order; they count as delivered from here on."""
        frames = []
        while self._waiting and len(self._delivered) < WINDOW:
            number, frame = self._waiting.popleft()
            self._delivered[number] = frame
            frames.append(frame)
        return frames

    def ack(self, number: int) -> bool:
        """Drop a delivered event; False if it was not delivered."""
        return self._delivered.pop(number, None) is not None

    def rewind(self) -> None:
        """A new claimant: all events wait again, in the old order."""
        self._waiting.extendleft(reversed(self._delivered.items()))
        self._delivered.clear()
