"""The parts of the webapp's process that the monitoring handlers and the rate limit use."""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from warouter.api.access.caller import Caller
from warouter.errors import TooManyRequests
from warouter.http.meter import Meter
from warouter.http.rates import Buckets, Rates
from warouter.metrics import Sample
from warouter.store.reports import Report
from warouter.store.views.facts import ClusterFacts

MESSAGES = ("POST", "/v1/messages")


@dataclass(slots=True)
class Operations:
    """Sources of monitoring data, one object for each webapp. Its
    callables raise the store's errors when the database does not answer.
    """

    node: str
    reports: Callable[[], Awaitable[list[Report]]]
    stored: Callable[[], Awaitable[list[Sample]]]
    tables: Callable[[], Awaitable[list[Sample]]]
    facts: Callable[[int], Awaitable[ClusterFacts]]  # by the number that asks
    own: Callable[[], list[Sample]]  # of this process, at this moment
    rates: Rates | None = None
    meter: Meter = field(default_factory=Meter)
    _buckets: Buckets | None = field(default=None, init=False)

    def admit(self, method: str, path: str, caller: Caller) -> None:
        """Raises TooManyRequests if the caller's rate limit for this kind of request is used up."""
        if self.rates is None:
            return
        if self._buckets is None:
            self._buckets = Buckets(self.rates)
        sends = (method, path) == MESSAGES
        now = time.monotonic()
        wait = self._buckets.take(caller.number, caller.username, now, sends=sends)
        if wait > 0:
            self.meter.limited += 1
            raise TooManyRequests(
                "the rate limit is reached; slow down", retry_after=max(1, math.ceil(wait))
            )
