"""Why messages are in doubt, in one word each. Pure.

An owner keeps what it heard, which may be whatever a socket or a Graph API says. What is counted
and listed by cause needs few words, and always the same.
"""

from __future__ import annotations

import re

ANSWER = "answer"  # an answer came, and says neither "taken" nor "not taken"
TIMEOUT = "timeout"  # none came in time
CONNECTION = "connection"  # the connection ended before the answer did
TAKEOVER = "takeover"  # the next owner found the request issued
TIMELINE = "timeline"  # PostgreSQL failed over: the row of a request may be gone
GONE = "gone"  # the message is not stored any more, and should be
OTHER = "other"
CAUSES = (ANSWER, TIMEOUT, CONNECTION, TAKEOVER, TIMELINE, GONE, OTHER)

# A cause by all that was said, then by how that begins; the store has the same as SQL.
SAID = {
    **{word: word for word in CAUSES},
    "no answer in time": TIMEOUT,
    "": OTHER,
    "unclear": OTHER,
}
ERROR = re.compile(r"\w+\(")  # the repr of one that nobody expected
ODD = re.compile(r"answer: |the answer (?!broke off)")
_MOST_CHARS = 200


def unclear(details: str) -> str:
    """The cause of a doubt whose answer says neither "taken" nor "not taken"."""
    return f"{ANSWER}: {details[:_MOST_CHARS]}"


def word_of(said: str) -> str:
    """One of ``CAUSES`` for whatever was said of a request."""
    known = SAID.get(said)
    if known is not None:
        return known
    if ODD.match(said):
        return ANSWER
    return OTHER if ERROR.match(said) else CONNECTION
