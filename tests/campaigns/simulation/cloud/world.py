"""One run with the Cloud API: the cluster of ``world``, with Meta in the place of the upstream."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

import asyncpg
import msgspec

from tests.campaigns.simulation import nodes, world
from tests.campaigns.simulation.cloud import judge, seams
from tests.campaigns.simulation.cloud.graph import Graph, Request
from tests.campaigns.simulation.cloud.history import History
from tests.campaigns.simulation.cloud.issues import DOUBTED, KEPT, Issue
from tests.campaigns.simulation.cloud.meta import DRAWN, STRAGGLE, Meta
from tests.campaigns.simulation.cloud.seams import Spans
from tests.campaigns.simulation.cloud.webhooks import NUMBER, SECRET, Door
from tests.harness.patch import patched
from warouter import background
from warouter.errors import WarouterError
from warouter.flow import windows
from warouter.kinds import FAIL, HOLD, NO_POLICY, POLICY_NAMES, RESEND, kind_with
from warouter.message_id import text_of
from warouter.owner.cloud.rows import ASKED

PENDING = 86_400.0
HELD_SECONDS = 90.0  # a window, where that of an ordinary message is 60; at work it is 65 min
POLICIES = ("resend", "resend", "resend", "fail", "hold")
LOOK, LAST = 1.0, 60.0
MOST = 3.0  # attempts
DOUBLED = 5.0  # until what comes twice has come


class CloudWorld(world.World):
    """``policy``, ``way`` (switches of webhooks) and ``held`` as a test wants them, or drawn."""

    country = 55  # whose numbers Meta may spell otherwise
    history: History
    upstream: Meta

    def __init__(
        self,
        *given: Any,
        policy: str = "",
        way: dict[str, Any] | None = None,
        held: float = HELD_SECONDS,
    ) -> None:
        self._given_policy, self._given_way, self._held = policy, way, held
        super().__init__(*given)
        self.tables.upstream = self.settings.upstream_name
        self.tables.issues.seen = self.history
        self.history.places = self.tables.places
        self.history.is_failed = self.tables.is_failed

    @contextmanager
    def seams(self, *, small: bool) -> Iterator[None]:
        """Within, the product is as this run needs it."""
        random, held = Random(f"cloud:{self.seed}"), self._held
        told = patched([(background, "_guarded", self._guarded)])
        with told, seams.drawn(random, self.spans, small=small, held=held):
            yield

    async def _guarded(self, work: Any, failed: Callable[[Exception], None]) -> None:
        """As ``background`` has it; an error that nobody foresaw is a defect."""
        try:
            await work
        except Exception as error:
            if not isinstance(error, (WarouterError, asyncpg.PostgresError)):
                self.history.broken("I15", f"{work.__qualname__} raised {error!r}")
            failed(error)

    def _history(self) -> History:
        draw = Random(f"meta:{self.seed}")
        self.spans = Spans.drawn(draw, self.timing.lease)
        self.timing = msgspec.structs.replace(self.timing, watchdog=self.spans.watchdog)
        policy = self._given_policy or draw.choice(POLICIES)
        self.settings = msgspec.structs.replace(
            self.settings,
            upstream="cloud",
            cloud_phone_number_id=NUMBER,
            cloud_waba_id="1",
            cloud_token="token",
            cloud_app_secret=SECRET,
            cloud_verify_token="verify",
            cloud_in_doubt=policy,
            cloud_doubt_seconds=self.spans.base,
            pending_seconds=draw.choice((PENDING, PENDING, self.spans.base * 12)),
        )
        return History(self.spans.base, policy)

    def _upstream(self) -> Meta:
        draw = Random(f"way:{self.seed}")
        self.doors = [f"door{n}" for n in range(draw.choice((1, 2)))]
        way = _way(draw) if self._given_way is None else self._given_way
        twice = dict.fromkeys(("second_app", "repeat"), draw.choice((0.0, 0.05)))
        switches = {"repeat_ms": draw.randrange(5_000), **twice, **way}
        meta = Meta(self.clock, draw, self.history, self.network, self.spans, switches)
        meta.doors = dict.fromkeys(self.doors)
        meta.slow(draw.choice((0.01, 0.1, 0.4)))
        meta.stands_still = self._stand_still
        Graph.meta = meta
        self._inbound = draw.choice((1.0, 3.0, 0.0))  # seconds between messages of customers
        self._draw = draw
        # Of its own, so that most runs are the same with it and without.
        self._holding = Random(f"hold:{self.seed}")
        self._holds = self._holding.choice((0.2, *[0.0] * 7))
        self.watchdogs = True  # to be switched off
        return meta

    def run(self) -> None:
        for name in self.doors:
            self.start_door(name)
        self._operate()
        super().run()

    def start_door(self, name: str) -> None:
        before = self.processes.get(name)
        if before is not None and before.alive:
            return
        process = self._process(name)
        process.loop.call_soon(self._open_door, process)

    def _open_door(self, process: nodes.Process) -> None:
        door = self.upstream.doors[process.name] = Door(process, self.settings)
        process.spawn(door.run())

    def _process(self, name: str) -> nodes.Process:
        process = super()._process(name)
        process.role = "webapp" if name in self.doors else process.role
        return process

    def _load(self, name: str, recipients: list[str]) -> nodes.Load:
        load = super()._load(name, recipients)
        if self._inbound:
            self._write(recipients)
        return load._replace(compose=self._compose)

    def _write(self, numbers: list[str]) -> None:
        """A customer writes, and goes on doing so."""
        if not self._inbound:
            return
        self.upstream.writes(self._draw.choice(numbers))
        after = self._draw.expovariate(1.0 / self._inbound)
        self.clock.at(self.clock.now + after, self._write, numbers)

    def _compose(self, message_id: bytes) -> tuple[int, bytes]:
        """A v1 body; some with a policy of their own, some templates."""
        draw, history = self._draw, self.history
        policy = draw.choice((NO_POLICY,) * 9 + (RESEND, FAIL, HOLD))
        if policy:
            history.policies[message_id] = POLICY_NAMES[policy]
        what = draw.choice(("promo",) if self.upstream.switches().held_templates else DRAWN)
        body: dict[str, Any] = {"to": "1", "type": "text", "text": {"body": text_of(message_id)}}
        if what != "text":
            history.kinds[message_id] = what
            template = {"name": what, "language": {"code": "en"}, "components": []}
            body = {"to": "1", "type": "template", "template": template}
        return kind_with(0, policy), msgspec.json.encode(body)

    # processes that stand still

    def _stand_still(self, request: Request, may_begin: Any, seconds: float) -> None:
        """Between its look at the clock and its write."""
        process = request.process
        process.loop.pause()
        since = self.clock.now
        self.clock.at(since + seconds, self._write_late, request, may_begin, since)

    def _write_late(self, request: Request, may_begin: Any, since: float) -> None:
        process = request.process
        if not process.alive or self._is_killed(process, since):
            return
        request.write()
        process.loop.resume()
        if not may_begin():
            request.late = True
            request.close("begun late")

    def resume(self, process: nodes.Process, since: float) -> None:
        if not self._is_killed(process, since):
            process.loop.resume()

    def _is_killed(self, process: nodes.Process, since: float) -> bool:
        """By its watchdog, at its thaw, before its next instruction."""
        late = self.clock.now - since >= self.spans.watchdog
        if not late or not self.watchdogs or process.name not in self.coreapps or not process.alive:
            return False
        self.history.note("watchdog", process.name)
        process.kill()
        self.clock.at(self.clock.now + 0.2, self.start, process.name)
        return True

    # operators

    def _operate(self) -> None:
        """Somebody decides, now and then, what becomes of what is held or in doubt."""
        if self.clock.now < self.until and self._draw.random() < 0.5:
            for row in list(self.tables.issues.rows.values()):
                if row.state == KEPT and self._draw.random() < 0.2:
                    self._say(row, self._draw.choice((b"resend", b"fail")), self._draw)
                elif row.state == DOUBTED and self._holding.random() < self._holds:
                    self.history.to_hold.add(row.id)
                    self._say(row, b"hold", self._holding)
        self.clock.at(self.clock.now + 5.0, self._operate)

    def _say(self, row: Issue, word: bytes, draw: Random) -> None:
        self.history.asked.add(row.id)
        key = f"asked:{row.id.hex()}:{draw.random()}"
        self.tables.inbox.insert((row.slot, ASKED, key, row.id, None, None, None, word, None))

    # the end

    def _come_to_rest(self) -> None:
        """Doubts end late: by webhooks, by their window, or blindly, three times in a row."""
        span = windows.BLIND_FACTOR * self.spans.base * (self._held / 60.0)
        end = self.clock.now + MOST * span + LAST
        while judge.doubtful(self) and self.clock.now < end:
            self.clock.run(self.clock.now + LOOK)
        self._inbound = 0.0
        self.upstream.reset("second_app", "repeat")
        self.clock.run(self.clock.now + DOUBLED)
        end = self.clock.now + LAST + STRAGGLE * self.spans.base
        while judge.left(self) and self.clock.now < end:
            self.clock.run(self.clock.now + LOOK)

    def _judge(self) -> None:
        judge.judge(self)


def _way(draw: Random) -> dict[str, Any]:
    """How statuses travel in one run."""
    told = 1.0 - draw.choice((0.0, 0.0, 0.01))
    return {
        "spread_ms": draw.choice((50, 300, 1000)),
        "straggle": draw.choice((0.0, 0.0, 0.01, 0.1)),
        "sent": told,
        "opaque": draw.choice(("always", "not_failed")),
        "clock_s": draw.choice((0.0, -3.0, 3.0)),
    }
