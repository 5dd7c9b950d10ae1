"""All switches of the Cloud door, and what must hold between them. Pure.

``graph_faults`` has those of requests, ``webhook_faults`` those of webhooks, ``behaviour`` what
both doors of the simulator have in common.
"""

from __future__ import annotations

from typing import Any

from warouter.lab.simulator import behaviour
from warouter.lab.simulator.behaviour import NUMBERS
from warouter.lab.simulator.cloud.webhook_faults import WebhookFaults
from warouter.recipient import wa_id

# The switches that begin when they are set and reset themselves.
TIMED = ("upgrade_s", "deaf_s", "cut_s", "outage_s", "hold_webhooks_s")
LISTS = (
    *NUMBERS,
    "withheld",
    "held_templates",
    "expired_tokens",
    "other_tokens",
    "missing_scopes",
    "granted",
    "missing_fields",
)
_TROUBLES = (
    "throttle",
    "bare_throttle",
    "slow",
    "late",
    "abandon",
    "drop_before",
    "drop_after",
    "half",
    "unanswered",
    "fail_before",
    "fail_after",
    "latency_ms",
    "latency_most_ms",
)


class CloudFaults(WebhookFaults, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every switch with its default; by default the door behaves as Meta's does."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for number in self.withheld:
            if wa_id(number) != number:
                raise ValueError(f"withheld holds wa_ids (digits only), not {number!r}")
        if self.latency_most_ms and self.latency_most_ms < self.latency_ms:
            raise ValueError("latency_most_ms must not be below latency_ms")
        if self.late_ms < self.late_least_ms:
            raise ValueError("late_ms must not be below late_least_ms")

    @property
    def troubles(self) -> bool:
        """True if a request may meet something else than its answer at once."""
        return any(getattr(self, name) for name in _TROUBLES)


def described() -> list[tuple[str, Any, str]]:
    """Name, default and description of every switch of the Cloud door."""
    return behaviour.described(CloudFaults)
