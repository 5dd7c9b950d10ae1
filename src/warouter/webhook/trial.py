"""A test callback: whether the receiver can be reached from here, and what it answers.

It goes the way of any callback (the URL in force, the same rules for addresses, TLS, signatures),
on a connection of its own, and has no event in it: a receiver that reads ``statuses`` finds none,
so nothing can be taken for what a customer did. It counts for no breaker and no figure.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec

from warouter.signature import signed
from warouter.webhook.post import Ended, Receiver
from warouter.webhook.post_record import PostRecord

NO_URL = Ended("", "no URL")


def body_of(name: str) -> bytes:
    """No status, and the name of the test where only people look."""
    return msgspec.json.encode({"statuses": [], "test": {"from": "warouter", "id": name}})


async def try_out(
    receiver: Receiver, secrets: Sequence[str], record: PostRecord, name: str
) -> None:
    """Send a test callback, and note in the record how it ended."""
    began = time.monotonic()
    if not receiver.url:
        record.tried(name, NO_URL, began)
        return
    content = body_of(name)
    async with receiver.connections() as connections:
        headers = signed(content, secrets, int(time.time()))
        ended = await receiver.post(connections, content, headers, lambda: True, any_answer=True)
    if ended is not None:
        record.tried(name, ended, began)
