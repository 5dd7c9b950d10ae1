"""The parts of a coreapp that only the Cloud API needs, and how they stand.

outgoing   Sender -> Issuer (an issue row each) -> CloudUpstream -> Graph
incoming   the inbox, which webapps fill -> Drain -> UpstreamListener -> as ever
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from warouter.config import Settings
from warouter.flow.doubt import Policy
from warouter.flow.share import outgoing
from warouter.flow.windows import Windows
from warouter.metrics import Sample
from warouter.node.figures_cloud import cloud_samples
from warouter.node.runtime import Identity
from warouter.owner.claims import Claims
from warouter.owner.cloud.doubts import Doubts
from warouter.owner.cloud.drain import Drain
from warouter.owner.cloud.learned import Learned
from warouter.owner.cloud.number import DEFAULT_LEVEL, Number
from warouter.owner.cloud.pace import Pace
from warouter.owner.cloud.proving import Proving
from warouter.owner.cloud.requests import Requests
from warouter.owner.cloud.rows import Rows
from warouter.owner.cloud.rules import RuleBook
from warouter.owner.cloud.sender import CloudSender
from warouter.owner.cloud.unmatched import Unmatched
from warouter.owner.cloud.words import Words
from warouter.owner.hearing import UpstreamListener
from warouter.owner.listener import SlotListener
from warouter.owner.media.attachments import Attachments
from warouter.owner.ownership import Ownership
from warouter.owner.receipts import Receipts
from warouter.owner.recorder import Recorder
from warouter.owner.sender import Sender
from warouter.store.beats import NodeSession
from warouter.store.journal import Journal
from warouter.upstream.client import SimulatorUpstream
from warouter.upstream.cloud.graph.calls import Calls
from warouter.upstream.cloud.graph.client import CloudUpstream
from warouter.upstream.cloud.graph.exchange import Graph
from warouter.upstream.cloud.graph.media import CloudMedia
from warouter.upstream.cloud.graph.number import Number as GraphNumber
from warouter.upstream.cloud.graph.recovery import Recovery
from warouter.upstream.cloud.secrets import Secrets
from warouter.upstream.media import MediaService
from warouter.upstream.protocol import Acks, Upstream

NOTICES = "cloud "  # what webapps say of Meta's notices begins so


class Common(NamedTuple):
    """What both ends are made of."""

    settings: Settings
    identity: Identity
    journal: Journal
    ownership: Ownership
    recorder: Recorder
    session: NodeSession
    clock: Callable[[], float]


class End(Protocol):
    """One of the two; made before what lies between it and the webapps, and wired to it after."""

    @property
    def upstream(self) -> Upstream: ...

    @property
    def acks(self) -> Acks:
        """Who keeps events until they are on disk."""
        ...

    @property
    def contents(self) -> MediaService:
        """Where media goes and comes from."""
        ...

    @property
    def listeners(self) -> Sequence[SlotListener]:
        """Parts that hear of each slot, beside those that both ends have."""
        ...

    def sender(self, receipts: Receipts, attachments: Attachments, claims: Claims) -> Sender: ...

    def wire(self, hearing: UpstreamListener) -> None:
        """Events go to ``hearing``."""

    def work(self) -> dict[str, Coroutine[Any, Any, None]]:
        """What runs as long as the process does."""
        ...

    def hint(self, what: str) -> None:
        """What another process has said to all."""

    def samples(self) -> list[Sample]: ...

    async def close(self) -> None: ...


def end_of(common: Common) -> End:
    """The end that the settings name."""
    return CloudEnd(common) if common.settings.upstream == "cloud" else SimulatorEnd(common)


class SimulatorEnd:
    """The simulator, which drops repeats and keeps what is not acknowledged."""

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


class CloudEnd:
    """The Cloud API, which knows of no repeats, slots or epochs."""

    def __init__(self, common: Common) -> None:
        self._common = common
        settings, clock = common.settings, common.clock
        journal, ownership = common.journal, common.ownership
        cloud = settings.cloud
        self.secrets = secrets = Secrets(cloud)
        self.graph = Graph(cloud, secrets, settings.json_limit)
        self.upstream = CloudUpstream(self.graph, clock)
        self._calls = Calls(cloud, secrets)
        self.contents = CloudMedia(cloud, secrets, self._calls)
        rows = Rows(self.upstream, late_success=cloud.late_success)
        self.drain = self.acks = Drain(ownership, journal, rows)
        self.listeners = (self.drain,)
        windows = Windows(cloud.doubt_seconds)
        self._rules = RuleBook(
            Policy(cloud.in_doubt), windows, cloud.fence, settings.pending_seconds
        )
        self._proving = Proving(journal, windows, clock)
        self._unmatched = Unmatched(
            ownership, journal, self._proving.unix, lambda: self.upstream.posts, clock, windows
        )
        self.pace = Pace(cloud.rate or outgoing(DEFAULT_LEVEL, 0.0), clock)
        graph_number = GraphNumber(cloud, self._calls)
        self._recovery = Recovery(self.upstream, graph_number.probe, clock)
        self.number = Number(
            ownership,
            common.identity.incarnation,
            common.session.fetch,
            common.session.registered,
            self.pace,
            graph_number,
            lambda: secrets.token_hash,
            self._rules,
            cloud.rate,
            clock,
            self.graph.size,
        )
        self._learned = Learned(journal)
        self._requests = Requests(
            ownership,
            journal,
            common.recorder,
            self.upstream,
            clock,
            pace=self.pace,
            proving=self._proving,
            words=Words(journal.say),
            learned=self._learned,
            stop=self.number.stop,
            prove=self.drain.prove,
            until_sent=cloud.order == "sent",
        )

    @property
    def doubts(self) -> Doubts:
        return self._sender.doubts

    @property
    def answers(self) -> Mapping[str, int]:
        return self._requests.answers

    def sender(self, receipts: Receipts, attachments: Attachments, claims: Claims) -> Sender:
        common = self._common
        self._sender = CloudSender(
            common.ownership,
            common.journal,
            common.recorder,
            receipts,
            attachments,
            claims,
            self.upstream,
            common.clock,
            common.settings.pending_seconds,
            pace=self.pace,
            rules=self._rules,
            readings=self.drain,
            proving=self._proving,
            requests=self._requests,
        )
        return self._sender

    def wire(self, hearing: UpstreamListener) -> None:
        self.drain.pass_on(hearing, self.doubts)

    def work(self) -> dict[str, Coroutine[Any, Any, None]]:
        return {
            "issues": self._requests.issuer.run(),
            "inbox": self.drain.run(),
            "unmatched": self._unmatched.run(),
            "number": self.number.run(),
            "recovery": self._recovery.run(),
            "identities": self._learned.run(),
            "secrets": self.secrets.follow(),
        }

    def hint(self, what: str) -> None:
        if what.startswith(NOTICES):
            self.number.read_soon()

    def samples(self) -> list[Sample]:
        slots = self._common.ownership.slots.values()
        return cloud_samples(self, [i for slot in slots for i in slot.issues.values()])

    async def close(self) -> None:
        self.pace.close()
        await self._calls.close()
