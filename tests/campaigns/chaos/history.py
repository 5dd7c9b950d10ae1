"""What the business saw, kept for the judge: every request, every callback.

Times are seconds of the monotonic clock, which all processes of a machine share.
"""

from __future__ import annotations

from array import array
from collections import defaultdict

ORDER = ("sent", "delivered", "read")


class History:
    """Requests with their outcomes, and callbacks by message id."""

    def __init__(self) -> None:
        self.acked: dict[str, list[str]] = defaultdict(list)  # recipient -> ids, as answered
        self.number: dict[str, int] = {}  # id -> place in the arrays
        self.began = array("d")
        self.answered = array("d")
        self.open: dict[str, float] = {}  # token of a request under way -> when it began
        self.unknown: list[tuple[float, str, str]] = []  # (when, token, why): no answer came
        self.errors: list[tuple[float, int, str]] = []  # (when, status, body)
        self.statuses: dict[str, tuple[str, ...]] = {}
        self.inbound: dict[str, int] = defaultdict(int)
        self.injected: list[str] = []
        self.doomed: set[str] = set()  # acknowledged ids that are to end as failed
        self.read = 0  # messages whose read callback came
        self.retried = 0  # connects that were refused and tried again
        self._known: dict[tuple[str, ...], tuple[str, ...]] = {}

    @property
    def accepted(self) -> int:
        return len(self.began)

    def on_answer(self, recipient: str, message_id: str, began: float, now: float) -> None:
        """A 201."""
        self.number[message_id] = len(self.began)
        self.began.append(began)
        self.answered.append(now)
        self.acked[recipient].append(message_id)

    def on_status(self, message_id: str, status: str) -> None:
        """A status callback; equal histories share one tuple, since there are millions."""
        before = self.statuses.get(message_id, ())
        if status == "read" and "read" not in before:
            self.read += 1
        now = (*before, status)
        self.statuses[message_id] = self._known.setdefault(now, now)

    def missing(self) -> list[str]:
        """Acknowledged messages whose read callback, or failure, has not come."""
        seen = self.statuses
        read = [i for i in self.number if "read" not in seen.get(i, ())]
        return read + [i for i in self.doomed if "failed" not in seen.get(i, ())]

    def waits(self) -> list[tuple[float, float]]:
        """(began, seconds until the 201) of every request."""
        return [(b, a - b) for b, a in zip(self.began, self.answered, strict=True)]
