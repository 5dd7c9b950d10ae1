"""Q11 and Q12: whether Meta takes what it does not know, and what it has just taken."""

from __future__ import annotations

import asyncio
from typing import Any

from warouter.lab.probe.bodies import content
from warouter.lab.probe.lab import Lab

_UNKNOWN: dict[str, Any] = {"warouter_probe": True}


async def unknown_keys(lab: Lab) -> None:
    """Q11: one at the top, one in the object of the type."""
    words = content("text", lab.words("Q11"))
    await lab.send(lab.message("Q11", "at the top"), words, **_UNKNOWN)
    await lab.send(lab.message("Q11", "in `text`"), words | _UNKNOWN)


async def twice(lab: Lab) -> None:
    """Q12: pairs, in turn at the same time and right behind each other."""
    for number in range(lab.asked.pairs):
        await _pair(lab, content("text", f"{lab.words('Q12')} {number + 1}"), together=number % 2)
    sent = [message for message in lab.observed.of("Q12") if message.wamid]
    await lab.arrivals.until(
        lambda: all(lab.arrivals.has(message) for message in sent), lab.times.status
    )
    if lab.person is not None:
        question = f'How many messages "{lab.words("Q12")} ..." are on all phones together? '
        lab.observed.seen = await lab.person.count(question, lab.times.person)


async def _pair(lab: Lab, words: Any, *, together: int) -> None:
    first = lab.message("Q12", "text")
    second = lab.again(first)
    if together:
        await asyncio.gather(lab.send(first, words), lab.send(second, words))
    else:
        await lab.send(first, words)
        await lab.send(second, words)
