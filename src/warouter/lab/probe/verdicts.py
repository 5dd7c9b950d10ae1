"""Answers each question from the observations. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import NamedTuple

from warouter.lab.probe.observed import Listing, Observed, ProbeMessage, WebhookTrial
from warouter.lab.probe.questions import ALL, CUT_MS
from warouter.lab.probe.statistics import secs, share, spread

NOT_MEASURED = "not measured"
_FENCE_SECONDS = 20.0  # the longest time of a request, as the window has it
_MOST_DELAYS = 5


class ResultRow(NamedTuple):
    """One line of the table; ``n`` counts what the result rests on."""

    question: str
    measured: str
    n: int
    result: str


def rows(observed: Observed, questions: Sequence[str]) -> list[ResultRow]:
    """A row for each question that was asked, in the order of their numbers."""
    asked = [question for question in ALL if question.id in questions]
    return [ResultRow(q.id, q.title, *_VERDICTS[q.id](observed)) for q in asked]


def _sent(observed: Observed) -> tuple[int, str]:
    """Q1."""
    good = [m for m in observed.of("Q1") if m.outcome == "answered" and m.wamid]
    told = []
    for kind, group in _by_kind(good):
        waits = [heard.at - m.ended for m in group if m.ended and (heard := m.first("sent"))]
        words = spread(waits) or "no `sent`"
        if early := sum(wait < 0 for wait in waits):
            words += f", {early} before the 200"
        if missing := len(group) - len(waits):
            words += f", {missing} without `sent`"
        told.append(f"{kind} (n={len(group)}): {words}")
    return len(good), _joined(told, _refused(observed.of("Q1")))


def _echoed(observed: Observed) -> tuple[int, str]:
    """Q2."""
    messages = observed.of("Q2")
    told = []
    for kind, status in (("unreachable", "failed"), ("audio", "played")):
        for message in (m for m in messages if m.kind == kind):
            heard = message.first(status)
            if heard is None:
                told.append(f"`{status}`: none came")
            else:
                code = f", code {heard.code}" if heard.code else ""
                told.append(f"`{status}`: {'with' if heard.echoed else 'without'} it{code}")
    return len(messages), _joined(told, _refused(messages))


def _cut(observed: Observed) -> tuple[int, str]:
    """Q3."""
    cut = _cuts(observed)
    told = []
    for delay in CUT_MS:
        these = [m for m in cut if m.cut_ms == delay]
        if these:
            words = f"{delay} ms: {share(sum(m.taken for m in these), len(these))}"
            if before := sum(m.outcome == "answered" for m in these):
                words += f", {before} answered before"
            told.append(words)
    return len(cut), _joined(told, _refused(_refused_cuts(observed)))


def _late(observed: Observed) -> tuple[int, str]:
    """Q15: how long after its last byte, and after its reset, a request was taken at most."""
    taken = [m for m in _cuts(observed) if m.outcome == "cut" and m.statuses]
    first = [(m, m.first()) for m in taken]
    since_byte = [h.at - m.written for m, h in first if h and m.written is not None]
    since_reset = [h.at - m.ended for m, h in first if h and m.ended is not None]
    if not since_byte or not since_reset:
        told = ["none was taken"] if _cuts(observed) else []
        return len(taken), _joined(told, _refused(_refused_cuts(observed)))
    told = [
        f"first status after the last byte: {spread(since_byte)}",
        f"after the reset: most {secs(max(since_reset))}",
    ]
    clock = observed.clock
    if clock is not None:
        meta = [h.meta - clock - observed.began - (m.written or 0) for m, h in first if h]
        told.append(f"by Meta's timestamps: most {secs(max(meta))} (1 s coarse)")
    later = sum(value > _FENCE_SECONDS for value in since_byte)
    told.append(f"{later} later than {_FENCE_SECONDS:.0f} s")
    told.append(f"waited {secs(observed.late_seconds)} after the last")
    return len(taken), _joined(told, _refused(_refused_cuts(observed)))


def _repeats(observed: Observed) -> tuple[int, str]:
    """Q6."""
    told = [_trial(trial) for trial in observed.trials]
    return len([trial for trial in observed.trials if trial.posts]), _joined(told)


def _trial(trial: WebhookTrial) -> str:
    if not trial.posts:
        return f"{trial.manner}: no webhook came"
    words = trial.manner
    if trial.manner == "stall":
        words += f" (closed after {spread(trial.closed)})" if trial.closed else " (never closed)"
    delays = [after - before for before, after in zip(trial.posts, trial.posts[1:], strict=False)]
    shown = ", ".join(secs(delay) for delay in delays[:_MOST_DELAYS])
    shown = f", after {shown}" if shown else ""
    return f"{words}: {len(delays)} repeats within {secs(trial.seconds)}{shown}"


def _history(observed: Observed) -> tuple[int, str]:
    """Q7."""
    plain = [one for one in observed.listings if one.query == "unfiltered"]
    if not plain:
        return 0, NOT_MEASURED
    if not any(one.listed for one in plain):
        told = [f"unfiltered: {plain[-1].words}"]
    else:
        told = [f"unfiltered: listed, {max(one.found for one in plain)} entries at most"]
        ended = {m.outcome: m.ended for m in observed.of("Q7")}
        told.append(_shown(plain, "answered", ended, observed))
        told.append(_shown(plain, "cut", ended, observed))
    others = sorted((o for o in observed.listings if o.query != "unfiltered"), key=_query)
    for query, group in groupby(others, key=_query):
        last = list(group)[-1]
        told.append(f"{query}: {f'{last.found} entries' if last.listed else last.words}")
    return len(observed.listings), _joined(told)


def _shown(
    plain: list[Listing], name: str, ended: dict[str, float | None], observed: Observed
) -> str:
    what = "the answered message" if name == "answered" else "the cut one"
    began = ended.get(name)
    at = next((one.at for one in plain if getattr(one, name)), None)
    if at is None or began is None:
        return f"{what}: not within {secs(observed.history_seconds)}"
    return f"{what}: after {secs(at - began)}"


def _unknown_keys(observed: Observed) -> tuple[int, str]:
    """Q11."""
    messages = observed.of("Q11")
    told = [f"{m.kind}: {_answer(m)}" for m in messages]
    return len(messages), _joined(told)


def _twice(observed: Observed) -> tuple[int, str]:
    """Q12."""
    messages = observed.of("Q12")
    pairs: dict[str, list[ProbeMessage]] = {}
    for message in messages:
        pairs.setdefault(message.reference, []).append(message)
    whole = [pair for pair in pairs.values() if len(pair) == 2 and all(m.wamid for m in pair)]
    two = [pair for pair in whole if pair[0].wamid != pair[1].wamid]
    both = [pair for pair in two if all(m.statuses for m in pair)]
    told = []
    if whole:
        told.append(f"two ids in {share(len(two), len(whole))} pairs")
        told.append(f"statuses of both in {len(both)}")
    if observed.seen is not None:
        told.append(f"a person counted {observed.seen} messages of {len(messages)}")
    return len(whole), _joined(told, _refused(messages))


_VERDICTS: dict[str, Callable[[Observed], tuple[int, str]]] = {
    "Q1": _sent,
    "Q2": _echoed,
    "Q3": _cut,
    "Q6": _repeats,
    "Q7": _history,
    "Q11": _unknown_keys,
    "Q12": _twice,
    "Q15": _late,
}


def _query(listing: Listing) -> str:
    return listing.query


def _cuts(observed: Observed) -> list[ProbeMessage]:
    """Requests that show what becomes of one that is cut."""
    return [m for m in observed.of("Q3") if m.may_be_taken]


def _refused_cuts(observed: Observed) -> list[ProbeMessage]:
    """Requests that were refused before they were cut: they show nothing."""
    return [m for m in observed.of("Q3") if m.refused]


def _by_kind(messages: list[ProbeMessage]) -> list[tuple[str, list[ProbeMessage]]]:
    found: dict[str, list[ProbeMessage]] = {}
    for message in messages:
        found.setdefault(message.kind, []).append(message)
    return list(found.items())


def _answer(message: ProbeMessage) -> str:
    if message.outcome != "answered":
        return "no answer"
    if message.wamid:
        return f"HTTP {message.http}, taken"
    code = f" code {message.code}" if message.code >= 0 else ""
    return f"HTTP {message.http}{code}, refused: {message.words}"


def _refused(messages: list[ProbeMessage]) -> list[str]:
    """``2 refused with 131056``, for each code, or HTTP status; and what had no answer."""
    refused = Counter(
        str(m.code) if m.code >= 0 else f"HTTP {m.http}" for m in messages if m.refused
    )
    told = [f"{count} refused with {code}" for code, count in sorted(refused.items())]
    if missing := sum(m.outcome in ("unanswered", "unbegun") for m in messages):
        told.append(f"{missing} without an answer")
    return told


def _joined(told: Sequence[str], more: Sequence[str] = ()) -> str:
    return "; ".join([*told, *more]) or NOT_MEASURED
