"""Messages in doubt or held: the list on the page of the number, and an operator's word on many of
them, with a preview of what that does and may cost.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

from warouter.console.context import ConsoleContext
from warouter.console.form import Form, moment
from warouter.console.page import Act, Page
from warouter.console.visit import ConsoleRefusal, Done, ReadingKey, Visitor
from warouter.log import shown
from warouter.store.bounded import connection
from warouter.store.operator_word import say_next
from warouter.store.views import doubt_choice
from warouter.store.views.backlog import MOST_COUNTED
from warouter.store.views.doubt_choice import (
    OPTIONS,
    DoubtChoice,
    DoubtListing,
    choice_of,
    options_of,
)
from warouter.store.views.doubt_preview import messages_of, read_preview, sentences_of
from warouter.store.views.doubts import HEARS, LISTED, STATES, Word, read_spans, spoken

NUMBER = "/console/numbers"
PATH = f"{NUMBER}/doubts"
MOST_SHOWN = 100
LABELS: Mapping[Word, str] = {"resend": "Send once more", "fail": "End as failed", "hold": "Hold"}
LEVELS = {"held": "bad"}  # of ui.state; a state that is not here is "warn"
_MOST_CHARS = 600  # of a field


async def read_listing(context: ConsoleContext, query: Mapping[str, str]) -> dict[str, Any]:
    """The values of the list; a filter that cannot be meant is told beside its fields."""
    fields = {name: query.get(name, "").strip() for name in OPTIONS}
    listing, problem = None, ""
    try:
        listing = await _listed(context, fields, choice_of(fields, datetime.now(UTC)))
    except ValueError as error:
        problem = str(error)
    return {
        "listing": listing,
        "fields": fields,
        "kept": _given(fields),
        "problem": problem,
        "states": [(STATES[state], spoken([state])) for state in LISTED],
        "levels": LEVELS,
        "words": [(word, LABELS[word]) for word in HEARS if _hears(listing, word)],
        "options": options_of(fields),
    }


async def read(context: ConsoleContext, asked: ReadingKey) -> dict[str, Any]:
    """The preview of a word: what it would reach, and what it may cost."""
    word = next((each for each in HEARS if each == asked.query.get("word")), None)
    kept = _given(asked.query)
    if word is None:
        return {"word": None, "words": LABELS.items(), "kept": kept, "back": NUMBER}
    which = _chosen(kept, word)
    async with connection(context.pool) as taken:
        spans = await read_spans(taken, context.settings)
        preview = await read_preview(taken, which, word, spans)
    assert preview.choice.before is not None
    exact = {"until": preview.choice.before.isoformat(), "count": preview.messages}
    if which.since is not None:
        exact["since"] = which.since.isoformat()
    return {
        "word": word,
        "label": LABELS[word],
        "kept": kept,
        "back": NUMBER,
        "action": f"{PATH}/{word}",
        "sentences": sentences_of(preview),
        "previewed": {**kept, **exact},
        "states": spoken(HEARS[word]),
        "command": f"warouter doubt {word} {options_of(kept) or '--all'}",
    }


async def say(context: ConsoleContext, _visitor: Visitor, form: Form, *, word: Word) -> Done:
    """Say the word to what was previewed, page by page."""
    form.kept = _given({name: form.text(name, _MOST_CHARS, required=False) for name in OPTIONS})
    which = _chosen(form.kept, word)._replace(before=moment(form.text("until", 40)))
    count = form.number("count", 1, MOST_COUNTED)
    how = shown(options_of(form.kept) or "--all")
    form.subject = how
    heard, said, after = 0, 0, b""
    while True:
        async with context.reading() as taken:
            page = await say_next(taken, which, word, after)
        if not page.ids:
            break
        heard, said, after = heard + page.heard, said + len(page.ids), page.ids[-1]
    states = spoken(HEARS[word])
    if not heard:
        raise ConsoleRefusal(f"None of these is {states} any more.", 409)
    gone = max(count, said) - heard
    left = f", {messages_of(gone)} no longer {states}" if gone else ""
    return Done(f"{messages_of(heard)}{left}, by {how}", form.kept)


def _given(query: Mapping[str, str]) -> dict[str, str]:
    """The fields of the filter that have a text."""
    return {name: text for name in OPTIONS if (text := query.get(name, "").strip())}


def _chosen(fields: Mapping[str, str], word: Word) -> DoubtChoice:
    try:
        return choice_of(fields, datetime.now(UTC), HEARS[word])
    except ValueError as error:
        raise ConsoleRefusal(str(error)) from error


def _hears(listing: DoubtListing | None, word: Word) -> bool:
    """True if a message of the list would hear the word."""
    counts = listing.counts.states if listing is not None else {}
    return any(counts.get(STATES[state]) for state in HEARS[word])


async def _listed(
    context: ConsoleContext, fields: Mapping[str, str], which: DoubtChoice
) -> DoubtListing:
    async def reading() -> DoubtListing:
        async with context.reading() as taken:
            spans = await read_spans(taken, context.settings)
            return await doubt_choice.read_listing(taken, which, spans, MOST_SHOWN)

    return await context.doubts.get(tuple(fields.items()), reading)


PAGES = (Page(PATH, "doubts", "In doubt", read, listed=False, live=False),)
ACTS = tuple(
    Act(f"{PATH}/{word}", f"doubt {word}", partial(say, word=word), NUMBER) for word in HEARS
)
