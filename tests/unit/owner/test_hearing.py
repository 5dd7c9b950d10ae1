"""The owner's ear: which part of the owner an event of the upstream goes to."""

from __future__ import annotations

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest

from warouter.owner.hearing import UpstreamListener
from warouter.owner.slot import Claiming, OwnedSlot
from warouter.upstream.protocol import Event


class Part:
    """It keeps what it is given."""

    def __init__(self) -> None:
        self.heard: list[tuple[OwnedSlot, Event]] = []

    def on_events(self, heard: Iterable[tuple[OwnedSlot, Event]]) -> None:
        self.heard += heard

    def on_inbound(self, slot: OwnedSlot, event: Event) -> None:
        self.heard.append((slot, event))


class Scene:
    """An owner of slot 3."""

    def __init__(self, claim: Claiming) -> None:
        self.slot = OwnedSlot(3, 1)
        self.slot.claim = claim
        self.downloads, self.receipts = Part(), Part()
        ownership: Any = SimpleNamespace(slots={3: self.slot})
        parts: Any = {"downloads": self.downloads, "receipts": self.receipts}
        unused: Any = None
        self.ear = UpstreamListener(ownership, claims=unused, sender=unused, **parts)

    def hear(self, kind: str, slot: int = 3) -> Event:
        event = Event(slot, 1, kind, "m:sent:1", "4915112345678", b"{}")
        self.ear.on_upstream([event])
        return event


def test_only_inbound_messages_wait_for_media() -> None:
    scene = Scene(Claiming.GRANTED)
    inbound, status, other = (scene.hear(kind) for kind in ("inbound", "status", "unheard of"))
    assert scene.downloads.heard == [(scene.slot, inbound)]
    assert scene.receipts.heard == [(scene.slot, status), (scene.slot, other)]  # it refuses that


@pytest.mark.parametrize("claim", [Claiming.NO, Claiming.ASKED])
def test_an_event_without_a_claim_is_of_an_earlier_epoch(claim: Claiming) -> None:
    scene = Scene(claim)
    for kind in ("inbound", "status"):
        scene.hear(kind)
    assert scene.downloads.heard == scene.receipts.heard == []


def test_events_of_slots_of_others_are_not_heard() -> None:
    scene = Scene(Claiming.GRANTED)
    scene.hear("status", slot=4)
    assert scene.receipts.heard == []
