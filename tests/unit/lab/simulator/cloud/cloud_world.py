"""A Cloud side without sockets: what it takes, what it tells, at times that the test says."""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec

from warouter.lab.simulator.cloud.columns import RequestOutcome
from warouter.lab.simulator.cloud.facts import CloudFacts
from warouter.lab.simulator.cloud.faults import CloudFaults
from warouter.lab.simulator.cloud.graph.errors import GraphError
from warouter.lab.simulator.cloud.message import read
from warouter.lab.simulator.cloud.world import World
from warouter.lab.simulator.inbound import build

TO = "491511234567"
WALL = 1_764_000_000.0


class Meta:
    """A world that is heard, and what it told."""

    def __init__(self, seed: int = 1, **switches: Any) -> None:
        self.world = World(CloudFacts(), Random(seed))
        self.world.heard = True
        self.now = 100.0
        self.use(**switches)

    def use(self, **switches: Any) -> None:
        calm = CloudFaults(level=0, pair_s=0, gather_ms=0, batch=1000)
        self.world.use(calm.changed(switches), self.now)

    def answer(self, held: float = 0.0, **body: Any) -> dict[str, Any]:
        """The answer to a message; raises GraphError."""
        message = {"messaging_product": "whatsapp", "to": f"+{TO}", "text": {"body": "x"}} | body
        asked = read(msgspec.json.encode(message))
        recipient = asked.number or asked.written
        record, wall = self.world.record, WALL + self.now
        row = record.begun(asked.reference, recipient, self.now, wall)
        try:
            accepted = self.world.intake.take(asked, row, self.now, wall, held)
        except GraphError as error:
            record.ended(row, RequestOutcome.ANSWERED, error.code, self.now)
            raise
        record.ended(row, RequestOutcome.ANSWERED, 0, self.now)
        return msgspec.json.decode(accepted.body, type=dict[str, Any])

    def code(self, **body: Any) -> int:
        """The code of the refusal of a message, 0 if it is taken."""
        try:
            self.answer(**body)
        except GraphError as error:
            return error.code
        return 0

    def template(self, name: str, **body: Any) -> dict[str, Any]:
        return self.answer(**template(name), **body)

    def write(self, **asked: Any) -> str:
        """A customer writes."""
        message = build({"from": TO} | asked, "wamid.in", int(WALL + self.now))
        self.world.inject(message, {}, self.now, WALL + self.now)
        return message.id

    def wait(self, seconds: float) -> None:
        self.now += seconds

    def told(self) -> list[dict[str, Any]]:
        """The values that are told by now, acknowledged."""
        self.world.tick(self.now, WALL + self.now)
        found = []
        for post in self.world.outbox.leaving(self.now):
            self.world.outbox.done(post, answered=True, now=self.now)
            body = msgspec.json.decode(post.body)
            found += [c["value"] for e in body["entry"] for c in e["changes"]]
        return found

    def statuses(self, seconds: float = 0.0) -> list[dict[str, Any]]:
        """The statuses that are told after so many seconds."""
        self.wait(seconds)
        return [s for value in self.told() for s in value.get("statuses", ())]

    def messages(self) -> list[dict[str, Any]]:
        return [m for value in self.told() for m in value.get("messages", ())]

    def names(self, seconds: float = 1.0) -> list[str]:
        return [status["status"] for status in self.statuses(seconds)]


def template(name: str) -> dict[str, Any]:
    """The part of a body that sends a template."""
    return {"type": "template", "template": {"name": name, "language": {"code": "de"}}}
