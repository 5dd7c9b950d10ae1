"""The Cloud API as the end of a coreapp's pipelines, and which of the ends a coreapp has.

outgoing   Sender -> Issuer (an issue row each) -> CloudUpstream -> GraphExchange
incoming   the inbox, which webapps fill -> Drain -> UpstreamListener -> as ever
"""

from __future__ import annotations

import logging
from collections.abc import Coroutine, Mapping
from typing import Any

import asyncpg

from warouter.errors import OutcomeUnknown
from warouter.flow.aftermath import Aftermath
from warouter.flow.doubt import Policy
from warouter.flow.share import outgoing
from warouter.flow.windows import Windows
from warouter.metrics import Sample
from warouter.node.end import Common, End
from warouter.node.end_simulator import SimulatorEnd
from warouter.node.figures.cloud import cloud_samples, number_samples
from warouter.owner.claims import Claims
from warouter.owner.cloud.doubts import Doubts
from warouter.owner.cloud.drain import Drain
from warouter.owner.cloud.facts.described import Described, Known
from warouter.owner.cloud.learned import Learned
from warouter.owner.cloud.proving import Proving
from warouter.owner.cloud.rate.number import DEFAULT_LEVEL, Number
from warouter.owner.cloud.rate.pace import Pace
from warouter.owner.cloud.requests import Requests
from warouter.owner.cloud.rows import Rows
from warouter.owner.cloud.rules import RuleBook
from warouter.owner.cloud.sender import CloudSender
from warouter.owner.cloud.unmatched import Unmatched
from warouter.owner.cloud.words import Words
from warouter.owner.hearing import UpstreamListener
from warouter.owner.media.attachments import Attachments
from warouter.owner.receipts import Receipts
from warouter.owner.sender import Sender
from warouter.store.locks import CHANNEL
from warouter.upstream.cloud.answers import Judged
from warouter.upstream.cloud.graph.app_calls import App
from warouter.upstream.cloud.graph.calls import Calls
from warouter.upstream.cloud.graph.client import CloudUpstream, MessagePost
from warouter.upstream.cloud.graph.exchange import GraphExchange
from warouter.upstream.cloud.graph.marketing import Marketing
from warouter.upstream.cloud.graph.media_calls import CloudMedia
from warouter.upstream.cloud.graph.number_calls import NumberCalls
from warouter.upstream.cloud.graph.recovery import AWAY, THERE, Recovery
from warouter.upstream.cloud.secrets import Secrets

log = logging.getLogger(__name__)

_TELL = "select pg_notify($1, $2)"
NOTICES = "cloud "  # the prefix of what webapps tell of Meta's notices


def end_of(common: Common) -> End:
    """The end that the settings name."""
    return CloudEnd(common) if common.settings.upstream == "cloud" else SimulatorEnd(common)


class CloudEnd:
    """The Cloud API, which knows of no repeats, slots or epochs."""

    issues = True

    def __init__(self, common: Common) -> None:
        self._common = common
        settings, clock = common.settings, common.clock
        journal, ownership = common.journal, common.ownership
        cloud = settings.cloud
        self.secrets = secrets = Secrets(cloud)
        self.graph = GraphExchange(cloud, secrets, settings.json_limit)
        self.aftermath = Aftermath()
        marketing = Marketing(on=cloud.marketing == "auto")
        self.upstream = CloudUpstream(self.graph, clock, self._told, marketing)
        self._calls = Calls(cloud, secrets)
        self.contents = CloudMedia(cloud, secrets, self._calls)
        self._learned = Learned(journal)
        rows = Rows(
            self.upstream,
            late_success=cloud.late_success,
            heard=self._heard,
            unreachable=self._learned.unreachable,
        )
        self.drain = self.acks = Drain(ownership, journal, rows)
        windows = Windows(cloud.doubt_seconds)
        self._rules = RuleBook(
            Policy(cloud.in_doubt), windows, cloud.fence, settings.pending_seconds
        )
        self._proving = Proving(journal, windows, clock)
        self._unmatched = Unmatched(
            ownership,
            journal,
            self._proving.unix,
            lambda: self.upstream.posts + self.drain.proved,
            clock,
            windows,
        )
        self.pace = Pace(cloud.rate or outgoing(DEFAULT_LEVEL, 0.0), clock)
        graph_number = NumberCalls(cloud, self._calls, marketing)
        self._recovery = Recovery(self.upstream.reach, graph_number.probe, self._tell, clock)
        self._described = self._made_described(graph_number)
        self.number = self._made_number(graph_number)
        self.listeners = (self.drain, self.number)
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

    @property
    def sends(self) -> bool:
        return bool(self._common.ownership.slots)

    @property
    def described(self) -> Known | None:
        """The facts that this owner asked for; None if another asks, or before the first answer."""
        return self._described.known if 0 in self._common.ownership.slots else None

    def _made_described(self, graph_number: NumberCalls) -> Described:
        common, cloud = self._common, self._common.settings.cloud
        return Described(
            common.session.fetch,
            graph_number,
            App(cloud, self._calls, self.secrets).token,
            lambda: self.secrets.token_hash,
            common.journal.users,
            cloud.version,
            common.clock,
        )

    def _made_number(self, graph_number: NumberCalls) -> Number:
        common = self._common
        return Number(
            common.ownership,
            common.identity.incarnation,
            common.session.fetch,
            common.session.registered,
            self.pace,
            graph_number,
            lambda: self.secrets.token_hash,
            self._rules,
            common.settings.cloud.rate,
            common.clock,
            self.graph.size,
            self.graph.warm_up,
            self._described.read,
        )

    def _told(self, post: MessagePost, judged: Judged) -> None:
        if post.attempt:  # a read mark has no statuses
            now = self._common.clock()
            self.aftermath.answered(post.id, post.attempt, judged.meta_code, now)

    def _heard(self, message_id: bytes, attempt: int, status: str) -> None:
        self.aftermath.heard(message_id, attempt, status, self._common.clock())
        self.pace.proven((message_id, attempt))

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
            checks_identity=lambda: common.app_settings().show_security_notifications,
        )
        return self._sender

    def wire(self, hearing: UpstreamListener) -> None:
        self.drain.pass_on(hearing, self.doubts)

    def work(self) -> dict[str, Coroutine[Any, Any, None]]:
        return {
            "issues": self._requests.issuer.run(),
            "doubts": self.doubts.run(self._common.ownership),
            "inbox": self.drain.run(),
            "unmatched": self._unmatched.run(),
            "number": self.number.run(),
            "recovery": self._recovery.run(),
            "identities": self._learned.run(),
            "secrets": self.secrets.follow(),
        }

    def hint(self, what: str) -> None:
        if what == THERE or what.startswith(AWAY):
            self._recovery.on_word(what)
        elif what.startswith(NOTICES):
            self.number.read_soon()

    def samples(self) -> list[Sample]:
        version, now = self._common.settings.cloud.version, self._common.clock()
        return [
            *cloud_samples(self, self._common.all_issues),
            *number_samples(self.described, version, now),
        ]

    async def _tell(self, word: str) -> None:
        try:
            await self._common.session.fetch(_TELL, CHANNEL, word)
        except (OutcomeUnknown, asyncpg.PostgresError) as error:
            log.warning("word to other coreapps failed", extra={"error": str(error)})

    async def close(self) -> None:
        self.pace.close()
        await self._calls.close()
