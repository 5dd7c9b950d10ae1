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
        self.stopped: tuple[int, str, bytes] | None = None
        self.held: dict[str, float] = {}  # templates that Meta holds back, and since when
        self.level: tuple[int, float] | None = None  # and when it was read

    def share(self, now: float, incarnation: UUID, demand: float) -> list[dict[str, Any]]:
        self.shares[incarnation] = (demand, now)
        owning = {*self._owners, incarnation}
        shares = [(inc, d, at) for inc, (d, at) in self.shares.items() if inc in owning]
        fresh = [share for share in shares if share[2] > now - FRESH]
        code, details, token = self.stopped or (None, None, None)
        level, read_at = self.level or (None, None)
        paths = self._inbox.paths.values()
        listening = [p.inbound for p in paths if p.left is None and p.seen > now - LISTENS]
        return [
            {
                "level": level,
                "read_age": None if read_at is None else now - read_at,
                "inbound": float(sum(listening)),
                "owners": [inc for inc, _, _ in fresh],
                "demands": [d for _, d, _ in fresh],
                "ages": [now - at for _, _, at in fresh],
                "stop_code": code,
                "stop_details": details,
                "stop_token": token,
                "held": [name for name, at in self.held.items() if at > now - WEEK],
            }
        ]

    def stop(self, code: int, details: str, token: bytes) -> list[dict[str, bool]]:
        was, self.stopped = self.stopped, (code, details, token)
        return [{"news": was is None or was[2] != token}]

    def resume(self, token: bytes, well: bool) -> list[dict[str, int]]:
        if self.stopped is None or (self.stopped[2] == token and not well):
            return []
        code, self.stopped = self.stopped[0], None
        return [{"code": code}]

    def hold_back(self, now: float, template: str) -> None:
        self.held[template] = now

    def describe(self, now: float, level: int) -> None:
        self.level = (level, now)
