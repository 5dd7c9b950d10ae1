"""The simulator as the end of a coreapp's pipelines."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Any

from warouter.metrics import Sample
from warouter.node.end import Common
from warouter.owner.claims import Claims
from warouter.owner.hearing import UpstreamListener
from warouter.owner.listener import SlotListener
from warouter.owner.media.attachments import Attachments
from warouter.owner.receipts import Receipts
from warouter.owner.sender import Sender
from warouter.upstream.client import SimulatorUpstream
from warouter.upstream.media_service import MediaService
from warouter.upstream.protocol import Acks


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
        """Ignore hints, as none concerns the simulator."""

    def samples(self) -> list[Sample]:
        return []

    async def close(self) -> None:
        """Close nothing: its connection is closed with the upstream."""
