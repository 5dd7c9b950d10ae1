"""Reads requests: bodies up to their limit, and names in paths."""

from __future__ import annotations

from typing import TypeVar

import aiohttp
import msgspec
from aiohttp import web

from warouter.errors import BodyTooLarge, NotFound, ParameterInvalid
from warouter.http.decode import decode

T = TypeVar("T")

_NAME_CHARS = 256


async def read_body(request: web.Request, limit: int) -> bytes:
    """The body, at most ``limit`` bytes; raises BodyTooLarge before it reads more."""
    length = request.content_length
    if length is not None and length > limit:
        raise _too_large(limit)
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise ParameterInvalid("Content-Encoding must be identity: send the body uncompressed")
    chunks: list[bytes] = []
    size = 0
    try:
        while chunk := await request.content.readany():
            size += len(chunk)
            if size > limit:
                raise _too_large(limit)
            chunks.append(chunk)
    except (aiohttp.ClientPayloadError, ConnectionError) as error:  # the latter: the client left
        raise ParameterInvalid("the request body is truncated or badly framed") from error
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def read_json(request: web.Request, limit: int, decoder: msgspec.json.Decoder[T]) -> T:
    """The body decoded as the decoder's type; raises an ApiError (400, 413) if it is not valid."""
    return decode(await read_body(request, limit), decoder)


def path_name(request: web.Request, key: str) -> str:
    """A name or an id in the path. Raises NotFound for one that cannot exist."""
    name = request.match_info[key]
    if len(name) > _NAME_CHARS or not name.isprintable():
        raise NotFound(f"there is no such {key}")
    return name


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(f"the body is larger than {limit} bytes")
