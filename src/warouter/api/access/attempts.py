"""Checks of passwords, pins and the API key, under the limits on failed attempts.

Who must wait is refused at once, before anybody waits for a turn to have something hashed. All of a
check, the limits once more among it, is then done in one turn, so that no more attempts are ever
checked and not yet counted than there are turns.
"""

from __future__ import annotations

import logging
import math
import time
from hashlib import sha256
from hmac import compare_digest

from aiohttp import web

from warouter.api.access.passwords import Standing
from warouter.api.access.tokens import Caller
from warouter.api.context import Context
from warouter.errors import TooManyRequests
from warouter.http.source import limited_address, prefix_of, source_of
from warouter.store.account.logins import KEY, PIN, USER, Attempt

log = logging.getLogger(__name__)


async def check_password(
    context: Context, request: web.Request, username: str, password_hash: str | None, password: str
) -> bool:
    """True if a stranger's password is right; ``password_hash`` is None if there is no such user.

    TooManyRequests (429 with Retry-After) when the name must wait at that address, or the address.
    """
    attempt = await admitted(context, request, USER, username)
    standing = Standing.KNOWN if attempt.known else Standing(1 + attempt.failed)
    async with context.passwords.strangers_turn(attempt.prefix, username, standing):
        return await _checked(context, attempt, password_hash, password)


async def check_pin(
    context: Context,
    request: web.Request,
    caller: Caller,
    number: str,
    pin_hash: str | None,
    pin: str,
) -> bool:
    """True if a caller's pin is right. Failures count for the
    number, whatever address they come from.

    TooManyRequests as for a password.
    """
    attempt = await admitted(context, request, PIN, number)
    async with context.passwords.callers_turn(caller.session):
        return await _checked(context, attempt, pin_hash, pin)


async def check_key(context: Context, request: web.Request, key: str) -> bool:
    """True if the API key is right. Guesses at it are limited as those at a password are.

    What is right asks no database: who watches must see most when most is wrong. So whoever must
    wait is told from memory, and every webapp knows it after the first wrong guess there.
    """
    trusted = context.config.trusted_proxies
    prefix, now = prefix_of(source_of(request, trusted)), time.monotonic()
    _refuse(context.waits.left(prefix, now))
    keys = context.config.api_keys()
    if not keys:
        return False
    given = sha256(key.encode(errors="surrogateescape")).digest()
    # All of them are compared: how long it takes says nothing of which one is right.
    if any([compare_digest(given, sha256(k.encode()).digest()) for k in keys]):
        return True
    async with context.waits.judging:  # so that no more are judged at once than there are webapps
        _refuse(context.waits.left(prefix, time.monotonic()))
        await _wrong_key(context, request)
    return False


async def _wrong_key(context: Context, request: web.Request) -> None:
    logins = context.logins
    attempt = await look(context, request, KEY, "")
    wait = attempt.wait or await logins.begin(attempt)
    if not wait:
        await logins.failed(attempt)
        log.warning("API key refused", extra={"source": attempt.prefix})
    left = wait or (await look(context, request, KEY, "")).wait
    if left > 0:
        context.waits.set(attempt.prefix, left, time.monotonic())
    _refuse(wait)


async def admitted(context: Context, request: web.Request, what: str, name: str) -> Attempt:
    """A new attempt of this request, ready to be checked;
    raises TooManyRequests if it must wait.
    """
    attempt = await look(context, request, what, name)
    _refuse(attempt.wait)
    return attempt


async def look(context: Context, request: web.Request, what: str, name: str) -> Attempt:
    """The attempt of this request with the failures that count for it."""
    trusted = context.config.trusted_proxies
    source = source_of(request, trusted)
    address = limited_address(source, trusted)
    return await context.logins.look(what, name, prefix_of(source), address)


async def _checked(
    context: Context, attempt: Attempt, password_hash: str | None, password: str
) -> bool:
    _refuse(await context.logins.begin(attempt))
    right = await context.passwords.verify_now(password_hash, password)
    if right:
        await context.logins.succeeded(attempt)
    else:
        await context.logins.failed(attempt)
    return right


def _refuse(wait: float) -> None:
    if wait > 0:
        seconds = math.ceil(wait)
        raise TooManyRequests(f"too many failed attempts, wait {seconds} s", retry_after=seconds)
