"""The questions to the probe, as docs/cloud.md numbers them, and what each costs. Pure."""

from __future__ import annotations

from typing import NamedTuple

CUT_MS = (0, 50, 200, 500)  # from the last byte of a request to the reset of its connection
MANNERS = ("stall", "201", "204", "302", "500")
MOST_PAIRS = 5
OTHER_KINDS = ("location", "interactive")


class Question(NamedTuple):
    """``title`` for people; ``sent`` says what goes out for it."""

    id: str
    title: str
    sent: str


ALL = (
    Question("Q1", "time from 200 to `sent`", "texts, locations, reply buttons"),
    Question("Q2", "reference on `failed` and `played`", "a text that fails, a voice note"),
    Question("Q3", "requests taken though cut", "texts, cut after their last byte"),
    Question("Q6", "webhooks that are not answered 200", "texts"),
    Question("Q7", "`message_history`", "a text, and one that is cut"),
    Question("Q11", "unknown keys", "texts with a key too many"),
    Question("Q12", "the same body twice", "pairs of equal texts"),
    Question("Q15", "how late a cut request is taken", "the requests of Q3"),
)
IDS = tuple(question.id for question in ALL)
# What harms the others least comes first; Q6 last, as its failures may slow Meta's webhooks down.
ORDER = ("Q11", "Q12", "Q1", "Q7", "Q2", "Q3", "Q15", "Q6")


class ProbeScope(NamedTuple):
    """The run that is asked for. ``recipients`` are digits, as is ``unreachable``, or ""."""

    questions: tuple[str, ...]
    recipients: tuple[str, ...]
    unreachable: str = ""
    messages: int = 40
    voice: bool = False  # there is a voice note to send
    person: bool = False  # somebody sits at the terminal

    @property
    def others(self) -> int:
        """Messages of each kind beside texts, for Q1."""
        return self.messages // 4

    @property
    def plays(self) -> bool:
        """True if somebody can play a voice note, and there is one."""
        return self.voice and self.person

    @property
    def pairs(self) -> int:
        return min(self.messages, MOST_PAIRS)


def messages_of(asked: ProbeScope, question: str) -> int:
    """Requests for messages of one question; those of Q3 and Q15 are counted once, for Q3 if it is
    asked.
    """
    counts = {
        "Q1": asked.messages + len(OTHER_KINDS) * asked.others,
        "Q2": bool(asked.unreachable) + asked.plays,
        "Q3": asked.messages,
        "Q6": len(MANNERS),
        "Q7": 2,
        "Q11": 2,
        "Q12": 2 * asked.pairs,
        "Q15": 0 if "Q3" in asked.questions else asked.messages,
    }
    return counts[question] if question in asked.questions else 0
