"""Counts the statuses of requests that Meta had answered with an error of its own.

Of some errors nobody says whether the message was taken all the same. So an owner remembers the
references of requests that were answered so, and counts the statuses that carry them: one that was
sent or delivered shows that it was taken. What is counted here decides nothing.

It is remembered by this process alone, and from the answer on: what comes after a restart, at
another owner, or before the answer is not counted, so a count of statuses is a lower bound.
"""

from __future__ import annotations

from collections import Counter, OrderedDict

# "Service unavailable" and "unknown error" in their variants.
CODES = (1, 2, 131000, 131016, 133004)
STATUSES = ("sent", "delivered", "read", "failed")
OTHER = "other"
MOST = 10_000
SECONDS = 2 * 86_400.0


class Aftermath:
    """Counts of answers by Meta's code, and of statuses by that code and their word.

    A reference is the id of a message and the number of its attempt; times are the caller's
    seconds.
    """

    def __init__(self, most: int = MOST, seconds: float = SECONDS) -> None:
        self._most = most
        self._seconds = seconds
        # The oldest first: the code, when it came, and the statuses that were counted.
        self._known: OrderedDict[tuple[bytes, int], tuple[int, float, set[str]]] = OrderedDict()
        self.answers: Counter[int] = Counter()
        self.statuses: Counter[tuple[int, str]] = Counter()

    def __len__(self) -> int:
        return len(self._known)

    def answered(self, message_id: bytes, attempt: int, code: int, now: float) -> None:
        """A request was answered with Meta's ``code``; any other code than CODES is no matter."""
        if code not in CODES:
            return
        self.answers[code] += 1
        self._known[message_id, attempt] = code, now, set()
        self._known.move_to_end((message_id, attempt))
        self._forget(now)

    def heard(self, message_id: bytes, attempt: int, status: str, now: float) -> None:
        """A status with this reference; one that is heard again is counted once."""
        found = self._known.get((message_id, attempt))
        if found is None:
            return
        code, at, counted = found
        word = status if status in STATUSES else OTHER
        if now - at <= self._seconds and word not in counted:
            counted.add(word)
            self.statuses[code, word] += 1

    def _forget(self, now: float) -> None:
        while self._known:
            _, at, _ = next(iter(self._known.values()))
            if len(self._known) <= self._most and now - at <= self._seconds:
                break
            self._known.popitem(last=False)
