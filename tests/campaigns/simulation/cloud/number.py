"""The number: what each owner wants to send, why it is stopped, its level."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from tests.campaigns.simulation.cloud.inbox import Inbox

FRESH, LISTENS, WEEK = 10.0, 5.0, 7 * 86_400.0  # seconds


class Number:
    """cloud_share, cloud_pause and cloud_number."""

    def __init__(self, inbox: Inbox, owners: Sequence[UUID | None]) -> None:
        self._inbox = inbox
        self._owners = owners  # by slot
        self.shares: dict[UUID, tuple[float, float]] = {}  # demand, and when it was said
        self.tokens: dict[UUID, bytes] = {}
        # By token: Meta's code, its words, and since when.
        self.stops: dict[bytes, tuple[int, str, float]] = {}
        self.held: dict[str, float] = {}  # templates that Meta holds back, and since when
        self.level: tuple[int, float] | None = None  # and when it was read

    def share(
        self, now: float, incarnation: UUID, demand: float, token: bytes
    ) -> list[dict[str, Any]]:
        self.shares[incarnation] = (demand, now)
        self.tokens[incarnation] = token
        alive = {self.tokens[inc] for inc, (_, at) in self.shares.items() if at > now - FRESH}
        stops = self.stops.items()
        self.stops = {each: s for each, s in stops if each in alive or s[2] > now - FRESH}
        owning = {*self._owners, incarnation}
        shares = [(inc, d, at) for inc, (d, at) in self.shares.items() if inc in owning]
        fresh = [share for share in shares if share[2] > now - FRESH]
        code, details, _ = self.stops.get(token, (None, None, now))
        level, _ = self.level or (None, None)
        paths = self._inbox.paths.values()
        listening = [p.inbound for p in paths if p.left is None and p.seen > now - LISTENS]
        return [
            {
                "level": level,
                "inbound": float(sum(listening)),
                "owners": [inc for inc, _, _ in fresh],
                "demands": [d for _, d, _ in fresh],
                "ages": [now - at for _, _, at in fresh],
                "stop_code": code,
                "stop_details": details,
                "held": [name for name, at in self.held.items() if at > now - WEEK],
            }
        ]

    def stop(self, now: float, code: int, details: str, token: bytes) -> list[dict[str, bool]]:
        news = token not in self.stops
        _, _, since = self.stops.get(token, (0, "", now))
        self.stops[token] = (code, details, since)
        return [{"news": news}]

    def resume(self, token: bytes) -> list[dict[str, int]]:
        found = self.stops.pop(token, None)
        return [] if found is None else [{"code": found[0]}]

    def hold_back(self, now: float, template: str) -> None:
        self.held[template] = now

    def describe(self, now: float, level: int) -> None:
        self.level = (level, now)
