"""Meta: takes requests or not, answers or not, and tells by webhooks what became of messages.

It has no fence and drops no repeats. A request can be taken at any time up to the end of the time
that its client gives it, also when the client has gone meanwhile; after that it never is.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple

import msgspec

from tests.campaigns.simulation.cloud.graph import NO_TOKEN, Request
from tests.campaigns.simulation.cloud.history import History
from tests.campaigns.simulation.cloud.webhooks import Webhooks
from tests.campaigns.simulation.loop import EPOCH, Clock
from tests.campaigns.simulation.network import Link, Network
from tests.campaigns.simulation.upstream import WAITS
from warouter import cloud_settings
from warouter.upstream.cloud.graph.exchange import Exchanged, ExchangeOutcome
from warouter.upstream.cloud.reference import parse_reference

REFUSALS = (  # of which the same message may be sent again
    *(
        (400, 130429),
        (429, 130429),
        (429, 0),
        (400, 131056),
        (500, 131016),
        (503, 2),
        (500, 131057),
    ),
)
UNCLEAR = ((500, 131000), (500, 1), (502, 0), (200, 0))
UNDELIVERABLE = 131026
STEPS = ("sent", "delivered", "read")
DRAWN = ("text", "text", "text", "text", "code", "promo")


class Way(NamedTuple):
    """How statuses travel in one run: seconds, and shares of them."""

    mean: float = 0.3
    late: float = 0.0  # of them come after the window
    lost: float = 0.0  # of them come never
    failed: float = 0.02  # of the messages fail after they were taken
    bare: float = 0.5  # of the failures are told without the reference
    ahead: float = 0.0  # of Meta's clock
    respelled: bool = False  # numbers have a digit more than they were sent to


class Meta:
    """The Graph API and what is behind it, for the whole cluster."""

    name = "upstream"

    def __init__(
        self,
        clock: Clock,
        random: Random,
        history: History,
        network: Network,
        webhooks: Webhooks,
        way: Way,
    ) -> None:
        self.clock = clock
        self.history = history
        self.webhooks = webhooks
        self.way = way
        self.draw = random.random
        self._random = random
        self._network = network
        self._waiting: list[tuple[Callable[..., object], tuple[Any, ...]]] = []
        self._out: dict[Request, None] = {}
        # What faults set; the same as of the native upstream
        self.refuses = 0  # connections
        self.throttle = 0.0  # how many requests are refused for now
        self.waits = WAITS
        self.unknown: set[str] = set()  # recipients who are no WhatsApp users
        self.slowness = 0.01  # seconds until a request is taken, and until its answer
        self.loses = 0.0  # how many answers are never given
        self.breaks = 0.0  # how many answers nobody can read
        self.frozen = 0
        self.untold = 0  # statuses that no webhook has yet
        # and of Meta alone
        self.drops_taken = 0.0  # how many connections end after the request was taken
        self.drops = 0.0  # before
        self.unclear = 0.0  # how many answers say neither; half of their requests were taken
        self.lingering = 0.0  # how many requests are taken only at the end of their time
        self.taking = True  # else no request is taken, and no answer says so
        self.final = 0.0  # how many requests are refused for good, whoever they are to
        self.dead_token = False
        self.old: set[str] = set()  # processes that have another token, which is dead
        self.late_for_lost = 0.0  # statuses of messages without an answer wait so long
        self.held = False  # marketing templates are held for their quality
        self.freezing = 0.0  # the next request's process stands still so long at its write
        self.stands_still: Callable[[Request, Callable[[], bool], float], None]
        self.lingers = True  # what has not left a process goes with it; to be switched off

    # as of the native upstream

    @property
    def unacked(self) -> int:
        return self.webhooks.waiting

    def freeze(self) -> None:
        """Its front stands still; its kernel goes on taking connections and what they bring."""
        self.frozen += 1

    def thaw(self) -> None:
        self.frozen -= 1
        if not self.frozen:
            waiting, self._waiting = self._waiting, []
            for act, arguments in waiting:
                act(*arguments)

    def disconnect(self, share: float) -> int:
        """Drop connections; how many had a request."""
        dropped = [request for request in self._out if self.draw() < share]
        for request in dropped:
            request.down.send(request.reset)
        return len(dropped)

    # requests

    def link(self, process: str) -> Link:
        return self._network.link(process, self.name)

    def begins(self, request: Request, may_begin: Callable[[], bool]) -> None:
        """A process writes a request; or stands still at that moment, after its look."""
        self.history.begins(request.process, request.body)
        self._out[request] = None
        if self.freezing:
            seconds, self.freezing = self.freezing, 0.0
            self.stands_still(request, may_begin, seconds)
        else:
            request.write()

    def token_of(self, process: Any) -> bytes:
        """The hash of its token."""
        return b"old" if process.name in self.old else b"new"

    def refuses_token_of(self, process: Any) -> bool:
        return self.dead_token or process.name in self.old

    def arrive(self, request: Request) -> None:
        request.arrived = True
        self._turn(self._hear, request)

    def comes_late(self, request: Request) -> None:
        """The kernel of its process goes on repeating what has not arrived."""
        later = self.clock.now + 1.5 * self.history.base
        request.written = later
        self.clock.at(later, self.arrive, request)

    def _turn(self, act: Callable[..., object], *arguments: Any) -> None:
        if self.frozen:
            self._waiting.append((act, arguments))
        else:
            act(*arguments)

    def _is_late(self, request: Request) -> bool:
        return self.clock.now >= request.written + cloud_settings.REQUEST_SECONDS

    def _hear(self, request: Request) -> None:
        if self._is_late(request):
            self._out.pop(request, None)
            return
        said = msgspec.json.decode(request.body)
        if said.get("status") == "read":
            self._answer(request, 200, {"success": True})
        elif self.draw() < self.drops:
            self._drop(request)
        elif self.refuses_token_of(request.process):
            self.history.turns_away(said)
            self._later(request, self._answer_raw, *NO_TOKEN)
        elif self.draw() < self.throttle:
            self._later(request, self._refuse, *self._random.choice(REFUSALS))
        elif said["to"][1:] in self.unknown:
            self.history.refuses(said)
            self._later(request, self._refuse, 400, UNDELIVERABLE)
        elif self.final and self.draw() < self.final:
            self._later(request, self._refuse, 400, UNDELIVERABLE)
        elif not self.taking or self.draw() < self.unclear / 2:
            self._later(request, self._refuse, *self._random.choice(UNCLEAR))
        else:
            left = request.written + cloud_settings.REQUEST_SECONDS - self.clock.now
            late = self.draw() < self.lingering
            after = self._random.uniform(0.0, left) if late else self.draw() * self.slowness
            self.clock.at(self.clock.now + after, self._turn, self._take, request, said)

    def _take(self, request: Request, said: dict[str, Any]) -> None:
        """Also a request whose client has gone: it may be on its way inside already."""
        if self._is_late(request) or (not request.open and self.draw() < 0.5):
            self._out.pop(request, None)
            return
        reference = parse_reference(said["biz_opaque_callback_data"])
        assert reference is not None
        wamid = f"wamid.{reference[0].hex()}.{reference[1]}.{len(self.history.acceptances)}"
        self.history.accepts(reference, said["to"][1:], wamid)
        silent = self._silent(request)
        self._tell(said, reference, wamid, silent=silent)
        if not silent:
            status = "held_for_quality_assessment" if self._holds(said) else "accepted"
            taken = {"messages": [{"id": wamid, "message_status": status}]}
            self._later(request, self._answer, 200, taken)

    def _silent(self, request: Request) -> bool:
        """True if its client will not know that it was taken."""
        if self.draw() < self.drops_taken:
            self._later(request, self._drop)
        elif self.draw() < self.unclear / 2:
            self._later(request, self._refuse, *self._random.choice(UNCLEAR))
        elif self.draw() < self.breaks:
            self._later(request, self._answer_raw, 200, b'{"messages":[{"id":')
        elif self.draw() >= self.loses:
            return not request.open
        return True

    def _holds(self, said: dict[str, Any]) -> bool:
        return self.held and said.get("template", {}).get("name") == "promo"

    # answers

    def _later(self, request: Request, act: Callable[..., object], *arguments: Any) -> None:
        after = self.draw() * self.slowness
        self.clock.at(self.clock.now + after, self._turn, act, request, *arguments)

    def _drop(self, request: Request) -> None:
        self._out.pop(request, None)
        request.down.send(request.reset)

    def _refuse(self, request: Request, status: int, code: int) -> None:
        error = {"error": {"message": "refused", "code": code}}
        self._answer(request, status, error if code else {"proxy": "in the way"})

    def _answer(self, request: Request, status: int, body: Any) -> None:
        self._answer_raw(request, status, msgspec.json.encode(body))

    def _answer_raw(self, request: Request, status: int, body: bytes) -> None:
        self._out.pop(request, None)
        now = int(EPOCH + self.clock.now + self.way.ahead)
        request.down.send(
            request.receive, Exchanged(ExchangeOutcome.ANSWERED, status, body, server_time=now)
        )

    # webhooks

    def _tell(
        self, said: dict[str, Any], reference: tuple[bytes, int], wamid: str, *, silent: bool
    ) -> None:
        """What becomes of the message, by webhooks; each may be late, or never come."""
        fails = self.draw() < self.way.failed
        bare = fails and self.draw() < self.way.bare
        after = self.late_for_lost if silent else 0.0
        if self._holds(said):
            after += self.history.base * 20.0
        late = self.draw() < self.way.late
        after += self._random.uniform(1.2, 4.0) * self.history.base if late else 0.0
        for name in ("failed",) if fails else STEPS[: 1 + int(3 * self.draw())]:
            after += self._random.expovariate(1.0 / self.way.mean)
            if self.draw() < self.way.lost:
                continue
            to = self._spelled(said["to"][1:])
            status: dict[str, Any] = {"id": wamid, "status": name, "recipient_id": to}
            if fails:
                status["errors"] = [{"code": UNDELIVERABLE, "title": "Message undeliverable"}]
            if not bare:
                status["biz_opaque_callback_data"] = said["biz_opaque_callback_data"]
            self.untold += 1
            self.clock.at(self.clock.now + after, self._push, "statuses", status, reference)

    def _spelled(self, number: str) -> str:
        return f"{number[:4]}9{number[4:]}" if self.way.respelled else number

    def writes(self, number: str, wamid: str) -> None:
        """A customer writes."""
        message = {"id": wamid, "from": number, "type": "text", "text": {"body": wamid}}
        self._push("messages", message, None)

    def _push(self, what: str, element: dict[str, Any], reference: Any) -> None:
        self.untold -= what == "statuses"
        element["timestamp"] = str(int(EPOCH + self.clock.now + self.way.ahead))
        self.webhooks.push(what, element, reference)
