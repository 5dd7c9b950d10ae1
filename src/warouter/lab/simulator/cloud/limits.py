"""The limits of a number: messages a second in all, and to one customer. Pure.

What is refused takes nothing from either budget. Inbound messages count for the first one, and
cannot be refused: they may leave it in debt.
"""

from __future__ import annotations

BURST_S = 1.0
_SWEEP = 20_000


class Throughput:
    """A token bucket of ``rate`` messages/s, one second deep; a rate of 0 is no limit."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._tokens = rate * BURST_S
        self._at = 0.0

    def set(self, rate: float, now: float) -> None:
        """Another rate from ``now`` (monotonic s) on."""
        if rate == self._rate:
            return
        self._fill(now)
        if not self._rate:
            self._tokens = rate * BURST_S
        self._rate = rate
        self._tokens = min(self._tokens, rate * BURST_S)

    def may_take(self, now: float) -> bool:
        """True if one more message is within the limit."""
        if not self._rate:
            return True
        self._fill(now)
        return self._tokens >= 1

    def take(self, now: float) -> None:
        """Count one message, in or out."""
        if self._rate:
            self._fill(now)
            self._tokens -= 1

    def _fill(self, now: float) -> None:
        filled = self._tokens + (now - self._at) * self._rate
        self._tokens = min(self._rate * BURST_S, filled)
        self._at = now


class PairLimit:
    """A bucket for each customer: one message each ``seconds``, ``depth`` of them at once."""

    def __init__(self, seconds: float, depth: int) -> None:
        self._seconds = seconds
        self._depth = depth
        self._free: dict[str, float] = {}  # when the bucket is full again
        self._sweep = _SWEEP

    def set(self, seconds: float, depth: int) -> None:
        """Other values from now on; ``seconds`` 0 is no limit."""
        if (seconds, depth) != (self._seconds, self._depth):
            self._free.clear()
        self._seconds, self._depth = seconds, depth

    def may_take(self, customer: str, now: float) -> bool:
        """True if one more message to the customer is within the limit."""
        full = self._free.get(customer, now)
        return full - now <= (self._depth - 1) * self._seconds or not self._seconds

    def take(self, customer: str, now: float) -> None:
        """Count one message."""
        if not self._seconds:
            return
        self._free[customer] = max(self._free.get(customer, now), now) + self._seconds
        if len(self._free) >= self._sweep:
            self._free = {to: full for to, full in self._free.items() if full > now}
            self._sweep = max(_SWEEP, 2 * len(self._free))
