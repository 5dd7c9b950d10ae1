"""POST, GET and DELETE of /v1/media, and how messages with media reach their owner."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from uuid import UUID

import aiohttp
import msgspec
from aiohttp import web

from warouter.access.scopes import Scope
from warouter.api.access.caller import Caller
from warouter.api.context import Context
from warouter.api.description.wrapped import within
from warouter.api.route import Access, Route
from warouter.errors import (
    MediaAway,
    MediaFull,
    MediaRefused,
    NotFound,
    ParameterInvalid,
    ParameterMissing,
)
from warouter.http.envelope import common_fields, success
from warouter.http.request import path_name
from warouter.kinds import MEDIA, MESSAGE
from warouter.media import references, types
from warouter.media.storage import Damaged

log = logging.getLogger(__name__)


class MediaId(msgspec.Struct, frozen=True):
    """The id of a media, a UUID."""

    id: str


async def upload(context: Context, request: web.Request, caller: Caller) -> web.Response:
    """Store the raw body, which is never whole in memory."""
    mime = types.checked(request.headers.get("Content-Type"))
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise ParameterInvalid("Content-Encoding must be identity: send the body uncompressed")
    chunks, length = _chunks(request), request.content_length
    media = await context.media.receive(caller.number, chunks, mime, length=length)
    return success({"media": [{"id": str(media.id)}]}, 201)


async def download(context: Context, request: web.Request, caller: Caller) -> web.StreamResponse:
    """Stream the stored bytes; the last ones only if all match the checksum. What a customer sent
    and could not be fetched yet is fetched now.
    """
    which = caller.number, _media_id(request)
    media = await context.media.find(*which) or await context.received.late(*which)
    if media is None:
        raise _unknown()
    content = context.media.content(media)
    try:
        first = await anext(content, b"")
    except (FileNotFoundError, Damaged) as error:
        log.error("media read failed", extra={"media": str(media.id), "error": str(error)})
        raise _unknown() from error
    response = web.StreamResponse(
        headers={
            # Rows of before are as unchecked as what the upstream once said.
            "Content-Type": types.safe(media.mime),
            "Content-Length": str(media.size),
            # Whatever somebody sent, no browser shall take it for a page of ours.
            "Content-Disposition": "attachment",
            # Set here: what is streamed has left before the middleware could add it.
            **common_fields(server_version=context.config.server_version),
        }
    )
    await response.prepare(request)
    try:
        await response.write(first)
        async for chunk in content:
            await response.write(chunk)
    except (Damaged, MediaAway) as error:
        told = {"media": str(media.id), "error": str(error)}
        if isinstance(error, Damaged):
            log.error("media verification failed", extra=told)
        else:
            log.error("media read failed", extra=told)
        # The length that was announced is not reached: nobody takes this for the whole.
        if request.transport is not None:
            request.transport.abort()
        return response
    except ConnectionError:
        return response  # the client has gone
    await response.write_eof()
    return response


async def remove(context: Context, request: web.Request, caller: Caller) -> web.Response:
    if not await context.media.remove(caller.number, _media_id(request)):
        raise _unknown()
    return success({})


async def kind_of(
    context: Context, number: int, message_type: str, media_ids: list[str], body: bytes
) -> int:
    """The frame kind of a message: MEDIA if its owner must prepare media first, else MESSAGE.

    NotFound (404/1006) for an id that is no media's of the number.
    """
    for text in media_ids:
        try:
            known = await context.media.known(number, UUID(text))
        except ValueError:
            known = False
        if not known:
            raise NotFound(f"there is no media {text}")
    return travels_as(message_type, body)


def travels_as(message_type: str, body: bytes) -> int:
    """MEDIA if the owner must prepare media before it sends the message, else MESSAGE."""
    if message_type not in references.TYPES:
        return MESSAGE
    return MEDIA if references.find(body) else MESSAGE


async def _chunks(request: web.Request) -> AsyncIterator[bytes]:
    try:
        while chunk := await request.content.readany():
            yield chunk
    except (aiohttp.ClientPayloadError, ConnectionError) as error:
        raise ParameterInvalid("the request body is truncated or badly framed") from error


def _media_id(request: web.Request) -> UUID:
    try:
        return UUID(path_name(request, "media"))
    except ValueError:
        raise _unknown() from None


def _unknown() -> NotFound:
    return NotFound("there is no media with this id")


ROUTES = (
    Route(
        "POST",
        "/v1/media",
        Access.USER,
        Scope.MEDIA,
        upload,
        body="*/*",
        answer=within("media", list[MediaId], "MediaIds"),
        status=(201,),
        errors=(ParameterMissing, MediaRefused, MediaFull, MediaAway),
    ),
    Route(
        "GET",
        "/v1/media/{media}",
        Access.USER,
        Scope.MEDIA,
        download,
        answer="*/*",
        errors=(NotFound, MediaAway),
    ),
    Route(
        "DELETE",
        "/v1/media/{media}",
        Access.USER,
        Scope.MEDIA,
        remove,
        errors=(NotFound, MediaAway),
    ),
)
