"""Checking a password or a pin under the limits of attempts."""

from __future__ import annotations

import math

from aiohttp import web

from warouter.api.context import Context
from warouter.api.source import limited_address, source_of
from warouter.errors import TooManyRequests


async def check_guarded(
    context: Context,
    request: web.Request,
    what: str,
    name: str,
    password_hash: str | None,
    password: str,
) -> bool:
    """Whether the password is right. ``what`` is logins.USER or logins.PIN, ``name`` whose it is.

    TooManyRequests (429 with Retry-After) when the name or the address must wait, before anything
    is hashed. All of it is done in one turn, so that no more attempts are ever checked and not yet
    counted than there are turns: two a webapp.
    """
    trusted = context.config.trusted_proxies
    source = source_of(request, trusted)
    async with context.passwords.turn():
        attempt = await context.logins.begin(what, name, source, limited_address(source, trusted))
        if attempt.wait > 0:
            seconds = math.ceil(attempt.wait)
            raise TooManyRequests(
                f"too many failed attempts, wait {seconds} s", retry_after=seconds
            )
        right = await context.passwords.verify_now(password_hash, password)
        if right:
            await context.logins.succeeded(attempt)
        else:
            await context.logins.failed(attempt)
    return right
