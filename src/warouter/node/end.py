"""The end of a coreapp's pipelines, which is one of two upstreams."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, NamedTuple

from warouter.app_settings import ApplicationSettings
from warouter.config import Settings
from warouter.flow.doubt.states import Issue
from warouter.link.listen import StatusOwner
from warouter.metrics import Sample
from warouter.node.runtime import ProcessIdentity
from warouter.owner.hearing import UpstreamListener
from warouter.owner.listener import SlotListener
from warouter.owner.ownership import Ownership
from warouter.owner.recorder import Recorder
from warouter.owner.sender import Sender, SenderParts
from warouter.store.beats import NodeSession
from warouter.store.journal import Journal
from warouter.upstream.media_service import UpstreamMedia
from warouter.upstream.protocol import Acks, Upstream


class Common(NamedTuple):
    """The parts that both ends are made of."""

    settings: Settings
    identity: ProcessIdentity
    journal: Journal
    ownership: Ownership
    recorder: Recorder
    session: NodeSession
    clock: Callable[[], float]
    app_settings: Callable[[int], ApplicationSettings]  # of a number

    @property
    def all_issues(self) -> list[Issue]:
        """The requests on record of all slots."""
        return [issue for slot in self.ownership.slots.values() for issue in slot.issues.values()]


class Remote(ABC):
    """The far side, which the parts between it and the webapps are made with. The near side needs
    those parts, and so is made of both.
    """

    upstream: Upstream
    acks: Acks  # the keeper of events until they are on disk
    contents: UpstreamMedia  # where media goes and comes from

    @abstractmethod
    def end(self, parts: SenderParts) -> End:
        """The near side, made with these parts."""


class End:
    """The near side: the sender, and what else goes on where the upstream is. This one has the
    sender alone: the simulator needs no more, as it tells the listener itself.
    """

    issues = False  # messages may have issue rows
    # Parts that hear of each slot, beside those that both ends have.
    listeners: Sequence[SlotListener] = ()
    statuses: StatusOwner | None = None  # who takes statuses of webhooks from webapps

    def __init__(self, sender: Sender) -> None:
        self.sender = sender

    def work(self, hearing: UpstreamListener) -> dict[str, Coroutine[Any, Any, None]]:
        """Tasks for the process's life; events not of the upstream itself go to ``hearing``."""
        return {}

    def hint(self, what: str) -> None:
        """Hear what another process has said to all."""

    def samples(self) -> list[Sample]:
        return []

    async def close(self) -> None:
        """Close what the upstream does not close itself."""
