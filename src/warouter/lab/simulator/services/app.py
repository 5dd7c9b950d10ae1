"""The simulator's HTTP services: media, contacts and registration.

Coreapps and webapps reach it at ``WAROUTER_UPSTREAM_SERVICES``. Unlike the control port it is part
of the product's world: nothing here is for tests alone.

    GET    /              what this is
    /contacts ...         who is on WhatsApp, identities (``contacts``)
    /registration/...     codes, verification, two-step pins (``authority``)
    /media                content for handles (``media_store``)
"""

from __future__ import annotations

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from warouter.lab.simulator.exchange import Exchange
from warouter.lab.simulator.guard import no_pages
from warouter.lab.simulator.number_authority import NumberAuthority
from warouter.lab.simulator.services.authority import add_registration
from warouter.lab.simulator.services.contacts import contact_routes
from warouter.lab.simulator.services.media_store import MediaStore, add_media


def services(
    exchange: Exchange, media: MediaStore, numbers: NumberAuthority, key: Ed25519PrivateKey
) -> web.Application:
    """The service application of a simulator, to be run on its loop. ``key`` is the authority's."""
    app = web.Application(middlewares=[no_pages])
    app.router.add_get("/", _index)
    app.router.add_routes(contact_routes(exchange))
    add_registration(app, numbers, key)
    add_media(app, media, lambda: exchange.faults)
    return app


async def _index(request: web.Request) -> web.Response:
    return web.json_response({"what": "services of the warouter simulator"})
