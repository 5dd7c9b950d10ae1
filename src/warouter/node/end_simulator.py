"""The simulator as the end of a coreapp's pipelines."""

from __future__ import annotations

from warouter.node.end import Common, End, Remote
from warouter.owner.sender import Sender, SenderParts
from warouter.upstream.client import SimulatorUpstream
from warouter.upstream.media_service import MediaService


class SimulatorRemote(Remote):
    """The simulator, which drops repeats and keeps what is not acknowledged."""

    def __init__(self, common: Common) -> None:
        identity = common.identity
        address = common.settings.upstream_host_port
        self.upstream = SimulatorUpstream(*address, identity.name, identity.incarnation.hex)
        self.acks = self.upstream
        self.contents = MediaService(common.settings.upstream_services_url)

    def end(self, parts: SenderParts) -> End:
        return End(Sender(parts, self.upstream))
