"""The observations: requests, their statuses, webhooks that came again, listings. Pure.

Times are seconds since the run began, but for ``meta``, which is unix seconds by Meta's clock. What
is secret, or names a person, stands in fields that ``exported`` leaves out.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

_DIGITS = re.compile(r"[0-9]{7,}")  # Meta's codes have six
_WAMID = re.compile(r"wamid\.[A-Za-z0-9+/=_-]*")
_MOST_WORDS = 300


class HeardStatus(msgspec.Struct, kw_only=True):
    """A status. ``echoed``: it carried the reference. ``code`` is that of a ``failed`` one."""

    status: str
    at: float
    meta: int
    echoed: bool
    code: int = 0
    wamid: str = ""


class ProbeMessage(msgspec.Struct, kw_only=True, eq=False):
    """One request for a message.

    ``written`` is when its last byte went to the kernel, ``ended`` when its answer came or its
    connection was reset. ``outcome`` is answered, cut, unanswered (no answer came) or unbegun.
    """

    question: str
    kind: str
    to: int  # which of the numbers; -1 for the unreachable one
    reference: str
    cut_ms: int = -1  # -1: it is not cut
    written: float | None = None
    ended: float | None = None
    outcome: str = "unbegun"
    http: int = 0
    code: int = -1  # Meta's
    words: str = ""
    wamid: str = ""
    statuses: list[HeardStatus] = []

    @property
    def taken(self) -> bool:
        """True if it was taken, by its answer or by a status."""
        return bool(self.wamid or self.statuses)

    @property
    def refused(self) -> bool:
        """True if its answer is a refusal."""
        return self.outcome == "answered" and not self.wamid

    @property
    def may_be_taken(self) -> bool:
        """True if it went out as a whole, and was not refused."""
        return self.written is not None and not self.refused

    def first(self, *names: str) -> HeardStatus | None:
        """The status of one of these names that came first; of any name without them."""
        found = [heard for heard in self.statuses if not names or heard.status in names]
        return min(found, key=lambda heard: heard.at, default=None)


class WebhookTrial(msgspec.Struct, kw_only=True, eq=False):
    """A webhook that is not answered 200. ``posts`` is when it came, ``closed`` how long each
    connection was held open by the other side, if it got no answer at all.
    """

    manner: str
    reference: str
    posts: list[float] = []
    closed: list[float] = []
    seconds: float = 0.0  # for which repeats were waited for after the first


class Listing(msgspec.Struct, kw_only=True):
    """A look at message_history. ``found`` counts its entries; ``answered`` and ``cut`` tell if the
    message with an answer is among them, and the one without. ``refused``: for good, with these
    words; neither ``listed`` nor refused is no answer, or none that is final.
    """

    at: float
    query: str
    listed: bool = False
    refused: bool = False
    words: str = ""
    found: int = 0
    answered: bool = False
    cut: bool = False


class Observed(msgspec.Struct, kw_only=True):
    """All that a run has seen; ``ended`` says why it ended early, "" if it did not.

    ``clock`` is by how many seconds Meta's clock is ahead of ours, to half a second; None if
    nothing told. ``began`` is the unix time of the beginning, ``seen`` how many messages of Q12 a
    person has counted, None without one.
    """

    began: float
    level: float = 0.0
    clock: float | None = None
    late_seconds: float = 0.0  # how long statuses of cut requests were waited for
    history_seconds: float = 0.0
    seen: int | None = None
    ended: str = ""
    messages: list[ProbeMessage] = []
    trials: list[WebhookTrial] = []
    listings: list[Listing] = []

    def of(self, question: str) -> list[ProbeMessage]:
        return [message for message in self.messages if message.question == question]


def masked(words: str) -> str:
    """Words of others, without ids and numbers that may name somebody."""
    return _DIGITS.sub("...", _WAMID.sub("wamid...", words))[:_MOST_WORDS]


def exported(observed: Observed) -> dict[str, Any]:
    """The observations as JSON objects, without references and wamids."""
    found: dict[str, Any] = msgspec.to_builtins(observed)
    for message in found["messages"]:
        del message["reference"]
        message["accepted"] = bool(message.pop("wamid"))
        for heard in message["statuses"]:
            del heard["wamid"]
    for trial in found["trials"]:
        del trial["reference"]
    return found
