"""Checks of pins and the API key, under the limits on failed attempts; see ``access.guard``."""

from __future__ import annotations

import logging
import time
from hashlib import sha256
from hmac import compare_digest

from aiohttp import web

from warouter.access.guard import Guard, refuse
from warouter.api.context import Context
from warouter.http.source import prefix_of, source_of
from warouter.store.account.logins import KEY

log = logging.getLogger(__name__)


def guard_of(context: Context) -> Guard:
    """The guard of passwords and pins."""
    return Guard(context.logins, context.passwords, context.config.trusted_proxies)


async def check_key(context: Context, request: web.Request, key: str) -> bool:
    """True if the API key is right. Guesses at it are limited as those at a password are.

    What is right asks no database: who watches must see most when most is wrong. So whoever must
    wait is told from memory, and every webapp knows it after the first wrong guess there.
    """
    trusted = context.config.trusted_proxies
    prefix, now = prefix_of(source_of(request, trusted)), time.monotonic()
    refuse(context.waits.left(prefix, now))
    keys = context.config.api_keys()
    if not keys:
        return False
    given = sha256(key.encode(errors="surrogateescape")).digest()
    # All of them are compared: how long it takes says nothing of which one is right.
    if any([compare_digest(given, sha256(k.encode()).digest()) for k in keys]):
        return True
    async with context.waits.judging:  # so that no more are judged at once than there are webapps
        refuse(context.waits.left(prefix, time.monotonic()))
        await _wrong_key(context, request)
    return False


async def _wrong_key(context: Context, request: web.Request) -> None:
    logins, guard = context.logins, guard_of(context)
    source = source_of(request, context.config.trusted_proxies)
    attempt = await guard.look(source, KEY, "")
    wait = attempt.wait or await logins.begin(attempt)
    if not wait:
        await logins.failed(attempt)
        log.warning("API key refused", extra={"source": attempt.prefix})
    left = wait or (await guard.look(source, KEY, "")).wait
    if left > 0:
        context.waits.set(attempt.prefix, left, time.monotonic())
    refuse(wait)
