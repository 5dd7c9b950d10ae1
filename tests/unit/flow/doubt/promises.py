"""The promises to the business that must hold in every interleaving."""

from __future__ import annotations

from tests.unit.flow.doubt.world import MESSAGES, Broken, Request, World


def check(world: World) -> None:
    """Hold in every state."""
    for m in MESSAGES:
        if world.told[m] == "not sent" and any(of == m for of, _ in world.taken):
            raise Broken("it was said not to be sent, and is taken")


def check_end(world: World) -> None:
    """Hold where nothing can happen any more."""
    for m in MESSAGES:
        if world.stored[m] or world.rows[m] is not None:
            raise Broken(f"message {m} has no end")
        if not world.told[m] and not any(of == m for of, _ in world.taken):
            raise Broken(f"message {m} is over, was not taken, and nobody heard that it failed")


def check_taken(world: World, request: Request) -> None:
    """Hold as Meta takes a request."""
    m, attempt = request.message, request.attempt
    before = [of for of, _ in world.taken]
    if (m, attempt) in world.taken:
        raise Broken("one reference was used for two requests")
    if m in before and m not in world.repeated:
        raise Broken("a message is taken twice that nobody had sent again")
    if m not in before and not request.passed and any(k > m for k in before):
        raise Broken("a message is taken after a later one of its recipient")


def check_begin(world: World, m: int) -> None:
    """Hold as a request is about to begin."""
    if m in world.known:
        raise Broken("a message is sent again although it is known to be taken")
    if world.told[m]:
        raise Broken("a message is sent of which the business knows that it failed")


def check_write(world: World, m: int) -> None:
    """Hold as a request is written."""
    over = {of for of, _ in world.taken}  # evidence may have ended it while it was sent again
    for request in world.requests:
        k = request.message
        if not request.end and (k == m or not {k, m} & over):
            raise Broken("two requests of one recipient are out")
