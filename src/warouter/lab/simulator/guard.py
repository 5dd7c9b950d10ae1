"""Protects HTTP ports without a password: programs may use them, pages in a browser may not.

A page reaches loopback and the own network, too. One of another origin says so by ``Origin``. One
whose own name was made to mean this machine (DNS rebinding) is of the same origin for its browser,
but names itself in ``Host``.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware


@web.middleware
async def no_pages(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuses (403) requests that a page of another origin makes."""
    if "Origin" in request.headers:
        return web.json_response({"error": "web pages may not use this port"}, status=403)
    return await handler(request)


def only_as(names: Collection[str]) -> Middleware:
    """Refuses (421) requests under another host name than those of loopback and ``names``."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        if is_named(request.headers.get("Host", ""), names):
            return await handler(request)
        sentence = "the Host of a request must be localhost, a loopback address or a --control-name"
        return web.json_response({"error": sentence}, status=421)

    return guard


def is_named(host: str, names: Collection[str]) -> bool:
    """True if the Host field, with or without a port, is loopback or one of ``names``."""
    if host.startswith("["):
        name, _, port = host[1:].partition("]")
        port = port.removeprefix(":")
    else:
        name, _, port = host.partition(":")
    if port and not (port.isascii() and port.isdigit()):
        return False
    name = name.lower()
    if name == "localhost" or name in {listed.lower() for listed in names}:
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
