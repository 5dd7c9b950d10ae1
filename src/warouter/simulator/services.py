"""The simulator's services: what WhatsApp offers beside the message connection, over HTTP.

Coreapps and webapps reach it at ``WAROUTER_UPSTREAM_SERVICES``. Unlike the control port it is part
of the product's world: nothing here is for tests alone.

    GET    /              what this is
    /contacts ...         who is on WhatsApp, identities (``simulator_contacts``)
    /registration/...     codes, verification, two-step pins (simulator_registration)
    /media                content for handles (``simulator_media``)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from warouter.simulator.contacts import contact_routes
from warouter.simulator.guard import no_pages
from warouter.simulator.media import add_media
from warouter.simulator.registration import add_registration

if TYPE_CHECKING:
    from warouter.simulator.server import Simulator


def services(simulator: Simulator) -> web.Application:
    """The services of a simulator, to be run on its loop."""
    app = web.Application(middlewares=[no_pages])
    app.router.add_get("/", _index)
    app.router.add_routes(contact_routes(simulator))
    add_registration(app, simulator)
    add_media(app, simulator)
    return app


async def _index(request: web.Request) -> web.Response:
    return web.json_response({"what": "services of the warouter simulator"})
