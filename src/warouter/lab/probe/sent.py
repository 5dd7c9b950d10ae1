"""Q1: how long after its 200 a message is ``sent``; Q2: what statuses echo the reference."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial

from warouter.lab.probe.bodies import content, voice
from warouter.lab.probe.lab import Lab
from warouter.lab.probe.observed import ProbeMessage
from warouter.lab.probe.plan import ending
from warouter.lab.probe.questions import OTHER_KINDS
from warouter.upstream.cloud.graph.media_calls import CloudMedia
from warouter.upstream.media_service import ServiceAway, ServiceRefused

VOICE_MIME = "audio/ogg"
_SAY_EVERY = 20


async def times_of_sent(lab: Lab) -> None:
    """Measure for Q1 when ``sent`` comes."""
    asked = lab.asked
    kinds = ["text"] * asked.messages
    kinds += [kind for kind in OTHER_KINDS for _ in range(asked.others)]
    sent = []
    for number, kind in enumerate(kinds, 1):
        message = lab.message("Q1", kind)
        sent.append(await lab.send(message, content(kind, lab.words("Q1")), kind))
        if number % _SAY_EVERY == 0:
            lab.say(f"Q1: {number} of {len(kinds)} sent")
    taken = [message for message in sent if message.wamid]
    await lab.arrivals.until(lambda: _all_have(lab, taken, "sent"), lab.times.status)


async def echoes(lab: Lab, note: bytes) -> None:
    """Q2; ``note`` is the content of the voice note, b"" without one."""
    if lab.asked.unreachable:
        failing = await lab.send(
            lab.message("Q2", "unreachable", to=-1), content("text", lab.words("Q2"))
        )
        if failing.wamid:
            await lab.arrivals.until(partial(lab.arrivals.has, failing, "failed"), lab.times.status)
    if lab.asked.plays:
        await _play(lab, note)


async def _play(lab: Lab, note: bytes) -> None:
    message = lab.message("Q2", "audio", to=0)
    try:
        media_id = await _uploaded(lab, note)
    except (ServiceAway, ServiceRefused) as error:
        lab.say(f"Q2: the voice note cannot be uploaded ({error})")
        return
    await lab.send(message, voice(media_id), "audio")
    if not message.wamid:
        return
    number, seconds = ending(lab.asked.recipients[0]), lab.times.person
    lab.say(f"Q2: play the voice note on the phone of {number}, within {seconds:.0f} s")
    await lab.arrivals.until(partial(lab.arrivals.has, message, "played"), seconds)


async def _uploaded(lab: Lab, note: bytes) -> str:
    media = CloudMedia(lab.cloud, lab.secrets, lab.calls, lab.tls)
    try:
        return await media.upload(lab.of, _once(note), VOICE_MIME, len(note))
    finally:
        await media.close()


async def _once(note: bytes) -> AsyncIterator[bytes]:
    yield note


def _all_have(lab: Lab, messages: list[ProbeMessage], status: str) -> bool:
    return all(lab.arrivals.has(message, status) for message in messages)
