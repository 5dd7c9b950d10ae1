"""Answers held against the description: the status is a documented one, the body has its shape."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

import jsonschema_rs
import msgspec

from warouter.api.app import D360_ROUTES, ROUTES
from warouter.api.description.openapi import JSON
from warouter.api.description.page import Description
from warouter.api.route import Route

EVERY = (*ROUTES, *D360_ROUTES)
DOCUMENT = Description(EVERY).document
_PATTERNS = [
    (re.compile(re.sub(r"\\\{[^/]*?\\\}", "[^/]+", re.escape(route.path))), route)
    for route in sorted(EVERY, key=lambda r: r.path.count("{"))  # what is spelt out first
]


class Undocumented(AssertionError):
    """An answer that the description does not know."""


def route_of(method: str, path: str) -> Route | None:
    """The route that serves a path as it was requested, query and trailing slash included."""
    plain = path.partition("?")[0]
    plain = plain.rstrip("/") or "/"
    return next((r for p, r in _PATTERNS if r.method == method and p.fullmatch(plain)), None)


def check_answer(
    method: str, path: str, status: int, headers: Mapping[str, str], body: bytes
) -> None:
    """Undocumented if the answer is none that the description promises."""
    _check_fields(f"{method} {path} -> {status}", path, headers)
    route = route_of(method, path)
    if route is None:
        if status not in (400, 404, 405):  # 400: a method that HTTP does not have
            raise Undocumented(f"{method} {path} answers {status} and is not described")
        return
    where = f"{method} {route.path} -> {status}"
    response = DOCUMENT["paths"][route.path][method.lower()]["responses"].get(str(status))
    if response is None:
        raise Undocumented(f"{where} is not described: {body[:300]!r}")
    for name, header in response.get("headers", {}).items():
        if header["required"] and name not in headers:
            raise Undocumented(f"{where} has no header {name}")
    if "content" not in response:
        if body:
            raise Undocumented(f"{where} has a body")
        return
    content_type = headers.get("Content-Type", "").partition(";")[0].strip()
    described = next((c for c in response["content"] if _covers(c, content_type)), None)
    if described is None:
        raise Undocumented(f"{where} answers {content_type}, not {list(response['content'])}")
    if described == JSON:
        _check_body(where, route, status, body)


def _check_fields(where: str, path: str, headers: Mapping[str, str]) -> None:
    """No browser guesses what an answer is, nor keeps it, but for the description itself."""
    if headers.get("X-Content-Type-Options") != "nosniff":
        raise Undocumented(f"{where} may be taken for what it is not")
    kept = headers.get("Cache-Control") != "no-store"
    if kept and path.partition("?")[0].rstrip("/") not in (
        "/v1/docs",
        "/v1/openapi.json",
        "/v1/errors",
    ):
        raise Undocumented(f"{where} may be kept")


def _check_body(where: str, route: Route, status: int, body: bytes) -> None:
    try:
        _validator(route.method, route.path, str(status)).validate(msgspec.json.decode(body))
    except (jsonschema_rs.ValidationError, msgspec.DecodeError) as error:
        raise Undocumented(f"{where}: {error}\n{body[:600]!r}") from None


def _covers(described: str, content_type: str) -> bool:
    described = described.partition(";")[0].strip()
    if described.endswith("/*"):
        return described == "*/*" or content_type.startswith(described[:-1])
    return described == content_type


@cache
def _validator(method: str, path: str, status: str) -> Any:
    response = DOCUMENT["paths"][path][method.lower()]["responses"][status]
    schema = response["content"][JSON].get("schema", {})
    return jsonschema_rs.Draft202012Validator({**schema, "components": DOCUMENT["components"]})
