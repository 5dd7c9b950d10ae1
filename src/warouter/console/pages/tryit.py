"""With the simulator: send a message and watch it, be a customer who writes, break something.

For who has just said `warouter up`: four steps lead from the first message to the first failover.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from warouter.console.context import ConsoleContext
from warouter.console.form import Form
from warouter.console.page import Act, Page
from warouter.console.render import mask
from warouter.console.simulator import SimulatorClient, SimulatorView, Switch
from warouter.console.visit import ConsoleRefusal, Done, ReadingKey, Visitor
from warouter.store.views.status import Status

PATH = "/console/try"
NUMBER, TEXT = "+49 1511 2345678", "Hello from the console"  # what the forms begin with
MOST_TEXT = 4_096
MOST_VALUE = 2_000
# Counters of either door, in this order, as far as it has them.
COUNTERS = {
    "unique": "messages taken",
    "repeats": "taken again",
    "inversions": "out of order",
    "refused": "refused",
    "statuses": "statuses",
    "inbound": "inbound messages",
    "read_marks": "read marks",
    "media_uploads": "media",
}
# Switches that a first visitor may want, by the word that says what to see; those of the other door
# are left out.
FAULTS = {
    "pause": "true",
    "failed": "0.5",
    "lost_answers": "0.3",
    "latency_ms": "500",
    "outage_s": "20",
    "throttle": "0.3",
    "fail_before": "0.3",
    "window": "true",
}


class Example(NamedTuple):
    """A fault that can be started by one button."""

    name: str
    value: str
    meaning: str


class KillableCoreapp(NamedTuple):
    """A coreapp that may be killed, and with which command on its machine."""

    name: str
    shards: str
    command: str


async def read(context: ConsoleContext, _asked: ReadingKey) -> dict[str, Any]:
    """The values of the page. A simulator that is away is part of it."""
    simulator = _simulator(context)
    status = await context.latest.status()
    seen, away = None, ""
    try:
        seen = await simulator.look()
    except ConsoleRefusal as refusal:
        away = refusal.sentence
    switches = seen.switches if seen else []
    return {
        "number": NUMBER,
        "text": TEXT,
        "control": simulator.url,
        "api": context.api.url,
        "seen": seen,
        "away": away,
        "counters": _counters(seen),
        "arrived": _arrived(seen),
        "on": [_row(one, one.value) for one in switches if one.on],
        "switches": [_row(one, one.default) for one in switches],
        "examples": _examples(seen),
        "victims": _victims(status),
    }


async def send(context: ConsoleContext, visitor: Visitor, form: Form) -> Done:
    """Send a text through the API, and go on to its page."""
    to = _digits(form.text("number", 40))
    body = {"body": form.text("text", MOST_TEXT)}
    message = {"recipient_type": "individual", "to": to, "type": "text", "text": body}
    answer = await context.api.call(visitor, "POST", "/v1/messages", message)
    id = str(answer["messages"][0]["id"])
    return Done(f"{id} to {mask(to)}", back=f"/console/messages/{id}")


async def inject(context: ConsoleContext, _visitor: Visitor, form: Form) -> Done:
    """Let a customer write."""
    sender = _digits(form.text("number", 40))
    name = form.text("name", 100, required=False)
    id = await _simulator(context).inject(sender, name, form.text("text", MOST_TEXT))
    return Done(f"{id} from {mask(sender)}")


async def start(context: ConsoleContext, _visitor: Visitor, form: Form) -> Done:
    """Set a switch of the simulator."""
    simulator, name = _simulator(context), form.text("name", 40)
    known = {switch.name: switch for switch in (await simulator.look()).switches}
    if name not in known:
        raise ConsoleRefusal(f"The simulator has no switch {name}.")
    value = value_of(known[name], form.text("value", MOST_VALUE))
    await simulator.set(name, value)
    return Done(f"{name}={_shown(value)}")


async def clear(context: ConsoleContext, _visitor: Visitor, _form: Form) -> Done:
    """End all faults."""
    await _simulator(context).clear()
    return Done("all switches")


def value_of(switch: Switch, text: str) -> Any:
    """A value as a person writes it: numbers of a list with commas between, texts without quotes,
    all else as JSON. ConsoleRefusal if it is none.
    """
    if isinstance(switch.default, str):
        return text
    if isinstance(switch.default, list) and not text.startswith("["):
        return [part.strip().lstrip("+") for part in text.split(",") if part.strip()]
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        like = msgspec.json.encode(switch.default).decode()
        raise ConsoleRefusal(f"{switch.name} takes a value such as {like}.") from error


def _digits(number: str) -> str:
    """A number as people write it, without what is between its digits. The API judges the rest."""
    return "".join(character for character in number if character not in " +-()/.")


def _simulator(context: ConsoleContext) -> SimulatorClient:
    if context.simulator is None:
        raise ConsoleRefusal("This console knows of no simulator.", 404)
    return context.simulator


def _counters(seen: SimulatorView | None) -> list[tuple[str, int]]:
    told = seen.counters if seen else {}
    return [(title, told[name]) for name, title in COUNTERS.items() if name in told]


def _arrived(seen: SimulatorView | None) -> list[tuple[str, datetime]]:
    """The last ids with their time, to the second, so that it stays the same."""
    now = datetime.now(UTC)
    last = seen.last if seen else []
    return [
        (one.id, (now - timedelta(seconds=one.age_s - 0.5)).replace(microsecond=0)) for one in last
    ]


def _examples(seen: SimulatorView | None) -> list[Example]:
    known = {switch.name: switch for switch in seen.switches} if seen else {}
    return [Example(n, value, _meaning(known[n])) for n, value in FAULTS.items() if n in known]


def _victims(status: Status) -> list[KillableCoreapp]:
    """Live coreapps that own slots, and how to kill each."""
    return [
        KillableCoreapp(node.name, ", ".join(map(str, node.shards)), f"kill -KILL {node.pid}")
        for node in status.nodes
        if node.role == "primary coreapp" and node.state == "alive"
    ]


def _row(switch: Switch, value: Any) -> tuple[str, str, str]:
    return switch.name, _shown(value), _meaning(switch)


def _meaning(switch: Switch) -> str:
    return switch.meaning.replace("`", "")


def _shown(value: Any) -> str:
    """A switch's value, with numbers masked as everywhere."""
    if isinstance(value, list):
        return ", ".join(mask(one) if one.isdigit() else one for one in map(str, value))
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


PAGES = (Page(PATH, "tryit", "Try it", read, key="y", shown=lambda at: at.simulator is not None),)
ACTS = (
    Act(f"{PATH}/send", "send message", send, PATH),
    Act(f"{PATH}/inbound", "inject inbound message", inject, PATH),
    Act(f"{PATH}/fault", "start fault", start, PATH),
    Act(f"{PATH}/clear", "clear faults", clear, PATH),
)
