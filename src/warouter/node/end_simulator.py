"""The simulator as the end of a coreapp's pipelines, also after a switch from the Cloud API."""

from __future__ import annotations

from collections.abc import Coroutine, Iterable, Sequence
from typing import Any

from msgspec.structs import replace

from warouter.flow.doubt import Policy
from warouter.flow.windows import Windows
from warouter.metrics import Sample
from warouter.node.end import Common
from warouter.node.figures.cloud import doubt_samples
from warouter.owner.claims import Claims
from warouter.owner.cloud.drain import Drain
from warouter.owner.cloud.proving import Proving
from warouter.owner.cloud.rate.brake import Brake
from warouter.owner.cloud.rows import NothingOut, Rows
from warouter.owner.cloud.rules import RuleBook
from warouter.owner.doubting import DoubtingSender
from warouter.owner.hearing import UpstreamListener
from warouter.owner.listener import SlotListener
from warouter.owner.media.attachments import Attachments
from warouter.owner.receipts import Receipts
from warouter.owner.sender import Sender
from warouter.upstream.client import SimulatorUpstream
from warouter.upstream.media import MediaService
from warouter.upstream.protocol import Acks, Event, Heard, Hearing


class SimulatorEnd:
    """The simulator, which drops repeats and keeps what is not acknowledged."""

    issues = False
    acks: Acks
    listeners: Sequence[SlotListener]

    def __init__(self, common: Common) -> None:
        self._common = common
        identity = common.identity
        address = common.settings.upstream_host_port
        self.upstream = SimulatorUpstream(*address, identity.name, identity.incarnation.hex)
        self.acks = self.upstream
        self.contents = MediaService(common.settings.upstream_services_url)
        self.listeners = ()

    def sender(self, receipts: Receipts, attachments: Attachments, claims: Claims) -> Sender:
        common = self._common
        return Sender(
            common.ownership,
            common.journal,
            common.recorder,
            receipts,
            attachments,
            claims,
            self.upstream,
            common.clock,
            common.settings.pending_seconds,
        )

    def wire(self, hearing: UpstreamListener) -> None:
        """The upstream tells it itself."""

    def work(self) -> dict[str, Coroutine[Any, Any, None]]:
        return {}

    def hint(self, what: str) -> None:
        """Nothing that it hears of concerns it."""

    def samples(self) -> list[Sample]:
        return []

    async def close(self) -> None:
        """Its connection is closed with the upstream."""


class SwitchedEnd(SimulatorEnd):
    """The simulator after the Cloud API: what that may have taken is held, and what its webhooks
    brought before is read.
    """

    issues = True

    def __init__(self, common: Common) -> None:
        super().__init__(common)
        self._drain = Drain(common.ownership, common.journal, Rows(NothingOut()))
        self.acks = BothAcks(self.upstream, self._drain)
        self.listeners = (self._drain,)

    def sender(self, receipts: Receipts, attachments: Attachments, claims: Claims) -> Sender:
        common, settings = self._common, self._common.settings
        windows = Windows(settings.cloud_doubt_seconds)
        self._sender = DoubtingSender(
            common.ownership,
            common.journal,
            common.recorder,
            receipts,
            attachments,
            claims,
            self.upstream,
            common.clock,
            settings.pending_seconds,
            rules=RuleBook(Policy.HOLD, windows, 0.0, settings.pending_seconds),
            readings=self._drain,
            proving=Proving(common.journal, windows, common.clock),
            going=Brake(),
        )
        return self._sender

    def wire(self, hearing: UpstreamListener) -> None:
        self._drain.pass_on(Below(hearing), self._sender.doubts)

    def work(self) -> dict[str, Coroutine[Any, Any, None]]:
        doubts = self._sender.doubts.run(self._common.ownership)
        return {"doubts": doubts, "inbox": self._drain.run()}

    def samples(self) -> list[Sample]:
        return doubt_samples(self._sender.doubts, self._common.all_issues)


class Below(Hearing):
    """Passes events of the inbox on, with numbers below zero: the simulator numbers its own."""

    def __init__(self, hearing: Hearing) -> None:
        self._hearing = hearing

    def congested(self) -> bool:
        return self._hearing.congested()

    def on_upstream(self, heard: Iterable[Heard]) -> None:
        events = [each for each in heard if isinstance(each, Event)]
        self._hearing.on_upstream([replace(event, number=-event.number) for event in events])


class BothAcks(Acks):
    """Acknowledges each event where it came from."""

    def __init__(self, upstream: Acks, drain: Drain) -> None:
        self._upstream = upstream
        self._drain = drain

    def ack(self, slot: int, epoch: int, numbers: list[int]) -> None:
        if of_upstream := [n for n in numbers if n >= 0]:
            self._upstream.ack(slot, epoch, of_upstream)
        if of_inbox := [-n for n in numbers if n < 0]:
            self._drain.ack(slot, epoch, of_inbox)
