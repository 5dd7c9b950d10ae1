"""Numbers: what each owner wants to send, why one is stopped, its level."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from tests.campaigns.simulation.cloud.inbox import Inbox

FRESH, LISTENS, WEEK = 10.0, 5.0, 7 * 86_400.0  # seconds


Place = tuple[int, bytes]  # a number, and a token of it


class Number:
    """cloud_share, cloud_pause, cloud_held and cloud_number."""

    def __init__(self, inbox: Inbox, owners: Sequence[UUID | None]) -> None:
        self._inbox = inbox
        self._owners = owners  # by slot
        # By owner and number: the demand, when it was said, and the token.
        self.shares: dict[tuple[UUID, int], tuple[float, float, bytes]] = {}
        # Meta's code, its words, and since when.
        self.stops: dict[Place, tuple[int, str, float]] = {}
        # Templates of an account that Meta holds back, and since when.
        self.held: dict[tuple[str, str], float] = {}
        self.levels: dict[int, int] = {}

    def share(
        self,
        now: float,
        incarnation: UUID,
        number: int,
        account: str,
        demand: float,
        token: bytes,
    ) -> list[dict[str, Any]]:
        self.shares[incarnation, number] = (demand, now, token)
        alive = {(of, t) for (_, of), (_, at, t) in self.shares.items() if at > now - FRESH}
        self.stops = {
            place: stop
            for place, stop in self.stops.items()
            if place[0] != number or place in alive or stop[2] > now - FRESH
        }
        owning = {*self._owners, incarnation}
        shares = [
            (owner, d, at)
            for (owner, of), (d, at, _) in self.shares.items()
            if of == number and owner in owning
        ]
        fresh = [share for share in shares if share[2] > now - FRESH]
        code, details, _ = self.stops.get((number, token), (None, None, now))
        paths = self._inbox.paths.values()
        listening = [p.inbound for p in paths if p.left is None and p.seen > now - LISTENS]
        return [
            {
                "level": self.levels.get(number),
                "inbound": float(sum(listening)),
                "owners": [inc for inc, _, _ in fresh],
                "demands": [d for _, d, _ in fresh],
                "ages": [now - at for _, _, at in fresh],
                "stop_code": code,
                "stop_details": details,
                "held": [
                    name
                    for (of, name), at in self.held.items()
                    if of == account and at > now - WEEK
                ],
            }
        ]

    def stop(
        self, now: float, number: int, code: int, details: str, token: bytes
    ) -> list[dict[str, bool]]:
        place = number, token
        news = place not in self.stops
        _, _, since = self.stops.get(place, (0, "", now))
        self.stops[place] = (code, details, since)
        return [{"news": news}]

    def resume(self, number: int, token: bytes) -> list[dict[str, int]]:
        found = self.stops.pop((number, token), None)
        return [] if found is None else [{"code": found[0]}]

    def hold_back(self, now: float, account: str, template: str) -> None:
        self.held[account, template] = now

    def describe(self, number: int, level: int) -> None:
        self.levels[number] = level
