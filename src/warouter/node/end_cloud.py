"""The Cloud API as the end of a coreapp's pipelines.

outgoing   Sender -> Issuer (an issue row each) -> CloudUpstream -> GraphExchange
incoming   the inbox, which webapps fill -> Drain -> UpstreamListener -> as ever

The sender and the pace need each other, as do the doubts and what the inbox proves: ``CloudEnd`` is
the one place where they come together.
"""

from __future__ import annotations

import logging
from collections.abc import Coroutine
from functools import partial
from typing import Any

import asyncpg

from warouter.errors import OutcomeUnknown
from warouter.flow.aftermath import Aftermath
from warouter.flow.doubt.verdict import Policy
from warouter.flow.share import outgoing
from warouter.flow.windows import Windows
from warouter.metrics import Sample
from warouter.node.end import Common, End, Remote
from warouter.node.figures.cloud import CloudFigures, cloud_samples, number_samples
from warouter.owner.cloud.acks import InboxAcks
from warouter.owner.cloud.doubt_rules import RuleBook
from warouter.owner.cloud.doubts import Doubts
from warouter.owner.cloud.drain import Drain
from warouter.owner.cloud.facts.number_reader import Known, NumberReader
from warouter.owner.cloud.facts.templates import KnownTemplates
from warouter.owner.cloud.inbox_words import InboxWords
from warouter.owner.cloud.learned_users import LearnedUsers
from warouter.owner.cloud.parts import CloudParts
from warouter.owner.cloud.proving import Proving
from warouter.owner.cloud.rate.number_share import DEFAULT_LEVEL, NumberShare
from warouter.owner.cloud.rate.pace import Pace
from warouter.owner.cloud.rate.stop import NumberStop
from warouter.owner.cloud.readings import Readings
from warouter.owner.cloud.rows import Rows
from warouter.owner.cloud.sender import CloudSender
from warouter.owner.cloud.straight import StraightStatuses
from warouter.owner.cloud.straight_answers import StraightAnswers
from warouter.owner.hearing import UpstreamListener
from warouter.owner.sender import SenderParts
from warouter.store.locks import CHANNEL
from warouter.upstream.cloud.answers import Judged
from warouter.upstream.cloud.graph.app_calls import App
from warouter.upstream.cloud.graph.calls import Calls
from warouter.upstream.cloud.graph.client import CloudUpstream, MessagePost
from warouter.upstream.cloud.graph.exchange import GraphExchange
from warouter.upstream.cloud.graph.marketing import Marketing
from warouter.upstream.cloud.graph.media_calls import CloudMedia, NumberMedia
from warouter.upstream.cloud.graph.number_calls import NumberCalls
from warouter.upstream.cloud.graph.recovery import AWAY, THERE, Recovery
from warouter.upstream.cloud.secrets import Secrets

log = logging.getLogger(__name__)

_TELL = "select pg_notify($1, $2)"
NOTICES = "cloud "  # the prefix of what webapps tell of Meta's notices


class CloudRemote(Remote):
    """The Cloud API, which knows of no repeats, slots or epochs."""

    upstream: CloudUpstream
    acks: InboxAcks

    def __init__(self, common: Common) -> None:
        self._common = common
        cloud, self.of = common.settings.cloud, common.settings.number_cloud
        self.secrets = Secrets(self.of)
        self.graph = GraphExchange(cloud, self.secrets, common.settings.json_limit)
        self.aftermath = Aftermath()
        self.marketing = Marketing(on=cloud.marketing == "auto")
        self.upstream = CloudUpstream(self.graph, common.clock, self._told, self.marketing)
        self.calls = Calls(cloud, self.secrets)
        self.contents = NumberMedia(self.of, CloudMedia(cloud, self.secrets, self.calls))
        self.answers = StraightAnswers()
        self.acks = InboxAcks(common.ownership, common.journal, self.answers)

    def end(self, parts: SenderParts) -> CloudEnd:
        return CloudEnd(self._common, self, parts)

    def _told(self, post: MessagePost, judged: Judged) -> None:
        if post.attempt:  # a read mark has no statuses
            now = self._common.clock()
            self.aftermath.answered(post.id, post.attempt, judged.meta_code, now)


