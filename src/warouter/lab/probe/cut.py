"""Q3 and Q15: requests that are cut after their last byte, and how late they are taken."""

from __future__ import annotations

from warouter.errors import CommandError
from warouter.lab.probe.bodies import content
from warouter.lab.probe.lab import Lab
from warouter.lab.probe.questions import CUT_MS

_SAY_EVERY = 20


async def cuts(lab: Lab) -> None:
    """Cut so many requests, in turn after each of the delays; then wait for statuses.

    These are waited for too if Meta has ended the run: else what was taken would look as if it was
    not.
    """
    try:
        await _cut(lab)
    except CommandError:
        await _wait(lab)
        raise
    await _wait(lab)


async def _cut(lab: Lab) -> None:
    for number in range(lab.asked.messages):
        message = lab.message("Q3", "text")
        after = CUT_MS[number % len(CUT_MS)]
        await lab.cut(message, content("text", lab.words("Q3")), after)
        if (number + 1) % _SAY_EVERY == 0:
            lab.say(f"Q3: {number + 1} of {lab.asked.messages} cut")


async def _wait(lab: Lab) -> None:
    whole = [message for message in lab.observed.of("Q3") if message.may_be_taken]
    began = lab.clock()
    try:
        await lab.arrivals.until(
            lambda: all(lab.arrivals.has(message) for message in whole), lab.times.late
        )
    finally:
        lab.observed.late_seconds = lab.clock() - began
