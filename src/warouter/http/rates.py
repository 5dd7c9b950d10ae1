"""The product's rate limits: each user has one token bucket
for POST /v1/messages and one for all other requests. Pure.

Each webapp counts for itself, as each web container of the product did.
"""

from __future__ import annotations

import msgspec

from warouter.errors import ConfigError

OFF, PRODUCT = "off", "product"
_PRODUCT = "50/150,20/60"
MOST_BUCKETS = 4096  # kept; a full one is as good as none
_SENTENCE = (
    "it must be off, product (50 messages a second with bursts of 150, 20 other requests with"
    " bursts of 60), or RATE/BURST,RATE/BURST for messages and other requests"
)


class RateLimit(msgspec.Struct, frozen=True):
    """``rate`` requests a second on average, ``burst`` at once after a pause."""

    rate: float
    burst: int


class Rates(msgspec.Struct, frozen=True):
    """The rates of POST /v1/messages and of all other requests."""

    messages: RateLimit
    others: RateLimit


class TokenBucket:
    """A token bucket: fills by ``rate`` tokens a second up to ``burst``; each request takes one."""

    __slots__ = ("_at", "_rate", "_tokens")

    def __init__(self, rate: RateLimit, now: float) -> None:
        self._rate = rate
        self._tokens = float(rate.burst)
        self._at = now

    def take(self, now: float) -> float:
        """Take a token and return 0.0; without one, return the seconds until there is one.

        ``now`` is the caller's clock, which never goes back.
        """
        filled = self._tokens + (now - self._at) * self._rate.rate
        self._tokens, self._at = min(filled, self._rate.burst), now
        if self._tokens >= 1.0:
            self._tokens -= 1.0
            return 0.0
        return (1.0 - self._tokens) / self._rate.rate

    def full(self, now: float) -> bool:
        """True if the bucket equals a new one, and can be forgotten."""
        return self._tokens + (now - self._at) * self._rate.rate >= self._rate.burst


class Buckets:
    """The buckets of all users, each of a number, independent of each other."""

    def __init__(self, rates: Rates) -> None:
        self._rates = rates
        self._of: dict[tuple[int, str, bool], TokenBucket] = {}

    def __len__(self) -> int:
        return len(self._of)

    def take(self, number: int, user: str, now: float, *, sends: bool) -> float:
        """Take a token of this user of a number; ``sends`` means POST /v1/messages."""
        bucket = self._of.get((number, user, sends))
        if bucket is None:
            if len(self._of) >= MOST_BUCKETS:
                self._of = {key: kept for key, kept in self._of.items() if not kept.full(now)}
            rate = self._rates.messages if sends else self._rates.others
            bucket = self._of[number, user, sends] = TokenBucket(rate, now)
        return bucket.take(now)


def parse_rates(text: str) -> Rates | None:
    """Parse WAROUTER_RATE_LIMIT; None for ``off``. Raises ConfigError with the allowed forms."""
    if text.strip().lower() == OFF:
        return None
    parts = (_PRODUCT if text.strip().lower() == PRODUCT else text).split(",")
    try:
        messages, others = (_rate(part) for part in parts)
    except ValueError as error:
        raise ConfigError(f"WAROUTER_RATE_LIMIT is {text!r}; {_SENTENCE}.") from error
    return Rates(messages, others)


def _rate(part: str) -> RateLimit:
    rate, _, burst = part.partition("/")
    parsed = RateLimit(float(rate), int(burst))
    if not (0 < parsed.rate <= 1e6 and 1 <= parsed.burst <= 1_000_000):
        raise ValueError(part)
    return parsed
