"""The product's response envelope: ``meta`` and the resource, or ``errors`` on failure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec
from aiohttp import web

from warouter import API_VERSION, SERVER
from warouter.codes import href
from warouter.errors import ApiError, BodyTooLarge, GenericError, MethodNotAllowed, NotFound

# warouter's own version is in the Server header.
META = {"api_status": "stable", "version": API_VERSION}
META_JSON = msgspec.json.encode(META)
_DETAILS_CHARS = 400  # a client's own words may be quoted in them
_JSON = "application/json"


class ErrorResponses(Protocol):
    """How a server says what no handler of it answers."""

    def alone(self, error: ApiError) -> bytes:
        """The bytes of a complete response without a request, the last one of its connection."""

    def failure(self, error: ApiError) -> web.Response:
        """The response to a request that never reached a handler."""

    def of_framework(self, error: web.HTTPException) -> web.StreamResponse:
        """The response for what aiohttp raised."""


class Envelopes(ErrorResponses):
    """The product's envelope, with these fields of every response.

    In ``d360``, 360dialog's dialect, the ``meta`` of a failure says so, and why.
    """

    def __init__(self, common: Mapping[str, str], *, d360: bool = False) -> None:
        self._common = common
        self._d360 = d360

    def body(self, error: ApiError) -> bytes:
        """The JSON of an error."""
        shown = error_object(error)
        meta: dict[str, Any] = dict(META)
        if self._d360:
            meta |= {"success": False, "developer_message": shown["details"]}
        return msgspec.json.encode({"meta": meta, "errors": [shown]})

    def alone(self, error: ApiError) -> bytes:
        fields = {"Content-Type": _JSON, **self._common, **error_fields(error)}
        return whole(error, fields, self.body(error))

    def failure(self, error: ApiError) -> web.Response:
        """An error response, with Retry-After where a retry may help."""
        response = encoded(self.body(error), error.status)
        response.headers.update(error_fields(error))
        response.headers.update(self._common)
        return response

    def of_framework(self, error: web.HTTPException) -> web.Response:
        """An error that aiohttp raised, as an error response of the product."""
        response = self.failure(_of_http(error))
        if isinstance(error, web.HTTPMethodNotAllowed):
            response.headers["Allow"] = _allowed(error)
        return response


def success(
    content: Mapping[str, Any],
    status: int = 200,
    *,
    warnings: list[str] | None = None,
    beside: Mapping[str, Any] = {},
) -> web.Response:
    """A successful response: ``content`` and meta, with what else is ``beside`` the content. It
    never has ``errors``: some clients take the key itself for a failure.
    """
    meta: dict[str, Any] = {**META, **beside}
    if warnings:
        meta["warnings"] = warnings
    return encoded(msgspec.json.encode({**content, "meta": meta}), status)


def encoded(body: bytes, status: int = 200) -> web.Response:
    """A response with JSON that is already encoded."""
    return web.Response(body=body, status=status, content_type=_JSON)


def _of_http(error: web.HTTPException) -> ApiError:
    match error:
        case web.HTTPNotFound():
            return NotFound("there is no such path")
        case web.HTTPMethodNotAllowed():
            return MethodNotAllowed(f"this path allows {_allowed(error)}")
        case web.HTTPRequestEntityTooLarge():
            return BodyTooLarge("the body is too large")
        case web.HTTPExpectationFailed():
            generic = GenericError("Expect may only be 100-continue")
        case _:
            generic = GenericError(error.reason)
    generic.status = error.status
    return generic


def _allowed(error: web.HTTPMethodNotAllowed) -> str:
    return ", ".join(sorted(error.allowed_methods))


def error_object(error: ApiError) -> dict[str, Any]:
    """An error as an element of ``errors``."""
    return {
        "code": error.code,
        "title": error.title,
        "details": _plain(error.details),
        "href": href(error.code),
    }


def error_fields(error: ApiError) -> dict[str, str]:
    """Additional header fields of an error response."""
    fields = {}
    if error.retry_after is not None:
        fields["Retry-After"] = str(error.retry_after)
    if error.status == 401:
        fields["WWW-Authenticate"] = f'{error.challenge} realm="warouter"'
    return fields


def common_fields(*, server_version: bool) -> dict[str, str]:
    """Header fields of every response, in their order on the fast path and on aiohttp's.

    An answer may hold a token or somebody's words: no browser or proxy keeps it, or guesses what
    it is. ``server_version``: say which build answers.
    """
    return {
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "Server": SERVER if server_version else SERVER.partition("/")[0],
    }


def whole(error: ApiError, fields: Mapping[str, str], body: bytes) -> bytes:
    """A complete response with the status of an error, the last one of its connection."""
    fields = {"Content-Length": str(len(body)), "Connection": "close", **fields}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {error.status} {error.title}\r\n{head}\r\n".encode() + body


def _plain(details: str) -> str:
    """The text made safe for JSON, and cut to a readable length."""
    text = details.encode(errors="replace").decode()
    return text if len(text) <= _DETAILS_CHARS else f"{text[:_DETAILS_CHARS]}..."
