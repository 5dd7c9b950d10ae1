"""The text of the dry run, and the bounds of a run, before anything is sent. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from warouter.flow.pairs import PAIR_DEPTH, PAIR_SECONDS
from warouter.lab.probe.questions import ALL, ProbeScope, messages_of

_SPARE_SECONDS = 60.0


class Times(NamedTuple):
    """Seconds for which each thing is waited for."""

    first: float = 60.0  # the first webhook
    status: float = 60.0  # a status, after the last message of a question
    late: float = 120.0  # statuses of cut requests, after the last cut
    patience: float = 600.0  # repeated webhooks
    history: float = 120.0  # message_history
    poll: float = 1.0  # between two looks at it
    person: float = 120.0  # an answer at the terminal, a voice note that is played
    gap: float = 0.1  # between two messages, at least


def total(asked: ProbeScope) -> int:
    """All requests for messages, with the first one to each number."""
    return len(asked.recipients) + sum(messages_of(asked, q) for q in asked.questions)


def calls(asked: ProbeScope, times: Times) -> int:
    """Calls of the Graph API beside those for messages, at most."""
    history = math.ceil(times.history / times.poll) + 3 if "Q7" in asked.questions else 0
    return 1 + history + (asked.plays and "Q2" in asked.questions)


def seconds(asked: ProbeScope, times: Times) -> float:
    """How long a run takes at most, if every wait is waited out."""
    each = math.ceil(total(asked) / len(asked.recipients))
    sending = total(asked) * (times.gap + 1) + max(0, each - PAIR_DEPTH) * PAIR_SECONDS
    waits = {
        "Q1": times.status,
        "Q2": times.status * bool(asked.unreachable) + times.person * asked.plays,
        "Q3": times.late,
        "Q6": times.status + times.patience,
        "Q7": times.history,
        "Q11": times.status,
        "Q12": times.status + times.person * asked.person,
        "Q15": 0.0 if "Q3" in asked.questions else times.late,
    }
    return times.first + sending + sum(waits[q] for q in asked.questions)


def bound(asked: ProbeScope, times: Times) -> float:
    """Seconds after which a run is ended, whatever it does."""
    return 1.5 * seconds(asked, times) + _SPARE_SECONDS


def ending(number: str) -> str:
    """The end of a number, which is all of it that is ever shown."""
    return f"...{number[-2:]}"


def dry(asked: ProbeScope, times: Times, version: str, listen: str) -> str:
    """The plan for people; ``listen`` is host:port."""
    return "\n".join(_dry(asked, times, version, listen))


def _dry(asked: ProbeScope, times: Times, version: str, listen: str) -> Iterator[str]:
    count = len(asked.recipients)
    shown = ", ".join(ending(number) for number in asked.recipients)
    yield f"Nothing is sent without --run. With it, by {version} of the Graph API:"
    yield ""
    yield "| question | measures | sends | messages |"
    yield "|---|---|---|---|"
    yield f"| | that webhooks come here | a text to each number | {count} |"
    for question in ALL:
        if question.id in asked.questions:
            sends = messages_of(asked, question.id)
            yield f"| {question.id} | {question.title} | {question.sent} | {sends} |"
    yield ""
    minutes = math.ceil(seconds(asked, times) / 60)
    yield (
        f"{total(asked)} messages to {shown}"
        + (f" and {ending(asked.unreachable)}" if asked.unreachable else "")
        + f": {minutes} min at most. No templates: all are free-form messages."
    )
    yield (
        f"Beside them {calls(asked, times)} other calls of the Graph API at most, of which Meta"
        " allows thousands an hour."
    )
    yield from _left_out(asked)
    yield ""
    yield "What must be true:"
    yield "* These are your own phones, and their owners agree."
    yield "* The owner of each number has written to the business within the last 24 hours."
    yield (
        f"* All webapps of this number are stopped: the probe listens at {listen} itself, and what"
        " another one takes is missing here. What customers write meanwhile, and statuses of other"
        " messages, are answered 503: Meta repeats them once the webapps run again."
    )
    yield "* The callback URL of the number leads here (`warouter cloud check`)."
    if "Q6" in asked.questions:
        yield (
            "* A proxy in front of that address waits for an answer longer than Meta does (some"
            " minutes): else Q6 measures the proxy."
        )
    yield ""
    yield "What it costs:"
    yield "* Within those 24 hours free-form messages are free; a message that fails costs nothing."
    yield "* Q3, Q12 and Q15 may show one text twice, or none: on your own phones only."
    yield (
        "* Each message counts against the number's rate, and one that is blocked or reported"
        " against its quality. Q6 makes webhooks fail on purpose: Meta may send them more slowly"
        " for a while."
    )


def _left_out(asked: ProbeScope) -> Iterator[str]:
    if "Q2" in asked.questions and not asked.unreachable:
        yield "Of Q2 `failed` is left out: give a number without WhatsApp as --unreachable."
    if "Q2" in asked.questions and not asked.voice:
        yield "Of Q2 `played` is left out: give a voice note (OGG with Opus) as --voice."
    elif "Q2" in asked.questions and not asked.person:
        yield "Of Q2 `played` is left out: it needs a terminal, and somebody who plays it."
