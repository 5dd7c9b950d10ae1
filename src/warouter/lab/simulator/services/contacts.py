"""The simulator's contact services: contact checks and identities.

POST  /contacts                   {"contacts": [wa_id ...]} -> those of them on WhatsApp
GET   /contacts/{wa_id}/identity  the identity of a number that was met, else 404
PUT   /contacts/{wa_id}/identity  {"hash"}: acknowledge it; another hash changes nothing
"""

from __future__ import annotations

import msgspec
from aiohttp import web

from warouter.lab.simulator.exchange import Exchange
from warouter.lab.simulator.identity import CustomerIdentity
from warouter.upstream.number_services import MOST_NUMBERS, Acknowledged, ContactsQuery

_NUMBERS = msgspec.json.Decoder(ContactsQuery)
_ACKNOWLEDGED = msgspec.json.Decoder(Acknowledged)


def contact_routes(exchange: Exchange) -> list[web.RouteDef]:
    """The routes, for the application of the services."""
    contacts = _Contacts(exchange)
    return [
        web.post("/contacts", contacts.check),
        web.get("/contacts/{wa_id}/identity", contacts.identity),
        web.put("/contacts/{wa_id}/identity", contacts.acknowledge),
    ]


class _Contacts:
    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    async def check(self, request: web.Request) -> web.Response:
        try:
            asked = _NUMBERS.decode(await request.read()).contacts
        except msgspec.DecodeError as error:
            return _answer({"error": str(error)}, 400)
        if not 1 <= len(asked) <= MOST_NUMBERS:
            return _answer({"error": f"contacts must be 1 to {MOST_NUMBERS} numbers"}, 400)
        faults = self._exchange.faults
        if faults.no_contacts:
            return _answer({"error": "try again later"}, 503)
        self._exchange.record.counters.checked += len(asked)
        unknown = frozenset(faults.unknown)
        return _answer(ContactsQuery([number for number in asked if number not in unknown]))

    async def identity(self, request: web.Request) -> web.Response:
        found = self._exchange.identities.of(request.match_info["wa_id"])
        return _shown(found)

    async def acknowledge(self, request: web.Request) -> web.Response:
        try:
            told = _ACKNOWLEDGED.decode(await request.read())
        except msgspec.DecodeError as error:
            return _answer({"error": str(error)}, 400)
        identities = self._exchange.identities
        return _shown(identities.acknowledge(request.match_info["wa_id"], told.hash))


def _shown(identity: CustomerIdentity | None) -> web.Response:
    if identity is None:
        return _answer({"error": "this number is not known"}, 404)
    return _answer(identity)


def _answer(value: object, status: int = 200) -> web.Response:
    body = msgspec.json.encode(value)
    return web.Response(body=body, status=status, content_type="application/json")
