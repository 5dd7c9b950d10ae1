"""Meta's side of the webhooks, for the bench: signed POSTs of statuses at a steady pace.

In a process of its own, which is told what to do by a line of JSON and answers with another
(``bench.child``). POSTs are due whether answers come or not, and a time counts from when a POST was
due; one that all connections are too busy for waits for one.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator
from random import Random

import msgspec
import uvloop

from tests.harness.webhooks import Line, post
from warouter.lab.simulator.cloud.faults import CloudFaults
from warouter.lab.simulator.cloud.people import People, contact
from warouter.lab.simulator.cloud.statuses import AcceptedMessage, Due, payload
from warouter.lab.simulator.cloud.webhooks.envelope import WebhookElement, WebhookSubject, body

CONNECTIONS = 16
LARGEST = 100  # elements of a POST: 1 to so many, evenly
BEHIND = 500  # messages between a status and the one before of the same message


class Sent(msgspec.Struct):
    """A message that was taken."""

    wamid: str
    reference: str
    recipient: str


class Order(msgspec.Struct):
    """Three statuses for each message, ``per_second`` of them."""

    port: int
    secret: str
    waba_id: str
    phone_number_id: str
    number: str
    messages: list[Sent]
    per_second: float


class Posted(msgspec.Struct):
    """``posts`` are when each was due (monotonic s), after how many seconds it was answered, and
    with what.
    """

    posts: list[tuple[float, float, int]]
    events: int


async def run(order: Order) -> Posted:
    """Post it all."""
    lines = asyncio.Queue[Line]()
    for _ in range(CONNECTIONS):
        lines.put_nowait(Line(*await asyncio.open_connection("127.0.0.1", order.port)))
    posted = Posted([], 0)
    ready = list(requests(order, Random(1)))
    due = time.monotonic()
    async with asyncio.TaskGroup() as posting:
        for count, request in ready:
            await asyncio.sleep(due - time.monotonic())
            posting.create_task(_post(await lines.get(), request, due, lines, posted))
            posted.events += count
            due += count / order.per_second
    return posted


def requests(order: Order, random: Random) -> Iterator[tuple[int, bytes]]:
    """Of each POST the number of its elements, and its bytes."""
    sender = WebhookSubject(order.waba_id, order.phone_number_id, order.number)
    elements = list(_elements(order.messages))
    start = 0
    while start < len(elements):
        some = elements[start : start + random.randint(1, LARGEST)]
        start += len(some)
        yield len(some), post(body(some, sender, 1, 1, int(time.time())), secret=order.secret)


def _elements(messages: list[Sent]) -> Iterator[WebhookElement]:
    """Every status: of a message one after the other, with those of many others in between."""
    faults, people, wall = CloudFaults(), People(), time.time()
    names = ("sent", "delivered", "read")
    for n in range(len(messages) + BEHIND * (len(names) - 1)):
        for later, name in enumerate(names):
            at = n - BEHIND * later
            if 0 <= at < len(messages):
                one = messages[at]
                taken = AcceptedMessage(
                    one.wamid, one.recipient, "", one.reference, "service", 0.0, wall
                )
                who = people.shown(one.recipient)
                status = payload(Due(name, 0.1 * later, taken), who, faults)
                yield WebhookElement("statuses", status, contact(who, one.recipient))


async def _post(
    line: Line, request: bytes, due: float, lines: asyncio.Queue[Line], posted: Posted
) -> None:
    line.say(request)
    answer = await line.hear()
    posted.posts.append((due, time.monotonic() - due, answer.status))
    lines.put_nowait(line)


async def main() -> None:
    """One order, one answer."""
    print(0, flush=True)
    line = await asyncio.to_thread(sys.stdin.readline)
    found = await run(msgspec.json.decode(line, type=Order))
    sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    uvloop.run(main())
