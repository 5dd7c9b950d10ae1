"""Has the Cloud door tell the cases over its sockets, and gathers what it says of them itself."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import aiohttp
import msgspec

from tests.harness.cloud import OTHER, TO, Door, new_reference, text
from tests.outside.cases import CASES, OF_THE_DOOR, Case, Json
from warouter.recipient import wa_id


class Told(NamedTuple):
    """One POST: its body as it came, its signature, and what it must say."""

    body: str
    signature: str
    facts: list[Json]


async def alone(door: Door, name: str) -> Told:
    """One case, with one element in its POST."""
    case = CASES[name]
    door.use(batch=1, **case.switches)
    first = len(door.business.bodies)
    fact = await (sent if case.status else happened)(door, case)

    def places() -> list[int]:
        bodies = enumerate(door.business.bodies[first:], first)
        return [n for n, body in bodies if says(body, fact)]

    (place,) = await door.business.watch.until(places)
    return Told(door.business.bodies[place].decode(), door.business.signatures[place], [fact])


async def together(door: Door, names: Iterable[str], messages: int = 4) -> list[Told]:
    """Several cases that need no switches, and all statuses of some messages, in few POSTs of
    several entries and changes. The facts stand in the first.
    """
    door.use(batch=1000, entries=3, changes=2, gather_ms=400, sent_ms=0, delivered_ms=0, read_ms=0)
    first = len(door.business.bodies)
    facts = [await happened(door, CASES[name]) for name in names]
    for _ in range(messages):
        fact = await sent(door, CASES["sent"])
        facts += [fact | {"name": status} for status in ("sent", "delivered", "read")]

    def all_come() -> bool:
        bodies = door.business.bodies[first:]
        return all(any(says(body, fact) for body in bodies) for fact in facts)

    await door.business.watch.until(all_come)
    posts = zip(door.business.bodies[first:], door.business.signatures[first:], strict=True)
    found = [Told(body.decode(), signature, []) for body, signature in posts]
    return [found[0]._replace(facts=facts), *found[1:]]


async def happened(door: Door, case: Case) -> Json:
    """Something happens that the control port is asked for; what must be told of it."""
    code, answer = await door.ask("POST", "/inbound", case.asked)
    assert code == 201, answer
    fact = dict(case.fact)
    if fact["what"] == "message":
        fact["id"] = answer["id"]
    if fact.get("content") == OF_THE_DOOR:
        identity = door.simulator.world.intake.identities.of(TO)
        assert identity is not None
        fact["content"] = identity.hash
    return fact


async def sent(door: Door, case: Case) -> Json:
    """Send a message; what the door's record has of it."""
    reference = new_reference(OTHER)
    body = text(OTHER, reference) | case.asked
    if "audio" in body:
        body["audio"] = body["audio"] | {"id": await upload(door)}
    code, answer = await door.call("POST", door.messages_url, json=body)
    assert code == 200, answer
    row = next(one for one in door.record.requests(-1.0) if one["reference"] == reference)
    party = body["recipient"] if not body["to"] else shown(door, wa_id(body["to"]))
    fact = case.fact | {"id": row["wamid"], "party": party}
    is_echoed = door.simulator.faults.opaque == "always" or case.status != "failed"
    return fact | ({"reference": row["reference"]} if is_echoed else {})


def shown(door: Door, number: str) -> str:
    """How the door spells a customer."""
    customer = door.simulator.world.intake.people.shown(number)
    return customer.wa_id or customer.user_id


async def upload(door: Door) -> str:
    form = aiohttp.FormData({"messaging_product": "whatsapp"})
    form.add_field("file", b"OggS", filename="a.ogg", content_type="audio/ogg")
    url = door.url(f"{door.simulator.facts.phone_number_id}/media")
    code, answer = await door.call("POST", url, data=form)
    assert code == 200, answer
    return str(answer["id"])


def says(body: bytes, fact: Json) -> bool:
    """Whether a POST holds the element of this fact: by its id, or by its kind alone."""
    return any(_is_of(change, fact) for change in _changes(body))


def _changes(body: bytes) -> list[Json]:
    return [change for entry in msgspec.json.decode(body)["entry"] for change in entry["changes"]]


def _is_of(change: Json, fact: Json) -> bool:
    value = change["value"]
    match fact["what"]:
        case "message":
            return any(one["id"] == fact["id"] for one in value.get("messages", ()))
        case "status":
            wanted = fact["id"], fact["name"]
            return any((one["id"], one["status"]) == wanted for one in value.get("statuses", ()))
        case "error":
            return "errors" in value
    return bool(change["field"] == fact["name"])
