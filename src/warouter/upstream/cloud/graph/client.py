"""The Cloud API as a coreapp's upstream: requests out, their answers back; claims are local.

Nobody at the other end knows of slots and epochs: a claim is granted here, and what keeps a former
owner from sending is its lease, asked last thing before each request begins. A request that has
begun is heard to its end, also when its epoch has ended: what is known of it then is true whoever
owns the slot, and saves its message from being in doubt.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from enum import Enum
from functools import partial
from typing import Protocol

import msgspec

from warouter.cloud_number import NumberCloud
from warouter.upstream.cloud.answers import Class, Judged, judge, judge_mark
from warouter.upstream.cloud.graph.exchange import (
    HELD_BACK,
    Exchanged,
    ExchangeOutcome,
    GraphExchange,
)
from warouter.upstream.cloud.graph.marketing import MESSAGES, Marketing
from warouter.upstream.cloud.graph.reach import Reach
from warouter.upstream.protocol import Claim, Claimed, ToUpstream, Upstream, UpstreamHandler

log = logging.getLogger(__name__)

MOST_HEARD = 4_096  # messages whose answers are remembered: of seconds, until they are on disk
MOST_WAITING = 64  # requests that wait for a connection: none can be overtaken any more
UNREACHED_MS = 200  # no connection: worth another try so soon
_NONE: frozenset[int] = frozenset()


class MessagePost(msgspec.Struct, frozen=True, gc=False):
    """One request of number ``of``; ``attempt`` is 0 for a read mark, which is free to repeat."""

    of: NumberCloud
    slot: int
    epoch: int
    id: bytes
    attempt: int
    body: bytes

    @property
    def number(self) -> int:
        return self.of.id

    @property
    def request(self) -> tuple[bytes, int]:
        return self.id, self.attempt


class Answers(Protocol):
    """Whoever posts requests, and hears of their end."""

    def may_begin(self, post: MessagePost) -> bool:
        """True if the request may still begin; asked last thing before the write."""

    def on_judged(self, post: MessagePost, judged: Judged, token_hash: bytes) -> None:
        """The request has ended so, with the token of this hash. NOT_TAKEN without a code: it never
        began; if it says to wait, the Cloud API was not reached.
        """

    def on_server_time(self, unix_seconds: int) -> None:
        """The other side's clock, as an answer said."""


class RequestState(Enum):
    """The state of a request, as far as this process knows it."""

    UNKNOWN = "unknown"  # the request was another process's
    WAITING = "waiting"  # it has not begun
    OUT = "out"


