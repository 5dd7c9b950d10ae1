"""The states of a message in docs/cloud.md, as a drawing and as a table, made from the machine.

`make docs` runs this as a program, which writes them into the page. Both leave out what is so in
every state: evidence ends it, and a word that means nothing there changes nothing. So do they leave
out that a lane may settle what is in it, but where nothing else is waited for.
"""

from __future__ import annotations

import re
from itertools import groupby
from pathlib import Path

from tests.harness.doubt_outcomes import STATES, Outcome, outcomes, possible
from warouter.flow.doubt import effects as do
from warouter.flow.doubt import events as on
from warouter.flow.doubt.effects import Effect
from warouter.flow.doubt.states import MEANINGS, DoubtState, RowState
from warouter.flow.progress import Change, Park, Stated, Took, Unissued

PAGE = Path(__file__).parents[2] / "docs" / "cloud.md"
BEGIN = "<!-- made by `make docs` from src/warouter/flow/doubt -->"
END = "<!-- end of what is made from src/warouter/flow/doubt -->"
SETTLED = frozenset({DoubtState.REFUSED, DoubtState.EXPIRED})
COUNTED = (do.CountEnd, do.EndedBlind, do.Resent, do.MayBeHeard)
ROWS = {
    RowState.ISSUED: "issued",
    RowState.DOUBTED: "in doubt",
    RowState.KEPT: "held",
    RowState.NOT_TAKEN: "not taken",
    RowState.AGAIN: "to be sent again",
    RowState.ASIDE: "aside",
    RowState.SAID: "said",
    RowState.RETURNING: "returning",
}
PHRASES = {
    do.ShutLane: "its lane is shut",
    do.ReopenLane: "its lane is opened",
    do.ReturnToLane: "it returns to its lane",
    do.EndMessage: "it ends wherever it is",
    do.Retry: "it goes again after a wait",
    do.Refuse: "its `failed` is written",
    do.SayFailed: "its `failed` is written",
    do.NotNow: "it is told again later",
    Unissued: "its row goes",
    Park: "it is parked",
}
Line = tuple[str, DoubtState, str]  # what happens, the state after, what is done


def markdown() -> str:
    """Everything between the two marks of the page."""
    return f"```mermaid\n{_drawing()}\n```\n\n{_table()}"


def page(text: str) -> str:
    """The page with its drawing and its table made anew."""
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n\n{markdown()}\n\n{END}{tail}"


def lines(state: DoubtState) -> list[Line]:
    """Whatever changes a message in this state; events with the same outcome are one line."""
    found: dict[tuple[DoubtState, str], list[str]] = {}
    for event in (event for of, event in possible() if of is state and _is_shown(of, event)):
        for outcome in sorted(outcomes(state, event), key=_in_order):
            done = _done(outcome)
            events = found.setdefault((outcome.state, done), [])
            if (outcome.state is not state or done) and _words(event) not in events:
                events.append(_words(event))
    return [(", ".join(events), after, done) for (after, done), events in found.items() if events]


def _is_shown(state: DoubtState, event: type) -> bool:
    evidence = event in (on.EvidenceSeen, on.EvidenceStored)
    return not evidence and (event is not on.MessageSettled or state in SETTLED)


def _drawing() -> str:
    drawn = ["stateDiagram-v2", f"    [*] --> {_name(DoubtState.QUEUED)}"]
    drawn += [f"    {_name(state)} : {state}" for state in STATES if _name(state) != state]
    for state in STATES:
        to: dict[DoubtState, dict[str, None]] = {}
        for events, after, _ in lines(state):
            to.setdefault(after, {}).update(dict.fromkeys(events.split(", ")))
        to.pop(state, None)
        for after, words in to.items():
            drawn.append(f"    {_name(state)} --> {_name(after)} : {', '.join(words)}")
    return "\n".join(drawn)


def _table() -> str:
    rows = ["| state | event | next | what is done |", "|---|---|---|---|"]
    for told, states in groupby(STATES, key=lines):
        shown = "<br>".join(f"**{state}**: {MEANINGS[state]}" for state in states)
        for events, after, done in told:
            rows.append(f"| {shown} | {events} | {after} | {done} |")
            shown = ""
        if not told:
            rows.append(f"| {shown} | | | |")
    return "\n".join(rows)


def _in_order(outcome: Outcome) -> tuple[int, str]:
    return STATES.index(outcome.state), str(outcome.effects)


def _done(outcome: Outcome) -> str:
    told = [_effect(effect) for effect in outcome.effects if not isinstance(effect, COUNTED)]
    return ", ".join(word for word, _ in groupby(told))


def _effect(effect: Effect | Change) -> str:
    match effect:
        case Took(seq):
            return "its id is kept, and its row goes" if seq else "its id is kept"
        case Stated(_, _, state):
            return f"its row says: {ROWS[RowState(state)]}"
        case do.Settle(reopen):
            return "it leaves its lane, which goes on" if reopen else "it is settled"
        case _:
            return PHRASES[type(effect)]


def _name(state: DoubtState) -> str:
    return state.name.lower()


def _words(of: type) -> str:
    """The words that the name of a class is made of."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", of.__name__).lower()


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