class CloudEnd(End):
    """The near side: it sends, reads the inbox, and keeps the number's rate."""

    issues = True
    sender: CloudSender

    def __init__(self, common: Common, remote: CloudRemote, parts: SenderParts) -> None:
        self._common = common
        self._remote = remote
        cloud, clock, of = common.settings.cloud, common.clock, remote.of
        journal, ownership = common.journal, common.ownership
        self._windows = windows = Windows(cloud.doubt_seconds)
        self._learned = LearnedUsers(journal)
        self._proving = Proving(journal, windows, clock)
        self.pace = Pace(of, of.rate or outgoing(DEFAULT_LEVEL, 0.0), clock, self._has_room)
        meta = NumberCalls(remote.calls, remote.marketing)
        probe = partial(meta.probe, of)
        self._recovery = Recovery(remote.upstream.reach, probe, self._tell, clock)
        fetch = common.session.fetch
        self._templates = KnownTemplates(of, fetch, meta, clock)
        self._rules = self._made_rules()
        self._described = self._made_described(meta)
        self._stop = NumberStop(fetch, self.pace, meta, remote.secrets, clock)
        self.number = self._made_number()
        self.readings = Readings(clock)
        self.sender = CloudSender(parts, self._made_parts())
        rows = Rows(
            remote.upstream,
            self.sender.hearsay,
            self.sender.finds,
            late_success=cloud.late_success,
            heard=self._heard,
            unreachable=self._learned.unreachable,
        )
        self.drain = Drain(ownership, journal, rows, remote.acks, self.readings, remote.answers)
        self.statuses = self._straight = StraightStatuses(ownership, rows, remote.answers)
        self.listeners = (self.drain, remote.acks, remote.answers, self.number)

    @property
    def doubts(self) -> Doubts:
        return self.sender.doubts

    @property
    def described(self) -> Known | None:
        """The facts that this owner asked for; None if another asks, or before the first answer."""
        return self._described.known if 0 in self._common.ownership.slots else None

    def _made_described(self, meta: NumberCalls) -> NumberReader:
        common, remote = self._common, self._remote
        return NumberReader(
            remote.of,
            common.session.fetch,
            meta,
            App(remote.calls, remote.secrets).token,
            remote.secrets.token_hash,
            common.journal.users,
            common.clock,
        )

    def _made_number(self) -> NumberShare:
        common = self._common
        return NumberShare(
            common.ownership,
            common.session,
            self.pace,
            self._remote.graph,
            self._stop,
            self._templates,
            self._described,
            common.clock,
        )

    def _made_rules(self) -> RuleBook:
        settings = self._common.settings
        cloud, pending = settings.cloud, settings.pending_seconds
        policy = Policy(self._remote.of.in_doubt)
        return RuleBook(policy, self._windows, cloud.fence, pending, self._templates)

    def _made_parts(self) -> CloudParts:
        common, cloud = self._common, self._common.settings.cloud
        return CloudParts(
            self._remote.upstream,
            self.pace,
            self._rules,
            self.readings,
            self._proving,
            InboxWords(common.journal.say),
            self._learned,
            self._stop,
            self._remote.acks,
            lambda number: common.app_settings(number).show_security_notifications,
            until_sent=cloud.order == "sent",
        )

    def _has_room(self) -> None:
        self.sender.take_turns()

    def _heard(self, message_id: bytes, attempt: int, status: str) -> None:
        self._remote.aftermath.heard(message_id, attempt, status, self._common.clock())
        self.pace.proven((message_id, attempt))

    def work(self, hearing: UpstreamListener) -> dict[str, Coroutine[Any, Any, None]]:
        self._straight.hearing = hearing
        return {
            "issues": self.sender.requests.issuer.run(),
            "doubts": self.sender.looks.run(self._common.ownership),
            "inbox": self.drain.run(hearing),
            "number": self.number.run(),
            "recovery": self._recovery.run(),
            "identities": self._learned.run(),
            "secrets": self._remote.secrets.follow(),
        }

    def hint(self, what: str) -> None:
        if what == THERE or what.startswith(AWAY):
            self._recovery.on_word(what)
        elif what.startswith(NOTICES):
            self._described.read_soon()
            self._templates.read_soon()

    def samples(self) -> list[Sample]:
        common, remote = self._common, self._remote
        version, now = remote.of.app.version, common.clock()
        figures = CloudFigures(
            self.doubts,
            self.sender.requests.answers,
            remote.acks,
            self.drain.rows,
            self.pace,
            self.number,
            self._stop,
            remote.graph,
            remote.aftermath,
            sends=bool(common.ownership.slots),
        )
        return [
            *cloud_samples(figures, common.all_issues),
            *number_samples(self.described, version, now),
        ]

    async def _tell(self, word: str) -> None:
        try:
            await self._common.session.fetch(_TELL, CHANNEL, word)
        except (OutcomeUnknown, asyncpg.PostgresError) as error:
            log.warning("word to other coreapps failed", extra={"error": str(error)})

    async def close(self) -> None:
        self.pace.close()
        await self._remote.calls.close()
