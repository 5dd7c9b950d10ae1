"""The simulator as the end of a coreapp's pipelines."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Any

from warouter.metrics import Sample
from warouter.node.end import Common
from warouter.owner.hearing import UpstreamListener
from warouter.owner.listener import SlotListener
from warouter.owner.sender import Sender, SenderParts
from warouter.upstream.client import SimulatorUpstream
from warouter.upstream.media_service import MediaService


class SimulatorRemote:
    """The simulator, which drops repeats and keeps what is not acknowledged."""

    def __init__(self, common: Common) -> None:
        identity = common.identity
        address = common.settings.upstream_host_port
        self.upstream = SimulatorUpstream(*address, identity.name, identity.incarnation.hex)
        self.acks = self.upstream
        self.contents = MediaService(common.settings.upstream_services_url)

    def end(self, parts: SenderParts) -> SimulatorEnd:
        return SimulatorEnd(Sender(parts, self.upstream))


class SimulatorEnd:
    """It needs a sender and nothing else: the upstream tells the listener itself."""

    issues = False
    listeners: Sequence[SlotListener] = ()

    def __init__(self, sender: Sender) -> None:
        self.sender = sender

    def work(self, hearing: UpstreamListener) -> dict[str, Coroutine[Any, Any, None]]:
        return {}

    def hint(self, what: str) -> None:
        """Ignore hints, as none concerns the simulator."""

    def samples(self) -> list[Sample]:
        return []

    async def close(self) -> None:
        """Close nothing: its connection is closed with the upstream."""
