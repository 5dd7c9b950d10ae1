"""When an owner may begin its next request: a token bucket that heeds what the Cloud API says.

The bucket fills at ``rate``, the part of the owner's quota that is in use. That part shrinks when
the Cloud API answers "too many" (130429), and grows again while messages wait and it does not: the
quota is what we believe, the answer is what is true. As a part of the quota, and not a rate of its
own, it follows a new quota at once, and all owners together regain 2 % of the number's budget a
second, however many they are.

A message with priority goes before others, and has half of the tokens while others wait.
"""

from __future__ import annotations

# Chance gives an owner more messages in one second than in the next: with less, they wait at a
# number that is nearly full. With more, a campaign after a pause is "too many".
BURST_SECONDS = 1.0
CUT = 0.7
CUT_EVERY_SECONDS = 1.0
GROWTH = 0.02  # of the quota, a second
LEAST = 0.02  # of the quota: enough that a request now and then finds out that all is well again
PRIORITY = 0.5
_WHOLE = 1.0 - 1e-6  # a token, but for rounding: who waits as long as told shall find one


class Budget:
    """The tokens of one owner. Times are the caller's seconds, ``quota`` is messages a second.

    ``burst``: what was not used for so many seconds may be used at once.
    """

    def __init__(self, quota: float, now: float, burst: float = BURST_SECONDS) -> None:
        self._quota = quota
        self._burst = burst
        self._part = 1.0
        self._at = now
        self._tokens = self._depth(1.0)
        self._urgent = self._depth(PRIORITY)  # tokens that priority may have while others wait
        self._backlog = False  # somebody asked for a token and did not get it
        self._cut_at = self._calm_from = now - CUT_EVERY_SECONDS

    @property
    def rate(self) -> float:
        """Messages a second, never above the quota."""
        return self._quota * self._part

    def grant(self, quota: float, now: float) -> None:
        """From now on the quota is this; above 0."""
        self._advance(now)
        self._quota = quota

    def throttled(self, now: float) -> None:
        """The Cloud API answered that it were too many."""
        self._advance(now)
        self._calm_from = now + CUT_EVERY_SECONDS
        if now - self._cut_at >= CUT_EVERY_SECONDS:
            self._part = max(LEAST, self._part * CUT)
            self._cut_at = now

    def has(self, now: float, *, priority: bool = False, others: bool = False) -> bool:
        """True if ``take`` with the same words would be."""
        self._advance(now)
        self._backlog = self._tokens < _WHOLE
        return not self._backlog and not (priority and others and self._urgent < _WHOLE)

    def take(self, now: float, *, priority: bool = False, others: bool = False) -> bool:
        """Take a token for one request; False if there is none.

        ``priority``: the message has it; ``others``: some without it wait. If their half is what is
        left, False: give the token to one of them.
        """
        if not self.has(now, priority=priority, others=others):
            return False
        self._tokens -= 1.0
        if priority and others:
            self._urgent -= 1.0
        return True

    def due(self, now: float) -> float:
        """Seconds until the next token is there; 0 if one is."""
        self._advance(now)
        return 0.0 if self._tokens >= _WHOLE else (1.0 - self._tokens) / self.rate

    def _advance(self, now: float) -> None:
        if now <= self._at:
            return
        new = (now - self._at) * self.rate
        self._tokens = min(self._tokens + new, self._depth(1.0))
        self._urgent = min(self._urgent + new * PRIORITY, self._depth(PRIORITY))
        if self._backlog:
            calm = max(0.0, now - max(self._at, self._calm_from))
            self._part = min(1.0, self._part + GROWTH * calm)
        self._at = now

    def _depth(self, part: float) -> float:
        return max(1.0, self.rate * self._burst * part)
