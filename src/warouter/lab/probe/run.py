"""A run from its first message to its last: in order, in time, and cut short where it must be."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from warouter.errors import CommandError
from warouter.lab.probe.accepted import twice, unknown_keys
from warouter.lab.probe.bodies import content
from warouter.lab.probe.cut import cuts
from warouter.lab.probe.history import history
from warouter.lab.probe.lab import Lab
from warouter.lab.probe.observed import Observed, ProbeMessage
from warouter.lab.probe.plan import bound, ending
from warouter.lab.probe.questions import ORDER
from warouter.lab.probe.repeated import repeats
from warouter.lab.probe.sent import echoes, times_of_sent
from warouter.upstream.cloud.graph.failed import CallFailed
from warouter.upstream.cloud.graph.number_calls import NumberCalls

_WINDOW_CLOSED = 131047

Measure = Callable[[Lab], Awaitable[None]]


async def run(lab: Lab, note: bytes = b"") -> Observed:
    """Measure all that is asked; ``note`` is the content of a voice note.

    CommandError if it cannot begin. Once it has begun whatever ends it leaves what was measured:
    a cancellation (Ctrl-C) and the end of its time, too.
    """
    begun = False
    try:
        async with asyncio.timeout(bound(lab.asked, lab.times)):
            await _begin(lab)
            begun = True
            await _measure(lab, note)
    except asyncio.CancelledError:
        lab.observed.ended = "interrupted"
    except TimeoutError:
        lab.observed.ended = "its time was up"
    except CommandError as error:
        if not begun:
            raise
        lab.observed.ended = str(error)
    finally:
        await lab.close()
    return lab.finish()


async def _begin(lab: Lab) -> None:
    number = NumberCalls(lab.calls)
    try:
        facts = await number.facts(lab.of)
    except CallFailed as error:
        raise CommandError(f"The number cannot be asked for ({error}).") from error
    if not facts.connected:
        raise CommandError(
            f"The number is {facts.status or 'not connected'} at Meta: register it first"
            " (POST /v1/account, or `warouter cloud check` for what is missing)."
        )
    lab.observed.level = facts.level
    await lab.listening.open()
    await _hear(lab)


async def _hear(lab: Lab) -> None:
    """A message to each number: webhooks come here, and every number may be written to."""
    lab.say("a first message to each number: its webhooks must come here")
    first = [lab.message("check", "text", to) for to in range(len(lab.asked.recipients))]
    for message in first:
        await lab.send(message, content("text", lab.words("begins")))
        if not message.wamid:
            reason = message.words or "no answer"
            raise CommandError(f"The first message to {_name(lab, message)} failed ({reason}).")
    heard = await lab.arrivals.until(
        lambda: all(lab.arrivals.has(message) for message in first), lab.times.first
    )
    lab.check()
    for message in first:
        if any(one.code == _WINDOW_CLOSED for one in lab.arrivals.of(message)):
            raise CommandError(
                f"The number {_name(lab, message)} has not written to the business within 24 hours:"
                " let it send any message first."
            )
    if not heard:
        silent = next(message for message in first if not lab.arrivals.has(message))
        refused = lab.listening.refused
        came = f" What came was refused: {refused}." if refused else ""
        raise CommandError(
            f"No webhook came within {lab.times.first:.0f} s about the first message to"
            f" {_name(lab, silent)}: the callback URL of the number must lead here, and no webapp"
            f" may take them.{came}"
        )


async def _measure(lab: Lab, note: bytes) -> None:
    measures: dict[str, Measure] = {
        "Q1": times_of_sent,
        "Q2": partial(echoes, note=note),
        "Q3": cuts,
        "Q6": repeats,
        "Q7": history,
        "Q11": unknown_keys,
        "Q12": twice,
        "Q15": cuts,
    }
    done: set[Measure] = set()
    for question in ORDER:
        measure = measures[question]
        if question not in lab.asked.questions or measure in done:
            continue
        done.add(measure)
        lab.say(f"{question} begins")
        await measure(lab)


def _name(lab: Lab, message: ProbeMessage) -> str:
    return ending(lab.asked.recipients[message.to])
