"""Meta: the core of the simulator's Cloud door, on virtual time and the simulated network.

It has no fence and drops no repeats. A request can be taken at any time up to the end of the time
that its client gives it, also when the client has gone meanwhile; after that it never is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from math import inf
from random import Random
from typing import Any

from tests.campaigns.simulation.cloud.graph import NO_TOKEN, Request
from tests.campaigns.simulation.cloud.history import History
from tests.campaigns.simulation.cloud.seams import Spans
from tests.campaigns.simulation.cloud.webhooks import NUMBER, SECRET, Door
from tests.campaigns.simulation.loop import EPOCH, Clock
from tests.campaigns.simulation.network import Link, Network, Pipe
from warouter.lab.simulator.cloud.facts import CloudFacts
from warouter.lab.simulator.cloud.faults import CloudFaults
from warouter.lab.simulator.cloud.graph import errors
from warouter.lab.simulator.cloud.graph.line import GraphLine
from warouter.lab.simulator.cloud.graph.messages_edge import EdgeClock, MessagesEdge
from warouter.lab.simulator.cloud.graph.tokens import BearerTokens
from warouter.lab.simulator.cloud.message import AskedMessage
from warouter.lab.simulator.cloud.webhooks.outbox import WebhookPost
from warouter.lab.simulator.cloud.world import World
from warouter.lab.simulator.inbound import build
from warouter.upstream.cloud.reference import parse_reference

GOOD, OLD = "new", "old"  # tokens
# Codes of which the same message may be sent again.
RETRIED = (130429, 131056, 131016, 2, 131057)
DRAWN = ("text", "text", "text", "text", "code", "promo")
TAKEN = 200
TICK = 0.05
STRAGGLE = 4.0  # windows, at most
CALM = {
    "level": 0,
    "pair_s": 0,
    "errors": "answer",
    "contacts": False,
    "user_ids": False,
    "throttle_as": RETRIED,
    "expired_tokens": (OLD,),
    "categories": {"promo": "MARKETING", "code": "AUTHENTICATION"},
    "gather_ms": 0,
    **dict.fromkeys(("sent_ms", "delivered_ms", "read_ms", "abandon_ms"), 0),
    "delivered": 0.67,
    "read": 0.33,
    "failed": 0.02,
    "spread_ms": 300,
    "abandon": 0.5,
    "fail_before_as": "unclear",
    "fail_after_as": "unclear",
    "code": errors.UNDELIVERABLE,
    "code_share": 0.0,
    "late": 1.0,
}


class Switch:
    """A switch of the core, or several at once, under a name that faults of both upstreams know."""

    def __init__(self, **scales: float) -> None:
        self._scales = scales

    def __set__(self, meta: Meta, value: float) -> None:
        meta.switch(**{name: value * scale for name, scale in self._scales.items()})


class Meta:
    """The Graph API and what is behind it, for the whole cluster. ``switches`` are the run's."""

    name = "upstream"
    throttle = Switch(throttle=1.0, bare_throttle=0.15)  # how many requests are refused for now
    loses = Switch(unanswered=1.0)
    breaks = Switch(half=1.0)

    def __init__(
        self,
        clock: Clock,
        random: Random,
        history: History,
        network: Network,
        spans: Spans,
        switches: dict[str, Any],
    ) -> None:
        self.clock = clock
        self.history = history
        self.draw = random.random
        self.doors: dict[str, Door | None] = {}  # all listeners; those that have begun to listen
        self._random = random
        self._network = network
        self._line: GraphLine[Any] = GraphLine()
        self.out: dict[Request, None] = {}  # their clients wait for the end
        self._ticks = False
        virtual = EdgeClock(lambda: clock.now, self._wall, self._later)
        facts = CloudFacts(phone_number_id=NUMBER, waba_id="1", app_secret=SECRET, token=GOOD)
        world = self.world = World(facts, random)
        world.heard = True
        world.intake.accepted = self._accepted
        self._messages = MessagesEdge(
            world.intake,
            world.record,
            self.switches,
            self._line.when_open,
            lambda: "",
            random,
            virtual,
        )
        self._tokens = BearerTokens(facts, self.switches)
        self._request_ms = int(spans.request * 1000)
        patience = int(history.base / 12 * 1000)  # five seconds, where a window takes a minute
        self.switch(
            **{
                **CALM,
                "expire_ms": self._request_ms,
                "held_s": 20.0 * history.base,
                "straggle_ms": int(STRAGGLE * history.base * 1000),
                "timeout_ms": patience,
                "retry_ms": patience,
                "retry_most_s": 5.0 * history.base,
                **switches,
            }
        )
        # What faults set: of its network
        self.refuses = 0  # connections
        self.frozen = 0
        # and of processes
        self.old: set[str] = set()  # those that have another token, which is dead
        self.freezing = 0.0  # the next request's process stands still so long at its write
        self.stands_still: Callable[[Request, Callable[[], bool], float], None]
        self.lingers = True  # what has not left a process goes with it; to be switched off

    # switches

    def switches(self) -> CloudFaults:
        return self.world.faults

    def switch(self, **switches: Any) -> None:
        self.world.use(self.world.faults.changed(switches), self.clock.now)

    def reset(self, *names: str) -> None:
        """Turn these off."""
        off = CloudFaults()
        self.switch(**{name: CALM.get(name, getattr(off, name)) for name in names})

    def slow(self, seconds: float) -> None:
        """So long it takes at most until a request is taken, and until its answer."""
        self._slowest = int(seconds * 1000)
        self.switch(late=1.0, late_ms=self._slowest, latency_most_ms=self._slowest)

    def linger(self, share: float) -> None:
        """So many requests are taken at any moment of their time; 0 ends it."""
        if share:
            self.switch(late=share, late_ms=self._request_ms)
        else:
            self.switch(late=1.0, late_ms=self._slowest)

    def take_nothing(self, seconds: float) -> None:
        """No request is taken for so long, and no answer says so."""
        self.switch(fail_before=1.0)
        self.clock.at(self.clock.now + seconds, self.reset, "fail_before")

    slowness = property(None, slow)

    def disown(self, numbers: Iterable[str]) -> None:
        """These are no WhatsApp users."""
        self.switch(unknown=tuple(dict.fromkeys((*self.world.faults.unknown, *numbers))))

    # as of the native upstream

    @property
    def unacked(self) -> int:
        return len(self.world.outbox)

    @property
    def untold(self) -> int:
        """Statuses that no webhook has yet."""
        return len(self.world.timetable)

    def freeze(self) -> None:
        """Its front stands still; its kernel goes on taking connections and what they bring."""
        self.frozen += 1
        self._line.deafen(inf)

    def thaw(self) -> None:
        self.frozen -= 1
        if not self.frozen:
            self._line.mend(inf)

    def disconnect(self, share: float) -> int:
        """Drop connections; how many had a request."""
        dropped = [request for request in self.out if self.draw() < share]
        for request in dropped:
            request.down.send(request.reset)
        return len(dropped)

    # requests

    def link(self, process: str) -> Link:
        return self._network.link(process, self.name)

    def begins(self, request: Request, may_begin: Callable[[], bool]) -> None:
        """A process writes a request; or stands still at that moment, after its look."""
        self.history.begins(request.process, request.body)
        self.out[request] = None
        if self.freezing:
            seconds, self.freezing = self.freezing, 0.0
            self.stands_still(request, may_begin, seconds)
        else:
            request.write()

    def token_of(self, process: Any) -> str:
        return OLD if process.name in self.old else GOOD

    def refuses_token_of(self, process: Any) -> bool:
        return not self._tokens.is_user(self.token_of(process))

    def arrive(self, request: Request) -> None:
        request.arrived = True
        self._line.when_open(partial(self._hear, request))

    def comes_late(self, request: Request) -> None:
        """The kernel of its process goes on repeating what has not arrived."""
        later = self.clock.now + 1.5 * self.history.base
        request.written = later
        self.clock.at(later, self.arrive, request)

    def _hear(self, request: Request) -> None:
        if self._tokens.is_user(request.token):
            written = request.written
            self._messages.handle(request.asker, request.body, written, EPOCH + written)
        else:
            self.history.turns_away(request.body)
            request.asker.answer(*NO_TOKEN)

    def _accepted(self, asked: AskedMessage, wamid: str, _at: float) -> None:
        reference = parse_reference(asked.reference)
        assert reference is not None
        self.history.accepts(reference, asked.number, wamid)
        self._arm()

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        self.clock.at(self.clock.now + seconds, self._line.when_open, act)

    def _wall(self) -> float:
        return EPOCH + self.clock.now

    # webhooks

    def writes(self, number: str) -> None:
        """A customer writes."""
        id = self.world.new_id(number)
        wrote = build(
            {"from": number, "body": id}, id, int(self._wall() + self.world.faults.clock_s)
        )
        self.history.wrote[id] = self.world.intake.people.shown(number).wa_id
        self.world.inject(wrote, {}, self.clock.now, self._wall())
        self._arm()

    def _arm(self) -> None:
        if not self._ticks:
            self._ticks = True
            self.clock.at(self.clock.now + self.draw() * TICK, self._tick)

    def _tick(self) -> None:
        """As often as something may be due."""
        self.world.tick(self.clock.now, self._wall())
        for post in self.world.outbox.leaving(self.clock.now):
            self._post(post)
        self._ticks = self.untold + self.unacked > 0
        if self._ticks:
            self.clock.at(self.clock.now + TICK, self._tick)

    def _post(self, post: WebhookPost) -> None:
        """To any listener: it does not know which of them is well."""
        name = self._random.choice([*self.doors])
        door, link = self.doors[name], self._network.link(self.name, name)
        answers: list[int] = []
        ended = partial(self._ended, post, answers)
        patience = self.world.faults.timeout_ms / 1000
        self.clock.at(self.clock.now + patience, ended, 0)
        if door is None or not door.process.alive:
            Pipe(link).send(ended, 0)
        else:
            Pipe(link).send(door.take, post.body, partial(Pipe(link).send, ended))

    def _ended(self, post: WebhookPost, answers: list[int], status: int) -> None:
        """A POST had this answer, 0 for none; the first counts."""
        answers.append(status)
        if len(answers) == 1:
            if status == TAKEN:
                self.history.webhooks_taken(post.body)
            self.world.outbox.done(post, answered=status == TAKEN, now=self.clock.now)