class CloudUpstream(Upstream):
    """Requests over ``graph``; ``clock`` in seconds. ``told`` hears of each that has ended, too.
    ``marketing`` knows which of them have an edge of their own.
    """

    _listener: UpstreamHandler

    def __init__(
        self,
        graph: GraphExchange,
        clock: Callable[[], float],
        told: Callable[[MessagePost, Judged], None] = lambda _post, _judged: None,
        marketing: Marketing | None = None,
    ) -> None:
        self._marketing = marketing or Marketing(on=False)
        self._graph = graph
        self._told = told
        self._out: dict[tuple[bytes, int], MessagePost] = {}
        self._begun: dict[bytes, frozenset[int]] = {}  # the attempts that are out, by message
        self._heard_of: OrderedDict[bytes, dict[int, Judged]] = OrderedDict()  # by attempt
        self.reach = Reach(clock)

    @property
    def well(self) -> bool:
        return self.reach.well

    @property
    def connected(self) -> bool:
        return True

    @property
    def writable(self) -> bool:
        return True

    @property
    def out(self) -> int:
        """Number of requests that have not ended."""
        return len(self._out)

    @property
    def room(self) -> int:
        """The number of further requests that are worth a post.

        Some may wait for a connection, so that none is idle.
        """
        limit = self._graph.connections.limit
        return limit + min(limit, MOST_WAITING) - len(self._out)

    async def run(self, listener: UpstreamHandler) -> None:
        """Grant claims to ``listener`` until cancelled."""
        self._listener = listener
        listener.on_upstream_up()
        await asyncio.Event().wait()

    def tell(self, message: ToUpstream) -> None:
        if isinstance(message, Claim):
            granted = Claimed(message.slot, message.epoch)
            asyncio.get_running_loop().call_soon(self._listener.on_upstream, [granted])

    def post(self, post: MessagePost, answers: Answers) -> None:
        """Begin once there is a connection, if it may begin then; ``answers`` hears of its end."""
        self._out[post.id, post.attempt] = post
        try:
            edge = self._marketing.edge(post.of.id, post.body) if post.attempt else MESSAGES
            may_begin = partial(self._may_begin, post, answers)
            on_end = partial(self._exchanged, post, answers, edge)
            self._graph.begin(post.of, post.body, may_begin, on_end, edge)
        except Exception as error:
            asyncio.get_running_loop().call_soon(self._broken, post, answers, error)

    def fate(self, message_id: bytes, attempt: int) -> RequestState:
        """The state of a request that this process, or a predecessor, has issued."""
        if (message_id, attempt) not in self._out:
            return RequestState.UNKNOWN
        begun = attempt in self._begun.get(message_id, _NONE)
        return RequestState.OUT if begun else RequestState.WAITING

    def heard(self, message_id: bytes, attempt: int) -> Judged | None:
        """How this request of ours ended, if it began, and did so lately."""
        return self._heard_of.get(message_id, {}).get(attempt)

    def attempts_out(self, message_id: bytes) -> frozenset[int]:
        """The attempts of a message that are out."""
        return self._begun.get(message_id, _NONE)

    def attempts_taken(self, message_id: bytes) -> frozenset[int]:
        """The attempts of a message that were taken, as answers said lately."""
        heard = self._heard_of.get(message_id, {})
        return frozenset(a for a, judged in heard.items() if judged.cls is Class.TAKEN)

    def forget(self, slot: int) -> None:
        """Forget nothing: a request asks for its epoch itself when it begins."""

    def ack(self, slot: int, epoch: int, numbers: list[int]) -> None:
        """Events come from the inbox, and are acknowledged there."""

    def abort(self) -> None:
        """Cut what an unfinished request could still leave by; answers are read on."""
        self._graph.cut()

    async def close(self) -> None:
        self._graph.connections.close()

    def _may_begin(self, post: MessagePost, answers: Answers) -> bool:
        if not answers.may_begin(post):
            return False
        begun = self._begun.get(post.id, _NONE)
        if post.attempt not in begun:
            self._begun[post.id] = begun | {post.attempt}
        return True

    def _exchanged(
        self, post: MessagePost, answers: Answers, edge: str, exchanged: Exchanged
    ) -> None:
        try:
            if exchanged.server_time is not None:
                answers.on_server_time(exchanged.server_time)
            judged = self._judge(post, exchanged)
            judged = self._marketing.judged(post.of.id, post.body, edge, judged)
            self._ended(post, answers, judged, exchanged.token_hash)
        except Exception as error:
            self._broken(post, answers, error)

    def _judge(self, post: MessagePost, exchanged: Exchanged) -> Judged:
        if exchanged.outcome is ExchangeOutcome.ANSWERED:
            says = judge if post.attempt else judge_mark
            judged = says(exchanged.status, exchanged.body, exchanged.retry_after)
            if judged.cls is not Class.DOUBT or judged.meta_code >= 0:
                self.reach.answered()
            else:
                self.reach.failed()
            return judged
        if exchanged.cause == HELD_BACK:
            return Judged(Class.NOT_TAKEN, details=exchanged.cause)
        self.reach.failed()
        if exchanged.outcome is ExchangeOutcome.UNBEGUN:
            return Judged(Class.NOT_TAKEN, details=exchanged.cause, wait_ms=UNREACHED_MS)
        return Judged(Class.DOUBT, 500, title=exchanged.cause)

    def _ended(
        self, post: MessagePost, answers: Answers, judged: Judged, token_hash: bytes = b""
    ) -> None:
        self._out.pop((post.id, post.attempt), None)
        begun = self._begun.get(post.id, _NONE)
        if post.attempt and post.attempt in begun:
            self._remember(post, judged)
        if others := begun - {post.attempt}:
            self._begun[post.id] = others
        else:
            self._begun.pop(post.id, None)
        self._told(post, judged)
        answers.on_judged(post, judged, token_hash)

    def _remember(self, post: MessagePost, judged: Judged) -> None:
        if len(self._heard_of) >= MOST_HEARD:
            self._heard_of.popitem(last=False)
        self._heard_of.setdefault(post.id, {})[post.attempt] = judged

    def _broken(self, post: MessagePost, answers: Answers, error: Exception) -> None:
        log.error("request failed", extra={"slot": post.slot}, exc_info=error)
        begun = post.attempt in self._begun.get(post.id, _NONE)
        self._ended(
            post, answers, Judged(Class.DOUBT if begun else Class.NOT_TAKEN, title=repr(error))
        )
