"""Q3 and Q15: requests that are cut after their last byte, and how late they are taken."""

from __future__ import annotations

from warouter.probe.bodies import content
from warouter.probe.lab import Lab
from warouter.probe.questions import CUT_MS

_SAY_EVERY = 20


async def cuts(lab: Lab) -> None:
    """Cut so many requests, in turn after each of the delays; then wait for statuses."""
    sent = []
    for number in range(lab.asked.messages):
        message = lab.message("Q3", "text")
        after = CUT_MS[number % len(CUT_MS)]
        sent.append(await lab.cut(message, content("text", lab.words("Q3")), after))
        if (number + 1) % _SAY_EVERY == 0:
            lab.say(f"Q3: {number + 1} of {lab.asked.messages} cut")
    whole = [message for message in sent if message.written is not None]
    began = lab.clock()
    try:
        await lab.arrivals.until(
            lambda: all(lab.arrivals.has(message) for message in whole), lab.times.late
        )
    finally:
        lab.observed.late_seconds = lab.clock() - began
