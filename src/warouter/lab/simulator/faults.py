"""The switches of the native door: faults of claims, answers and events.

What both doors have in common is in ``behaviour``: the speed of the statuses, and all refusals.
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from warouter.lab.simulator import behaviour
from warouter.lab.simulator.behaviour import LONGEST_MS, NUMBERS, Behaviour

__all__ = ["NUMBERS", "Faults", "described"]


class Faults(Behaviour, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every switch with its default; ratios are 0..1, rates are messages per second."""

    warning: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="ratio of messages that get `warning` (an item is not in the catalog) in "
            "place of `sent`",
        ),
    ] = 0.0
    deleted: Annotated[
        float,
        Meta(ge=0, le=1, description="ratio of messages that get `deleted` in place of `read`"),
    ] = 0.0
    no_contacts: Annotated[
        bool, Meta(description="answer contact checks with 503: the API shows them as `failed`")
    ] = False
    throttle: Annotated[
        float,
        Meta(ge=0, le=1, description="ratio of messages answered 429, to be tried again"),
    ] = 0.0
    throttle_ms: Annotated[
        int,
        Meta(ge=0, le=LONGEST_MS, description="time after which a 429 asks for a retry, in ms"),
    ] = 100
    rate: Annotated[
        float,
        Meta(
            ge=0,
            description="messages taken per second and connection, 0 for no limit; what exceeds it "
            "waits in order and is answered later",
        ),
    ] = 0.0
    pair_rate: Annotated[
        float,
        Meta(
            ge=0,
            description="messages taken per second and recipient, 0 for no limit; what exceeds it "
            "is answered 131056, to be tried again",
        ),
    ] = 0.0
    latency_ms: Annotated[
        int,
        Meta(
            ge=0,
            le=LONGEST_MS,
            description="delay of everything the simulator sends, in ms; from 1500 on coreapps "
            "consider it lost",
        ),
    ] = 0
    disconnect: Annotated[
        bool, Meta(description="drop every connection once; the switch resets itself")
    ] = False
    refuse: Annotated[bool, Meta(description="refuse new connections; open ones stay")] = False
    forget_fence: Annotated[
        bool,
        Meta(
            description="grant every claim, revoke none and take sends of any epoch; stale ones "
            "are still counted, and events still go to the newest claim"
        ),
    ] = False
    pause: Annotated[
        bool, Meta(description="take no message: sends wait unanswered until it is off")
    ] = False
    lost_answers: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="ratio of answers, to messages and to claims, that are never sent; what "
            "was taken stays taken",
        ),
    ] = 0.0
    broken_answers: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="ratio of answers whose frame cannot be decoded: a field of the wrong "
            "type, truncated, or larger than the limit",
        ),
    ] = 0.0
    broken_events: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="ratio of events that come after a broken event of their slot, which is "
            "repeated until it is acknowledged, and after a malformed frame",
        ),
    ] = 0.0

    @property
    def replacing(self) -> tuple[float, float]:
        return self.warning, self.deleted


def described() -> list[tuple[str, Any, str]]:
    """Name, default and description of every switch of the native door."""
    return behaviour.described(Faults)
