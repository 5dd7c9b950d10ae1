"""What the load generator is told to do, and the requests that it makes of it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from random import Random

import msgspec

RECIPIENTS = 10_000
MOST_MADE = 131_072  # requests in the ring: of more recipients each order takes others
BODY = b'{"to":"49151%08d","type":"text","text":{"body":"Your order %08d is on its way. %b"}}'
FILLER = b"It was packed today and leaves our house tonight. " * 2


class Load(msgspec.Struct):
    """One run: closed loops on ``connections`` keep-alive connections for ``seconds``.

    With ``most_open`` a connection waits while so many messages have not all their callbacks. With
    ``per_second`` requests are due at that pace instead, whether answers come or not, and a time
    counts from when its request was due. With ``count`` so many are sent, and ``seconds`` is the
    most that they may take.
    """

    port: int
    token: str
    connections: int
    seconds: float
    most_open: int = 0
    per_second: float = 0.0
    count: int = 0
    numbers: list[int] = []  # recipients by number; else ``recipients`` of them
    recipients: int = RECIPIENTS
    warm_up: float = 0.0
    lives: bool = True  # whether callbacks will come for these messages
    ports: list[int] = []  # connections go round these; else to ``port``
    times: bool = False  # give the monotonic time of each 201 back, by id
    asked: bool = False  # with ``times``: also that of when each was due
    login: str = ""  # credentials: each connection logs in first, before any load
    again: bool = False  # a connection that ends is opened again, until the run ends
    heard: bool = False  # note when each callback of these messages comes, for ``Command.heard``


class Command(msgspec.Struct):
    """``load`` runs it; ``refuse`` lets the webhook say 503 from now on, or not.

    ``last_is_enough``: from now on a message is whole with its ``read``, whatever came before.
    ``heard`` asks for the monotonic time of each callback, by id and status. None of them: only
    where the callbacks stand.
    """

    load: Load | None = None
    refuse: bool | None = None
    last_is_enough: bool = False
    heard: bool = False


_orders = itertools.count()


def ring(order: Load) -> Iterator[bytes]:
    """The requests of a run, in the order in which they are sent, again and again."""
    head = (
        f"POST /v1/messages HTTP/1.1\r\nHost: localhost:{order.port}\r\n"
        f"Authorization: Bearer {order.token}\r\nContent-Type: application/json\r\n"
        "Content-Length: "
    ).encode()
    number = next(_orders)
    for n in order.numbers or _drawn(order.recipients, number):
        body = BODY % (n, (number * MOST_MADE + n) % 100_000_000, FILLER)
        yield b"%b%d\r\n\r\n%b" % (head, len(body), body)


def _drawn(recipients: int, order: int) -> Sequence[int]:
    """All recipients, or another part of them for each order, evenly over the whole."""
    if recipients <= MOST_MADE:
        return range(recipients)
    return Random(order).sample(range(recipients), MOST_MADE)
