"""One message: where it is, what became of it and why, and what can be done about it."""

from __future__ import annotations

import shlex
import time
from functools import partial
from typing import Any, Final

import msgspec

from warouter.console.context import ConsoleContext
from warouter.console.form import Form
from warouter.console.page import Act, Page
from warouter.console.pages.messages import LEVELS, PATH, href_of
from warouter.console.render import mask
from warouter.console.spared import ShownText
from warouter.console.timeline import timeline
from warouter.console.visit import ConsoleRefusal, Done, ReadingKey, Visitor
from warouter.log import without_numbers
from warouter.message_id import parse
from warouter.store import dead_letters, operator_word
from warouter.store.account.callback_requests import ask_retry
from warouter.store.dead_letters import Selection
from warouter.store.views.doubts import (
    HEARS,
    LISTED,
    STATES,
    DoubtfulMessage,
    Word,
    find_one,
    read_spans,
    spoken,
)
from warouter.store.views.messages.shown import read_shown
from warouter.store.views.status import numbered
from warouter.store.views.trace import Step, Trace

ONE = PATH + "/{id}"
NUMBER, TEXT = "number", "text"
_MOST_TEXT = 100_000  # characters of a body on a page
_UNKNOWN: Final = (
    "There is no such message, or it is no longer kept: check the id, and WAROUTER_RETENTION."
)


async def read(context: ConsoleContext, asked: ReadingKey) -> dict[str, Any]:
    """The values of the page; ConsoleRefusal (404) if nobody knows the message."""
    message_id = asked.path["id"]
    trace, doubt = _masked(*await _read(context, message_id))
    entries = timeline(trace, time.time())
    name = asked.query.get("shown", "")
    revealed = context.revealed.get(name, trace.id) if asked.admin else None
    letters, parked = _letters(trace), "parked" in _callback_states(trace)
    return {
        "trace": trace,
        "state": trace.state.replace("_", " "),
        "level": LEVELS.get(trace.state, "off"),
        "epoch": numbered(trace.epoch),
        "entries": entries,
        "letters": letters,
        "undeliverable": "" if letters else _why_not(trace),
        "parked": parked,
        "doubt": doubt if _is_listed(doubt) else None,
        "words": _words(doubt),
        "held_s": context.settings.pending_seconds,
        "revealed": revealed,
        "bodies": context.settings.console_bodies,
        "href": href_of(trace.id),
        "errors": f"{context.api.url}/v1/errors",
        "json": _json(trace),
        "command": _command(trace.id, letters, parked, doubt),
    }


async def _read(context: ConsoleContext, message_id: str) -> tuple[Trace, DoubtfulMessage | None]:
    async with context.reading() as connection:
        trace = await read_shown(connection, message_id)
        if trace is None:
            raise ConsoleRefusal(_UNKNOWN, 404)
        if trace.cloud is None or trace.direction != "outgoing":
            return trace, None
        spans = await read_spans(connection, context.settings)
        return trace, await find_one(connection, parse(message_id), spans)


def _masked(trace: Trace, doubt: DoubtfulMessage | None) -> tuple[Trace, DoubtfulMessage | None]:
    """Mask the number where Meta, or a webhook, has quoted it in an answer."""
    number = trace.recipient
    if not number:
        return trace, doubt

    def hidden(text: str | None) -> str | None:
        return text and text.replace(number, mask(number))

    def step_of(step: Step) -> Step:
        callback = step.callback
        if callback is not None:
            callback = msgspec.structs.replace(callback, reason=hidden(callback.reason))
        return msgspec.structs.replace(step, reason=hidden(step.reason), callback=callback)

    if doubt is not None:
        doubt = msgspec.structs.replace(doubt, said=hidden(doubt.said))
    steps = [step_of(step) for step in trace.steps]
    return msgspec.structs.replace(trace, steps=steps), doubt


def _letters(trace: Trace) -> list[str]:
    """The ids of its callbacks' dead letters."""
    callbacks = [step.callback for step in trace.steps if step.callback is not None]
    return [callback.letter for callback in callbacks if callback.letter is not None]


def _callback_states(trace: Trace) -> set[str]:
    return {step.callback.state for step in trace.steps if step.callback is not None}


def _why_not(trace: Trace) -> str:
    """Why no callback of it can be delivered again."""
    states = _callback_states(trace)
    if not states:
        return "No callback yet: it has no status."
    if "parked" in states:
        return (
            "A callback was refused: mend the receiver. It is sent again by itself, less and less"
            " often, for seven days; then it is a dead letter, which waits for you."
        )
    if "waiting" in states:
        return (
            "A callback waits: for its turn, for the webhook's answer, or until a webhook is set."
        )
    return (
        "The webhook has taken its callbacks, or did not want them: what is settled is not kept for"
        " another delivery. Only dead letters can be delivered again."
    )


