"""Checks of pins, keys and the API key, under the limits on failed attempts; ``access.guard``."""

from __future__ import annotations

import logging
import time
from hashlib import sha256
from hmac import compare_digest

from aiohttp import web

from warouter.access.guard import Guard, refuse
from warouter.access.key import PREFIX, is_from, may_be_key
from warouter.access.token import hash_of
from warouter.api.access.audit import note_refusal
from warouter.api.access.caller import Caller
from warouter.api.access.waits import Waits
from warouter.api.context import Context
from warouter.errors import AccessDenied
from warouter.http.source import prefix_of, source_of
from warouter.store.account.logins import KEY

log = logging.getLogger(__name__)

API_KEY, A_KEY = "", "key"  # what failures of an address are counted under


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
        await _failed(context, request, context.waits, API_KEY)
    return False


async def holder_of(context: Context, request: web.Request, text: str) -> Caller:
    """The holder of a token or key; AccessDenied (401) if nobody has it, it has ended, or it is a
    key of other networks, in the same words.

    Guesses at keys are limited by address. A key that is in memory asks for no limit, so nobody's
    requests wait for what a neighbour guesses.
    """
    caller = await _found(context, request, text)
    if caller is None:
        raise refused(text)
    networks = () if caller.grant is None else caller.grant.networks
    if networks and not is_from(source_of(request, context.config.trusted_proxies), networks):
        refusal = refused(text)
        note_refusal(context, request, caller.actor, "key", refusal)
        raise refusal
    return caller


def refused(text: str) -> AccessDenied:
    """The one refusal of a token, or of a key. An adopted key is refused as a token is: its form
    says that it may be one.
    """
    if text.startswith(PREFIX):
        return AccessDenied("the key is not valid, or has ended")
    return AccessDenied("the token is not valid, or has expired")


async def _found(context: Context, request: web.Request, text: str) -> Caller | None:
    """Whoever holds the token or key; None if nobody does."""
    if not text.startswith(PREFIX):
        return await context.tokens.caller(text)
    if not may_be_key(text):
        return None  # mistyped or cut short: no guess, and no look-up
    known = context.tokens.known(text)
    return known.caller if known is not None else await _new_key(context, request, text)


async def _new_key(context: Context, request: web.Request, text: str) -> Caller | None:
    """The holder of a key that this webapp does not know yet; None if nobody has it."""
    prefix = prefix_of(source_of(request, context.config.trusted_proxies))
    refuse(context.key_waits.left(prefix, time.monotonic()))
    caller = await context.tokens.caller(text)
    if caller is not None:
        return caller
    note_refusal(context, request, "", "key", refused(text))
    # What has ended is no guess: a program that goes on with it shall not lock out its neighbours.
    if not await context.keys.is_known(hash_of(text)):
        async with context.key_waits.judging:
            refuse(context.key_waits.left(prefix, time.monotonic()))
            await _failed(context, request, context.key_waits, A_KEY)
    return None


async def _failed(context: Context, request: web.Request, waits: Waits, name: str) -> None:
    """Count a wrong key; raises TooManyRequests (429) if its address must wait."""
    logins, guard = context.logins, guard_of(context)
    source = source_of(request, context.config.trusted_proxies)
    attempt = await guard.look(source, KEY, name)
    wait = attempt.wait or await logins.begin(attempt)
    if not wait:
        await logins.failed(attempt)
        if name == API_KEY:
            log.warning("API key refused", extra={"source": attempt.prefix})
        else:
            log.warning("key refused", extra={"source": attempt.prefix})
    left = wait or (await guard.look(source, KEY, name)).wait
    if left > 0:
        waits.set(attempt.prefix, left, time.monotonic())
    refuse(wait)
