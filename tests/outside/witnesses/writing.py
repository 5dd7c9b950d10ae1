"""How a writer is asked: by the name of one of its verbs, with where and to whom to send."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from answering import run


class Where(NamedTuple):
    """The Graph API without a version, the sender's id and token, its account, the recipient, an
    inbound message to quote, a JPEG to upload, a listener and its verify token.
    """

    graph: str
    number: str
    token: str
    account: str
    to: str
    wamid: str
    file: str
    listener: str
    verify: str


def write(made: Callable[[Where], Mapping[str, Callable[[], Any]]]) -> None:
    """Answer for each verb with what the API is understood to have said: an id, or success."""
    where = Where(*sys.argv[1:])
    verbs = made(where)
    run(lambda asked: verbs[asked]())
