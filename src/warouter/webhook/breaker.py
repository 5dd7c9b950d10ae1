"""The circuit breaker of a receiver, and the time limits of attempts. Pure.

An event that fails says little about the receiver, many in a row say that it is down: then the
circuit opens and everything simply waits, unsplit and unparked, for the answer to a probe, one
event at a time. What was tried is probed after the linear back-off; an event that was not tried is
probed a step after the last probe, so nobody waits long behind events that are refused anyway.

Statuses and inbound messages have a ``Breaker`` each: some receivers refuse every status and must
not lose their inbound messages by it. ``now`` is seconds on the owner's clock.
"""

from __future__ import annotations

from warouter.retry import linear_ms

# So many failures in a row, without a success of that kind in between, open the circuit.
FAILURES = 5
GIVE_UP = 7 * 24 * 3600.0
# Steps of the back-off for as long under `callback_persist: false`: six tries of a single event.
EARLY_STEPS = 20


class Breaker:
    """A circuit breaker for the receiver: closed (POST), or open (one probe now and then).

    The n-th wait of one outage is n steps of the application's linear back-off. An event that was
    not tried has no failure of its own to wait for: a step after the last probe it may be one.
    """

    def __init__(self, failures: int = FAILURES) -> None:
        self._most = failures
        self._row = 0  # failures since the last success, retries of parked events included
        self._new = 0  # failures that open the circuit
        self._waits = 0
        self._until: float | None = None  # while open: earliest probe with an event that was tried
        self._soon = 0.0  # while open: earliest probe with a fresh one
        self._probing = False

    @property
    def open(self) -> bool:
        return self._until is not None

    @property
    def failing(self) -> bool:
        """True after many failures without a success, which an operator should know."""
        return self._row >= self._most

    def due(self, now: float) -> bool:
        """True if the wait after a failure is over."""
        return self._until is None or now >= self._until

    def permits(self, now: float, *, untried: bool) -> bool:
        """True if a batch may go: any while closed, one at a time when open and the wait is over.

        ``untried``: there are events that were not tried since it opened.
        """
        return self._until is None or self.wait(now, untried=untried) == 0.0

    def wait(self, now: float, *, untried: bool) -> float | None:
        """Seconds until a probe may go; None if it does not wait for time."""
        if self._until is None or self._probing:
            return None
        return max(0.0, (min(self._soon, self._until) if untried else self._until) - now)

    def begin_batch(self) -> bool:
        """A permitted batch goes now; returns if it is a probe."""
        self._probing = self.open
        return self._probing

    def succeeded(self) -> None:
        """Any success closes the circuit, even of a POST that began before it opened."""
        self._row = self._new = self._waits = 0
        self._until = None
        self._probing = False

    def failed(self, now: float, *, probe: bool, retry: bool, step_ms: int, most_ms: int) -> None:
        """A POST failed. ``retry``: it held a parked event, alone.

        That one is known to be refused: it opens nothing, or the events of others would wait for
        probes on its account.
        """
        self._row += 1
        self._new += not retry
        opens = not self.open and not probe and self._new >= self._most
        if opens or (probe and self.open):
            self._probing = False
            self._soon = now + min(step_ms, most_ms) / 1000
            if opens or self.due(now):
                self._waits += 1
                wait_ms = linear_ms(self._waits, step_ms=step_ms, most_ms=most_ms)
                self._until = now + wait_ms / 1000

    def aborted(self, *, probe: bool) -> None:
        """The POST was not made after all."""
        if probe:
            self._probing = False

    def hurry(self) -> None:
        """End the wait, because an operator changed something."""
        if self.open:
            self._until = self._soon = float("-inf")


def retry_delay_ms(attempts: int, step_ms: int, most_ms: int) -> int:
    """Milliseconds for which an event is parked that failed alone ``attempts`` times."""
    return linear_ms(max(1, attempts), step_ms=step_ms, most_ms=most_ms)


def patience(step_ms: int, *, kept: bool) -> float:
    """Seconds after which an event is given up; ``kept``: it becomes a dead letter then."""
    return GIVE_UP if kept else EARLY_STEPS * step_ms / 1000


def given_up(first_at: float | None, now: float, after: float = GIVE_UP) -> bool:
    """True if it has been tried for so long, usually seven days, that it becomes a dead letter."""
    return first_at is not None and now - first_at >= after
