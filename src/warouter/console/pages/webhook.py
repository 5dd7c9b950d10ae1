"""The webhook: how it does, what it has refused, dead letters; a test, a replay, another secret."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from warouter.cloud_number import FIRST
from warouter.console.context import ConsoleContext
from warouter.console.form import Form
from warouter.console.page import Act, Page
from warouter.console.render import thin
from warouter.console.visit import ConsoleRefusal, Done, ReadingKey, Visitor
from warouter.kinds import EVENT_NAMES
from warouter.recipient import wa_id
from warouter.store import dead_letters
from warouter.store.account.callback_requests import ask_retry, ask_test
from warouter.store.dead_letters import Cover, Selection
from warouter.store.views.backlog import MOST_COUNTED
from warouter.store.views.webhook_status import KindStatus, WebhookStatus, read_webhook

PATH = "/console/webhook"
SECRETS = "/v1/settings/application/webhook-secrets"
SHOWN = 100  # letters
AT_ONCE = 1_000  # letters of one replay
_FILTERS = ("kind", "number", "reason")
_MOST_CHARS = 100


class WebhookVerdict(NamedTuple):
    """The state of the webhook in one sentence; ``level`` as of ``ui.state``."""

    level: str
    word: str
    sentence: str


async def read(context: ConsoleContext, asked: ReadingKey) -> dict[str, Any]:
    which = selection(asked.query)
    async with context.reading() as connection:
        found = await read_webhook(connection, FIRST)
        letters = await dead_letters.covers(connection, which, SHOWN)
        matching = await dead_letters.count(connection, which, MOST_COUNTED)
        unasked = await dead_letters.count_unasked(connection, which, AT_ONCE)
    filters = {name: asked.query.get(name, "") for name in _FILTERS}
    return {
        "webhook": found,
        "url": found.url,
        "verdict": verdict(found),
        "retriable": retriable(found),
        "shares": {one.kind: share(one) for one in found.kinds},
        "letters": letters,
        "message_of": message_of,
        "matching": matching,
        "most": MOST_COUNTED,
        "unasked": unasked,
        "filters": filters,
        "kept": {name: value for name, value in filters.items() if value},
        "kinds": EVENT_NAMES,
        "options": options(filters),
    }


async def test(context: ConsoleContext, visitor: Visitor, _form: Form) -> Done:
    """Every coreapp sends a test callback; what came of it stands on the page within seconds."""
    async with context.reading() as connection:
        name = await ask_test(connection, visitor.username, visitor.source)
    return Done(f"test {name}, by every coreapp")


async def retry(context: ConsoleContext, visitor: Visitor, _form: Form) -> Done:
    """Every coreapp tries at once what waits."""
    async with context.reading() as connection:
        found = await read_webhook(connection, FIRST, 0)
        if found.why_no_retry:
            raise ConsoleRefusal(found.why_no_retry, 409)
        await ask_retry(connection, visitor.username, visitor.source)
    return Done("1 event" if found.waits == 1 else f"{thin(found.waits)} events")


async def replay(context: ConsoleContext, _visitor: Visitor, form: Form) -> Done:
    """Deliver the chosen letters once more."""
    form.kept = _kept(form)
    chosen = form.all("id", AT_ONCE)
    if not chosen:
        raise ConsoleRefusal("Choose letters first: no row was ticked.")
    try:
        places = [dead_letters.parse(text) for text in chosen]
    except ValueError as error:
        raise ConsoleRefusal(str(error)) from error
    return await _asked(context, Selection(places=places), len(chosen), form)


async def replay_all(context: ConsoleContext, _visitor: Visitor, form: Form) -> Done:
    """Deliver those that match the filter, as many as the page said: the oldest of them."""
    form.kept = _kept(form)
    most = form.number("count", 1, AT_ONCE)
    return await _asked(context, selection(form.kept), most, form)


async def add_secret(context: ConsoleContext, visitor: Visitor, form: Form) -> Done:
    """Sign with one more secret."""
    secret = form.secret("secret").strip()
    if not secret:
        raise ConsoleRefusal("Type the new secret.")
    answer = await context.api.call(visitor, "POST", SECRETS, {"secret": secret})
    return Done(_signing(answer))


async def drop_older(context: ConsoleContext, visitor: Visitor, _form: Form) -> Done:
    """Sign with the newest secret alone."""
    return Done(_signing(await context.api.call(visitor, "DELETE", SECRETS)))


def selection(query: Mapping[str, str]) -> Selection:
    """The letters that a filter means; ConsoleRefusal if it means none that could be."""
    kind, number, reason = (query.get(name, "").strip() for name in _FILTERS)
    if kind and kind not in EVENT_NAMES:
        raise ConsoleRefusal(f"There is no such kind of events: choose {' or '.join(EVENT_NAMES)}.")
    if max(len(number), len(reason)) > _MOST_CHARS or "\0" in number + reason:
        raise ConsoleRefusal(f"A number and a reason have at most {_MOST_CHARS} characters each.")
    try:
        recipient = wa_id(number) if number else None
    except ValueError as error:
        raise ConsoleRefusal(str(error)) from error
    return Selection(EVENT_NAMES.index(kind) if kind else None, recipient, None, reason or None)


def verdict(found: WebhookStatus) -> WebhookVerdict:
    """Outages first, then whether it takes anything, then what waits."""
    if not found.url:
        return WebhookVerdict(
            "warn", "No webhook", "No URL is set: statuses and messages wait here."
        )
    if not found.coreapps:
        return WebhookVerdict(
            "bad", "Nobody sends", "No coreapp runs: nothing is sent to the webhook."
        )
    if found.outages:
        kinds = " and ".join(dict.fromkeys(one.kind for one in found.outages))
        sentence = f"POSTs with {kinds} events fail: they are tried again, and nothing is lost."
        return WebhookVerdict("bad", "Failing", sentence)
    taken, failed = (sum(getattr(one, name) for one in found.kinds) for name in ("taken", "failed"))
    if failed:
        if not taken:
            sentence = f"All POSTs of the last hour failed: {thin(failed)}."
            return WebhookVerdict("bad", "Takes nothing", sentence)
        sentence = f"Of {thin(taken + failed)} POSTs of the last hour, {thin(failed)} failed."
        return WebhookVerdict("warn", "Takes some", sentence)
    if taken:
        return WebhookVerdict("good", "Well", "It has taken every POST of the last hour.")
    return WebhookVerdict("off", "Quiet", "Nothing was sent to the webhook in the last hour.")


def retriable(found: WebhookStatus) -> bool:
    """True if something waits until it is due, and may be tried at once."""
    held = found.outages or any(one.parked for one in found.kinds)
    return bool(held) and not found.why_no_retry


def share(one: KindStatus) -> float | None:
    """Percent of the POSTs that were taken, never rounded up to all."""
    posts = one.taken + one.failed
    return int(1_000 * one.taken / posts) / 10 if posts else None


def message_of(letter: Cover) -> str:
    """The id of the message that a letter is about."""
    return letter.key.split(":")[0] if letter.kind == EVENT_NAMES[0] else letter.key


def options(filters: Mapping[str, str]) -> str:
    """The filter as options of the command line."""
    names = {"kind": "--kind", "number": "--recipient", "reason": "--reason"}
    return "".join(f" {names[name]} {_quoted(value)}" for name, value in filters.items() if value)


def _quoted(value: str) -> str:
    plain = value.replace("+", "").isalnum() and value.isascii()
    return value if plain else "'" + value.replace("'", "'\\''") + "'"


def _kept(form: Form) -> dict[str, str]:
    values = {name: form.text(name, _MOST_CHARS, required=False) for name in _FILTERS}
    return {name: value for name, value in values.items() if value}


async def _asked(context: ConsoleContext, which: Selection, most: int, form: Form) -> Done:
    async with context.reading() as connection:
        asked = await dead_letters.ask(connection, which, most)
    if not asked:
        raise ConsoleRefusal(
            "None of these letters is left to replay: they are on their way, or gone."
        )
    return Done("1 letter" if asked == 1 else f"{asked} letters", form.kept)


def _signing(answer: Any) -> str:
    count = answer["secrets_count"]
    return "1 secret signs callbacks" if count == 1 else f"{count} secrets sign callbacks"


PAGES = (Page(PATH, "webhook", "Webhook", read, key="w"),)
ACTS = (
    Act(f"{PATH}/test", "test webhook", test, PATH),
    Act(f"{PATH}/retry", "retry callbacks", retry, PATH),
    Act(f"{PATH}/replay", "replay callbacks", replay, PATH),
    Act(f"{PATH}/replay-all", "replay callbacks", replay_all, PATH),
    Act(f"{PATH}/secret", "add webhook secret", add_secret, PATH),
    Act(f"{PATH}/drop-secret", "delete older webhook secret", drop_older, PATH),
)
