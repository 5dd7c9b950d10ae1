"""A check at start that aiohttp ends an answer as it did when the fast path was written.

The fast path writes to a client's socket between two answers of aiohttp. It takes it that an answer
has left once ``finish_response`` has returned, and that ``start`` begins no other before. A version
of aiohttp that changes either of them could mix two answers, so the fast path stays off until
somebody has read both again.
"""

from __future__ import annotations

import hashlib
import inspect
import logging
from functools import cache

import aiohttp
from aiohttp import web

log = logging.getLogger(__name__)

_METHODS = ("start", "finish_response")
_VERIFIED = ("7cfb09abfb354159",)  # of aiohttp 3.14.5


@cache
def ends_answers_as_verified(handler: type[web.RequestHandler] = web.RequestHandler) -> bool:
    """Logs a warning if it does not."""
    found = _digest(handler)
    if found in _VERIFIED:
        return True
    log.warning("fast path disabled", extra={"aiohttp": aiohttp.__version__, "digest": found})
    return False


def _digest(handler: type[web.RequestHandler]) -> str:
    """A digest of the methods' source; "" if it cannot be read."""
    try:
        source = "".join(inspect.getsource(getattr(handler, name)) for name in _METHODS)
    except (AttributeError, OSError, TypeError):
        return ""
    return hashlib.sha256(source.encode()).hexdigest()[:16]
