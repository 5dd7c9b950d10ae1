"""Q7: what ``GET /{phone-number-id}/message_history`` lists, and how soon.

Meta's OpenAPI (v23.0) has it with ``message_id`` as an optional filter, ``fields``, ``limit`` (25,
100 at most) and cursors; Meta's page of it was empty in 2026. An entry has Meta's ids and events,
no reference and no recipient.
"""

from __future__ import annotations

import asyncio

from warouter.lab.probe.bodies import content
from warouter.lab.probe.lab import Lab
from warouter.lab.probe.observed import Listing, ProbeMessage, masked
from warouter.upstream.cloud.graph.failed import CallAway, CallFailed
from warouter.upstream.cloud.graph.fields import objects, text

_LIMIT, _TOO_MANY = 100, 101
_FIELDS = "id,message_id"
_EVENTS = "id,message_id,events{delivery_status,timestamp,webhook_update_state}"


async def history(lab: Lab) -> None:
    """Send a message, and cut another one; look until both are listed."""
    words = content("text", lab.words("Q7"))
    answered = await lab.send(lab.message("Q7", "text"), words)
    cut = await lab.cut(lab.message("Q7", "text"), words, 0)
    end = lab.clock() + lab.times.history
    while True:
        query = {"limit": str(_LIMIT), "fields": _FIELDS}
        seen = await _look(lab, "unfiltered", query, answered, cut)
        lab.observed.history_seconds = lab.clock() - (answered.ended or 0.0)
        if (seen.answered and seen.cut) or seen.refused or lab.clock() >= end:
            break
        await asyncio.sleep(lab.times.poll)  # a status may name the cut one meanwhile
    if answered.wamid:
        query = {"message_id": answered.wamid, "fields": _EVENTS}
        await _look(lab, "by message_id", query, answered, cut)
    await _look(lab, f"limit {_TOO_MANY}", {"limit": str(_TOO_MANY)}, answered, cut)


async def _look(
    lab: Lab, name: str, query: dict[str, str], answered: ProbeMessage, cut: ProbeMessage
) -> Listing:
    listing = Listing(at=lab.clock(), query=name)
    lab.observed.listings.append(listing)
    try:
        found = await lab.calls.get(lab.of, f"{lab.of.phone_number_id}/message_history", query)
    except CallFailed as error:
        listing.words = masked(str(error))
        listing.refused = not isinstance(error, CallAway)
        return listing
    entries = objects(found, "data")
    ids = {text(one, "message_id") for one in entries} - {""}
    listing.at, listing.found, listing.listed = lab.clock(), len(entries), True
    listing.answered = bool(answered.wamid) and answered.wamid in ids
    listing.cut = any(heard.wamid in ids for heard in lab.arrivals.of(cut))
    return listing
