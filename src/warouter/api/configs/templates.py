"""GET, POST /v1/configs/templates, DELETE /v1/configs/templates/{name}."""

from __future__ import annotations

import logging
from typing import Any

import msgspec
from aiohttp import web

from warouter.access.scopes import Scope
from warouter.api.access.audit import subject
from warouter.api.access.caller import Caller
from warouter.api.configs.page import page_of
from warouter.api.configs.template_list import TemplateList
from warouter.api.context import Context
from warouter.api.route import Access, Route
from warouter.errors import GenericError, ParameterInvalid
from warouter.http.decode import explained
from warouter.http.envelope import success
from warouter.http.request import path_name, read_json

log = logging.getLogger(__name__)

NAME_CHARS = 512  # Meta's limit


class TemplateWish(msgspec.Struct, frozen=True):
    """A template to be made; it goes to Meta with all its fields, which Meta checks."""

    name: str
    language: str
    category: str
    components: list[dict[str, Any]] = []


class TemplateShown(msgspec.Struct, frozen=True):
    """A template; `status` is Meta's in small letters, such as `approved`."""

    name: str
    language: str
    status: str
    category: str
    components: list[Any]
    namespace: str
    rejected_reason: str
    id: str


class TemplatesAnswer(msgspec.Struct, frozen=True):
    """A part of the templates: `count` of the `total` that the filters leave."""

    waba_templates: list[TemplateShown]
    count: int
    total: int
    limit: int
    offset: int
    filters: dict[str, str | list[str]]
    sort: list[str]


_WISH = msgspec.json.Decoder(dict[str, Any])


async def listed(context: Context, request: web.Request, caller: Caller) -> web.Response:
    """The account's templates as Meta lists them."""
    page = page_of(request.query)
    return success(page.of(await _templates(context, caller.number).all()))


async def make(context: Context, request: web.Request, caller: Caller) -> web.Response:
    """Have Meta make a template."""
    wish = await read_json(request, context.config.json_limit, _WISH)
    try:
        name = msgspec.convert(wish, TemplateWish).name
    except msgspec.ValidationError as error:
        raise explained(error) from None
    subject(request, _checked(name))
    made = await _templates(context, caller.number).make(wish)
    log.info("template made", extra=caller.logged)
    return success(made, 201)


async def delete(context: Context, request: web.Request, caller: Caller) -> web.Response:
    """Have Meta delete the templates of this name, in all languages."""
    name = _checked(path_name(request, "name"))
    subject(request, name)
    await _templates(context, caller.number).delete(name)
    log.info("template deleted", extra=caller.logged)
    return success({})


def _templates(context: Context, number: int) -> TemplateList:
    templates = context.templates(number)
    if templates is None:
        raise GenericError(
            "there are no templates here: they are Meta's, and this installation's upstream is not"
            " the Cloud API"
        )
    return templates


def _checked(name: str) -> str:
    if not 0 < len(name) <= NAME_CHARS or not name.isprintable():
        raise ParameterInvalid(f"name must have 1 to {NAME_CHARS} printable characters")
    return name


_PATH = "/v1/configs/templates"
_QUERY = {
    "limit": "at most so many; 1000 without it",
    "offset": "without so many of the first",
    "filters": "a JSON object: values of `id`, `name`, `language`, `status`, `category`",
    "sort": "these names with commas between, `-` before one that goes down",
}

ROUTES = (
    Route(
        "GET",
        _PATH,
        Access.ADMIN,
        Scope.TEMPLATES,
        listed,
        answer=TemplatesAnswer,
        errors=(GenericError, ParameterInvalid),
        query=_QUERY,
    ),
    Route(
        "POST",
        _PATH,
        Access.ADMIN,
        Scope.TEMPLATES,
        make,
        body=TemplateWish,
        answer=TemplateShown,
        status=(201,),
        errors=(GenericError,),
        action="make template",
    ),
    Route(
        "DELETE",
        f"{_PATH}/{{name}}",
        Access.ADMIN,
        Scope.TEMPLATES,
        delete,
        errors=(GenericError, ParameterInvalid),
        action="delete template",
    ),
)
