"""Q6: what Meta does with a webhook that is not answered 200.

All manners run at the same time, each for the ``sent`` of a message of its own, so that the whole
takes one patience and not five. A POST that holds several of them is answered as its first asks.
A 302 has no Location: what is asked is whether it counts as an answer, not where it leads.
"""

from __future__ import annotations

from warouter.lab.probe.bodies import content
from warouter.lab.probe.lab import Lab
from warouter.lab.probe.observed import WebhookTrial
from warouter.lab.probe.questions import MANNERS


async def repeats(lab: Lab) -> None:
    """Answer so for as long as patience lasts; afterwards everything gets its 200."""
    messages = {manner: lab.message("Q6", manner) for manner in MANNERS}
    trials = [
        WebhookTrial(manner=m, reference=message.reference) for m, message in messages.items()
    ]
    lab.observed.trials.extend(trials)
    lab.listening.trials.begin(trials)
    began = lab.clock()
    try:
        for message in messages.values():
            await lab.send(message, content("text", lab.words("Q6")))
        await lab.arrivals.until(lambda: all(trial.posts for trial in trials), lab.times.status)
        began = lab.clock()
        await lab.arrivals.until(lambda: False, lab.times.patience)
    finally:
        lab.listening.trials.end()
        for trial in trials:
            trial.seconds = lab.clock() - min([*trial.posts, began])
