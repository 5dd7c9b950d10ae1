"""GET and PUT /v1/contacts/{wa_id}/identity: a customer's
key, and its acknowledgement by the business.

An identity changes when the customer takes another phone; it is then not acknowledged until the
business names its hash.
"""

from __future__ import annotations

import msgspec
from aiohttp import web

from warouter.access.scopes import Scope
from warouter.api.access.caller import Caller
from warouter.api.context import Context
from warouter.api.description.wrapped import within
from warouter.api.messages.rules import filled
from warouter.api.route import Access, Route
from warouter.errors import NotFound, ParameterInvalid
from warouter.http.envelope import success
from warouter.http.request import path_name, read_json
from warouter.recipient import wa_id
from warouter.upstream.number_services import ContactIdentity


class IdentityRequest(msgspec.Struct, frozen=True):
    hash: str


_REQUEST = msgspec.json.Decoder(IdentityRequest)


async def show(context: Context, request: web.Request, caller: Caller) -> web.Response:
    """The identity; 404/1006 for a number that no message went to or came from."""
    return _shown(await context.contacts.identity(caller.number, _contact(request)))


async def acknowledge(context: Context, request: web.Request, caller: Caller) -> web.Response:
    """Acknowledge the identity with this hash; another hash is 400/1009."""
    contact = _contact(request)
    wish = await read_json(request, context.config.json_limit, _REQUEST)
    hash = filled(wish.hash, "hash")
    identity = await context.contacts.acknowledge(caller.number, contact, hash)
    if identity is not None and identity.hash != hash:
        raise ParameterInvalid("hash does not match the contact's current identity")
    return _shown(identity)


def _contact(request: web.Request) -> str:
    try:
        return wa_id(path_name(request, "wa_id"))
    except ValueError:
        raise NotFound("there is no such contact") from None


def _shown(identity: ContactIdentity | None) -> web.Response:
    if identity is None:
        raise NotFound("the identity of this contact is not known")
    return success({"identity": identity})


_IDENTITY = within("identity", ContactIdentity)

ROUTES = (
    Route(
        "GET",
        "/v1/contacts/{wa_id}/identity",
        Access.USER,
        Scope.READ,
        show,
        answer=_IDENTITY,
        errors=(NotFound,),
    ),
    Route(
        "PUT",
        "/v1/contacts/{wa_id}/identity",
        Access.USER,
        Scope.SETTINGS,
        acknowledge,
        body=IdentityRequest,
        answer=_IDENTITY,
        errors=(NotFound,),
    ),
)
