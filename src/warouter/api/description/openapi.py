"""The OpenAPI 3.1 description, generated from the routes and the Structs that validate.

Nothing is written down twice: paths, roles, bodies, statuses and errors are those of ``Route``, and
the schemas are msgspec's own of what is decoded and answered. What no code knows is in
``static/openapi.json``: security schemes, words on statuses and routes, and example bodies.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from warouter import STATIC
from warouter.access.scopes import names_of
from warouter.api.description.replies import ErrorAnswer, Meta
from warouter.api.route import Access, HeaderField, Route
from warouter.errors import (
    AccessDenied,
    ApiError,
    BodyTooLarge,
    Forbidden,
    NotReady,
    Overloaded,
    ParameterInvalid,
    ParameterMissing,
    PasswordChangeRequired,
    TooManyRequests,
)

JSON = "application/json"
_REFERENCE = "#/components/schemas/{name}"
_PARAMETER = re.compile(r"\{(\w+)\}")

_INFO = """The WhatsApp Business On-Premises API v1, as warouter serves it.

A success is a JSON object with `meta` and the resource, and without `errors`. A failure has
`errors[0]` with `code`, `title` and `details`. A trailing slash in a path makes no difference. In
bodies, numbers and booleans may be strings where the original accepts that, null means that an
optional field is absent, and unknown keys are ignored."""

_SECURITY: Mapping[Access, list[dict[str, list[str]]]] = {
    Access.OPEN: [],
    Access.LOGIN: [{"Basic": []}],
    Access.USER: [{"Bearer": []}],
    Access.ADMIN: [{"Bearer": []}],
    Access.MONITOR: [{"Bearer": []}, {"Apikey": []}],
}

# What a route may answer whatever it does, by what it asks for.
_ANY: tuple[type[ApiError], ...] = (ApiError, TooManyRequests, NotReady, Overloaded)
_WITH_TOKEN: tuple[type[ApiError], ...] = (
    AccessDenied,
    PasswordChangeRequired,
    ParameterInvalid,  # of credentials in the query
)
_WITH_BODY: tuple[type[ApiError], ...] = (ParameterInvalid, BodyTooLarge)
_WITH_JSON: tuple[type[ApiError], ...] = (ParameterMissing, *_WITH_BODY)


class RouteWords(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The summary of a route, and example bodies by name."""

    summary: str
    examples: dict[str, Any] = {}


