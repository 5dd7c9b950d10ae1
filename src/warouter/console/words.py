"""Answers where the application gives none: to what is no HTTP, or comes too slowly.

A line of text with the header fields of all other answers. It quotes nothing of the request.
"""

from __future__ import annotations

from aiohttp import web

from warouter.console import guard
from warouter.errors import ApiError
from warouter.http.envelope import ErrorResponses, whole

FIELDS = {**guard.HEADERS, "Cache-Control": "no-store"}
_TYPE = "text/plain; charset=utf-8"


class Lines(ErrorResponses):
    """Lines of text."""

    def alone(self, error: ApiError) -> bytes:
        return whole(error, {"Content-Type": _TYPE, **FIELDS}, _line(error).encode())

    def failure(self, error: ApiError) -> web.Response:
        return web.Response(status=error.status, text=_line(error), headers=FIELDS)

    def of_framework(self, error: web.HTTPException) -> web.StreamResponse:
        """Redirects are the application's own."""
        if isinstance(error, web.HTTPRedirection):
            return error
        return web.Response(status=error.status, text=f"{error.reason}.\n", headers=FIELDS)


def _line(error: ApiError) -> str:
    return f"{error.details[:1].upper()}{error.details[1:]}.\n"
