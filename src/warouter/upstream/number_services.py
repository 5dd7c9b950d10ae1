"""The client of the upstream's number services: contact checks and identities.

Calls go to the upstream's services over HTTP. Each has a time limit, and an answer of another shape
than agreed counts as none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol, TypeVar

import aiohttp
import msgspec

from warouter.errors import WarouterError

T = TypeVar("T")

MOST_NUMBERS = 1_000  # of one call
MOST_BYTES = 1 << 20  # of one answer
TIMEOUT_S = 10.0
_JSON = {"Content-Type": "application/json"}


class UpstreamAway(WarouterError):
    """The upstream's services did not answer in time, or not validly."""


class ContactsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``POST /contacts``: 1 to ``MOST_NUMBERS`` wa_ids, answered with those on WhatsApp."""

    contacts: list[str]


class ContactIdentity(msgspec.Struct, frozen=True):
    """Answer of ``GET /contacts/{wa_id}/identity``; ``created_timestamp`` is in unix seconds."""

    hash: str
    created_timestamp: int
    acknowledged: bool


class Acknowledged(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of ``PUT /contacts/{wa_id}/identity``: the business acknowledges this hash."""

    hash: str


_NUMBERS = msgspec.json.Decoder(ContactsQuery)
_IDENTITY = msgspec.json.Decoder(ContactIdentity)


class NumberLookup(Protocol):
    """The upstream's knowledge of the contacts of a ``number``. Each call raises UpstreamAway.

    ``local``: it is asked without leaving the cluster, so its answers need not be kept.
    """

    local: bool = False

    async def on_whatsapp(self, number: int, wa_ids: Sequence[str]) -> set[str]:
        """The wa_ids, of at most ``MOST_NUMBERS``, that are on WhatsApp."""

    async def identity(self, number: int, wa_id: str) -> ContactIdentity | None:
        """An identity, or None if the upstream knows none."""

    async def acknowledge(self, number: int, wa_id: str, hash: str) -> ContactIdentity | None:
        """Acknowledge a hash and return the identity, None if there is none."""

    async def close(self) -> None: ...


class NumberDirectory(NumberLookup):
    """The services at ``url``, which know one number alone.

    ``close`` it on the loop that it is used on.
    """

    def __init__(self, url: str, timeout: float = TIMEOUT_S) -> None:
        self._url = url
        self._timeout = timeout
        self._session: aiohttp.ClientSession | None = None

    async def on_whatsapp(self, number: int, wa_ids: Sequence[str]) -> set[str]:
        asked = msgspec.json.encode(ContactsQuery(list(wa_ids)))
        status, body = await self._call("POST", "/contacts", asked)
        if status != 200:
            raise UpstreamAway(f"the upstream answered {status} to a contact check")
        return set(_decoded(body, _NUMBERS).contacts)

    async def identity(self, number: int, wa_id: str) -> ContactIdentity | None:
        status, body = await self._call("GET", _path(wa_id))
        return None if _unknown(status) else _decoded(body, _IDENTITY)

    async def acknowledge(self, number: int, wa_id: str, hash: str) -> ContactIdentity | None:
        told = msgspec.json.encode(Acknowledged(hash))
        status, body = await self._call("PUT", _path(wa_id), told)
        return None if _unknown(status) else _decoded(body, _IDENTITY)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _http(self) -> aiohttp.ClientSession:
        if self._session is None:  # until then there is nothing to close: a start may fail
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=self._timeout),
                connector=aiohttp.TCPConnector(limit=16),
            )
        return self._session

    async def _call(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        try:
            async with self._http().request(
                method, self._url + path, data=body, headers=_JSON, allow_redirects=False
            ) as answer:
                content = await answer.content.readexactly(_length(answer))
                return answer.status, content
        except (aiohttp.ClientError, asyncio.IncompleteReadError, OSError, ValueError) as error:
            # Not in its own words, which may hold a number. TimeoutError is an OSError.
            reason = type(error).__name__
            raise UpstreamAway(f"the upstream's services do not answer ({reason})") from error


def _length(answer: aiohttp.ClientResponse) -> int:
    length = answer.content_length
    if length is None or length > MOST_BYTES:
        raise UpstreamAway("the upstream's services answered without a length, or too much")
    return length


def _path(wa_id: str) -> str:
    return f"/contacts/{wa_id}/identity"


def _unknown(status: int) -> bool:
    if status not in (200, 404):
        raise UpstreamAway(f"the upstream answered {status} to a question for an identity")
    return status == 404


def _decoded(body: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    try:
        return decoder.decode(body)
    except msgspec.DecodeError as error:
        raise UpstreamAway(f"the upstream's services gave a malformed answer: {error}") from error