class OpenApiWords(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Words written by hand: ``meanings`` of statuses, and ``routes`` by `POST /v1/users`."""

    security_schemes: dict[str, dict[str, str]]
    meanings: dict[int, str]
    retry_after: dict[str, Any]
    routes: dict[str, RouteWords]


@functools.cache
def written() -> OpenApiWords:
    """The content of ``static/openapi.json``."""
    text = (STATIC / "openapi.json").read_bytes()
    return msgspec.json.decode(text, type=OpenApiWords)


def words_on(route: Route) -> RouteWords:
    return written().routes[f"{route.method} {route.path}"]


def describe(routes: Sequence[Route], version: str) -> dict[str, Any]:
    """The whole description as builtins, ready for JSON; ``version`` is the API's."""
    types = list(_types(routes))
    shapes, components = msgspec.json.schema_components(types, ref_template=_REFERENCE)
    schemas = dict(zip(map(_key, types), shapes, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "warouter", "version": version, "description": _INFO},
        "paths": paths,
        "components": {
            "schemas": dict(sorted(components.items())),
            "securitySchemes": written().security_schemes,
        },
    }


def errors_of(route: Route) -> list[type[ApiError]]:
    """Every error that the route may return, its own first."""
    found = [*route.errors, *_ANY]
    if route.access is not Access.OPEN:
        found += _WITH_TOKEN
    if route.access is Access.ADMIN or route.scope:  # a key may lack the scope
        found.append(Forbidden)
    if route.body is not None:
        found += _WITH_BODY if isinstance(route.body, str) else _WITH_JSON
    return list(dict.fromkeys(found))


def answers_of(route: Route) -> tuple[Any, ...]:
    """The alternative types of a successful response; None is ``meta`` alone."""
    return route.answer if isinstance(route.answer, tuple) else (route.answer,)


def _types(routes: Sequence[Route]) -> Iterable[Any]:
    """Each type of a body or a response, once."""
    found: dict[str, Any] = {_key(t): t for t in (Meta, ErrorAnswer)}
    for route in routes:
        for shape in (route.body, route.meta, *answers_of(route)):
            if shape is not None and not isinstance(shape, str):
                found.setdefault(_key(shape), shape)
    return found.values()


def _key(shape: Any) -> str:
    """An identity for a type, which may be unhashable: its name as Python shows it."""
    return repr(shape)


def _operation(route: Route, schemas: Mapping[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": _name(route),
        "tags": [_tag(route.path)],
        "summary": words_on(route).summary,
        "description": _requires(route),
        "security": _SECURITY[route.access],
        "responses": _responses(route, schemas),
    }
    parameters = [
        *_path_parameters(route.path),
        *_query_parameters(route),
        *map(_header_parameter, route.headers),
    ]
    if parameters:
        operation["parameters"] = parameters
    if route.body is not None:
        operation["requestBody"] = _request_body(route, schemas)
    return operation


def _requires(route: Route) -> str:
    if not route.scope:
        return f"Requires {route.access.value}."
    (scope,) = names_of(route.scope)
    return f"Requires {route.access.value}, or a key with the scope `{scope}`."


def _name(route: Route) -> str:
    words = re.findall(r"\w+", route.path)
    return "_".join([route.method.lower(), *words])


def _tag(path: str) -> str:
    parts = [p for p in path.split("/") if p and p != "v1"]
    return parts[0] if parts else "monitoring"


def _path_parameters(path: str) -> list[dict[str, Any]]:
    return [
        {"name": n, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for n in _PARAMETER.findall(path)
    ]


def _query_parameters(route: Route) -> list[dict[str, Any]]:
    return [
        {"name": n, "in": "query", "description": meaning, "schema": {"type": "string"}}
        for n, meaning in route.query.items()
    ]


def _header_parameter(header: HeaderField) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    if header.values:
        schema["enum"] = list(header.values)
    return {"name": header.name, "in": "header", "description": header.meaning, "schema": schema}


def _request_body(route: Route, schemas: Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(route.body, str):
        content: dict[str, Any] = {route.body: {}}
    else:
        media: dict[str, Any] = {"schema": schemas[_key(route.body)]}
        if examples := words_on(route).examples:
            media["examples"] = {name: {"value": value} for name, value in examples.items()}
        content = {JSON: media}
    return {"required": route.body_required, "content": content}


def _responses(route: Route, schemas: Mapping[str, Any]) -> dict[str, Any]:
    # What is gone from the API has no success.
    successes = {str(s): _success(route, s, schemas) for s in route.status if s < 400}
    by_status: dict[int, list[type[ApiError]]] = {}
    for error in errors_of(route):
        by_status.setdefault(error.status, []).append(error)
    failures = {str(s): _failure(route, s, by_status[s], schemas) for s in sorted(by_status)}
    return successes | failures


def _success(route: Route, status: int, schemas: Mapping[str, Any]) -> dict[str, Any]:
    response: dict[str, Any] = {"description": written().meanings.get(status, "Done.")}
    if route.method == "HEAD" or status == 304:
        return response
    answers = answers_of(route)
    content: dict[str, Any] = {a: {} for a in answers if isinstance(a, str)}
    if beside := [schemas[_key(a)] if a else {} for a in answers if not isinstance(a, str)]:
        content[JSON] = {"schema": _enveloped(schemas[_key(route.meta or Meta)], beside)}
    return response | {"content": content}


def _enveloped(meta: Any, shapes: list[Any]) -> dict[str, Any]:
    """A response schema: ``meta`` and the answer's fields, and never ``errors``."""
    envelope = {
        "type": "object",
        "properties": {"meta": meta},
        "required": ["meta"],
        "unevaluatedProperties": False,
    }
    return envelope | (shapes[0] if len(shapes) == 1 else {"anyOf": shapes})


def _failure(
    route: Route, status: int, errors: list[type[ApiError]], schemas: Mapping[str, Any]
) -> dict[str, Any]:
    words = dict.fromkeys(f"{e.code} {e.title}" for e in errors)
    meaning = written().meanings.get(status, "The request is refused.")
    response: dict[str, Any] = {"description": f"{meaning} Codes: {', '.join(words)}."}
    if route.method != "HEAD":
        response["content"] = {JSON: {"schema": schemas[_key(ErrorAnswer)]}}
    helps = [e.retry_after is not None for e in errors]
    if any(helps):
        response["headers"] = {"Retry-After": {**written().retry_after, "required": all(helps)}}
    return response