def _json(trace: Trace) -> str:
    """The JSON of `warouter trace --json`, but for the number."""
    shown = msgspec.structs.replace(trace, recipient=mask(trace.recipient))
    return msgspec.json.format(msgspec.json.encode(shown), indent=2).decode()


def _command(
    message_id: str, letters: list[str], parked: bool, doubt: DoubtfulMessage | None
) -> str:
    quoted = shlex.quote(message_id)
    lines = [f"warouter trace {quoted}"]
    lines += [f"warouter callbacks replay {letter}" for letter in letters]
    if parked:
        lines.append("warouter callbacks retry")
    if _is_listed(doubt):
        lines.append(f"warouter doubt show {quoted}")
    lines += [f"warouter doubt {word} {quoted}" for word in _words(doubt)]
    return "\n".join(lines)


def _is_listed(doubt: DoubtfulMessage | None) -> bool:
    return doubt is not None and doubt.state in {STATES[state] for state in LISTED}


def _words(doubt: DoubtfulMessage | None) -> list[Word]:
    """The words of an operator that the message would hear."""
    if doubt is None:
        return []
    return [word for word, states in HEARS.items() if doubt.state in {STATES[s] for s in states}]


# acts


async def _redeliver(context: ConsoleContext, _visitor: Visitor, form: Form) -> Done:
    """Ask for the replay of its dead letters."""
    trace = await _meant(context, form)
    letters = _letters(trace)
    if not letters:
        raise ConsoleRefusal(_why_not(trace), 409)
    places = [dead_letters.parse(letter) for letter in letters]
    async with context.reading() as connection:
        asked = await dead_letters.ask(connection, Selection(places=places))
    return Done(f"{trace.id}, {asked} of its callbacks")


async def _retry(context: ConsoleContext, visitor: Visitor, form: Form) -> Done:
    """Try at once what waits for the webhook, callbacks of this message among it."""
    trace = await _meant(context, form)
    if "parked" not in _callback_states(trace):
        raise ConsoleRefusal(_why_not(trace), 409)
    async with context.reading() as connection:
        await ask_retry(connection, visitor.username, visitor.source)
    return Done(f"{trace.id}, and all else that waits for the webhook")


async def _reveal_number(context: ConsoleContext, _visitor: Visitor, form: Form) -> Done:
    trace = await _meant(context, form)
    if trace.recipient is None:
        raise ConsoleRefusal(_UNKNOWN, 404)
    return _shown(context, trace.id, NUMBER, trace.recipient)


async def _reveal_text(context: ConsoleContext, visitor: Visitor, form: Form) -> Done:
    if not context.settings.console_bodies:
        form.subject = without_numbers(form.path["id"])
        raise ConsoleRefusal("What people wrote is not shown: WAROUTER_CONSOLE_BODIES is off.", 403)
    trace = await _meant(context, form)
    try:
        body = await context.sessions.reveal(visitor.session, trace.id, visitor.source)
    except PermissionError as error:
        raise ConsoleRefusal("Your session has ended: log in again.", 403) from error
    if body is None:
        raise ConsoleRefusal(_UNKNOWN, 404)
    return _shown(context, trace.id, TEXT, body[:_MOST_TEXT].decode(errors="replace"))


async def _meant(context: ConsoleContext, form: Form) -> Trace:
    """The message of the path, which the audit log names by its id; ConsoleRefusal without one."""
    message_id = form.path["id"]
    form.subject = without_numbers(message_id)
    async with context.reading() as connection:
        trace = await read_shown(connection, message_id)
    if trace is None:
        raise ConsoleRefusal(_UNKNOWN, 404)
    form.subject = trace.id
    return trace


def _shown(context: ConsoleContext, message_id: str, what: str, text: str) -> Done:
    name = context.revealed.keep(ShownText(message_id, what, text))
    return Done(message_id, query={"shown": name})


async def _say(context: ConsoleContext, _visitor: Visitor, form: Form, *, word: Word) -> Done:
    """Say what shall become of a message; ConsoleRefusal if it is not in a state that hears it."""
    message_id = form.path["id"]
    form.subject = without_numbers(message_id)
    try:
        raw = parse(message_id)
    except ValueError as error:
        raise ConsoleRefusal(_UNKNOWN, 404) from error
    async with context.reading() as connection:
        heard = await operator_word.say(connection, [raw], word)
    if not heard:
        raise ConsoleRefusal(f"It is not {spoken(HEARS[word])}, or not any more.", 409)
    return Done(message_id)


PAGES = (Page(ONE, "message", "Message", read, listed=False),)
ACTS = (
    Act(f"{ONE}/redeliver", "deliver callbacks again", _redeliver, ONE),
    Act(f"{ONE}/retry", "retry callbacks", _retry, ONE),
    Act(f"{ONE}/number", "reveal number", _reveal_number, ONE),
    Act(f"{ONE}/text", "reveal text", _reveal_text, ONE),
    *(Act(f"{ONE}/{word}", f"doubt {word}", partial(_say, word=word), ONE) for word in HEARS),
)
