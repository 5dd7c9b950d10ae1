"""POST /v1/messages; PUT and GET /v1/messages/{id}."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import msgspec
from aiohttp import web

from warouter.access.scopes import Scope
from warouter.api.access.caller import Caller
from warouter.api.context import Context
from warouter.api.description.replies import MessageId
from warouter.api.description.wrapped import within
from warouter.api.media import kind_of
from warouter.api.messages.hsm import as_template
from warouter.api.messages.idempotency import HEADER, MOST_CHARS, key_of
from warouter.api.messages.options import IN_DOUBT, POLICIES, PRIORITIES, PRIORITY, options_of
from warouter.api.messages.schema import Message
from warouter.api.messages.validate import parse_message
from warouter.api.route import Access, HeaderField, Route
from warouter.errors import (
    InvalidRecipientType,
    KeyTaken,
    MessageTooLong,
    NotFound,
    ParameterInvalid,
)
from warouter.http.envelope import META_JSON, encoded, success
from warouter.http.request import path_name, read_body, read_json
from warouter.kinds import MEDIA, READ_MARK, base_of, kind_with
from warouter.link.wire import IdempotencyKey, Outgoing
from warouter.message_id import MARK_SIZE, RANDOM_SIZE, letters_of, mark_of, mint
from warouter.store.views.trace import Trace
from warouter.upstream.cloud.identity import slot_of_shown

ACCEPTED = b'{"messages":[{"id":"%%b"}],"meta":%b}' % META_JSON  # a 201 but for the id


class Mark(msgspec.Struct, frozen=True):
    status: str


_MARK = msgspec.json.Decoder(Mark)


async def send(context: Context, request: web.Request, caller: Caller) -> web.Response:
    """Send a message: 201 once it is on disk at the owner of
    its slot. The body is passed on unchanged.

    Two do not: a deprecated `hsm` travels as the template that it is, and `interactive.action` as
    text as the object that it spells. With an Idempotency-Key that came before, the answer is that
    of the first request.
    """
    body = await read_body(request, context.config.json_limit)
    parsed = parse_message(body)
    fields = request.headers
    key = key_of(fields.getall(HEADER, ()), caller.username, body, caller.number)
    options = options_of(fields.getall(IN_DOUBT, ()), fields.getall(PRIORITY, ()))
    contacts = context.contacts
    if contacts.required and not await contacts.may_send(caller.number, parsed.recipient):
        raise NotFound("unknown contact")  # clients compare these words
    body = parsed.body or body
    if parsed.type == "hsm":
        body = as_template(body)
    kind = await kind_of(context, caller.number, parsed.type, parsed.media_ids, body)
    if context.config.options:
        kind = kind_with(kind, *options)
    raw = await context.messages.submit(
        outgoing(parsed.recipient, kind, body, caller, parsed.ttl, key)
    )
    return encoded(accepted(raw), 201)


def accepted(raw: bytes) -> bytes:
    """The body of a 201, built by hand because it is on the path of every message."""
    return ACCEPTED % letters_of(raw)


async def mark(context: Context, request: web.Request, caller: Caller) -> web.Response:
    """Mark an inbound message as read; the mark travels like a message to its sender."""
    message_id = path_name(request, "message")
    wish = await read_json(request, context.config.json_limit, _MARK)
    if wish.status != "read":
        raise ParameterInvalid("status must be read")
    sender = await context.cluster.find_inbound(message_id, caller.number)
    if sender is None:
        raise NotFound("there is no inbound message with this id")
    body = msgspec.json.encode({"status": "read", "message_id": message_id})
    await context.messages.submit(outgoing(sender, READ_MARK, body, caller))
    return success({})


async def trace(context: Context, request: web.Request, caller: Caller) -> web.Response:
    """The state of a message with every step that is known, without its content."""
    found = await context.cluster.trace(path_name(request, "message"), caller.number)
    if found is None:
        raise NotFound("there is no message with this id, or it is no longer kept")
    return success({"trace": found})


def _draws() -> Iterator[bytes]:
    """Random parts for many ids at once: the system call costs more than the id."""
    while True:
        drawn = os.urandom(RANDOM_SIZE * 512)
        for at in range(0, len(drawn), RANDOM_SIZE):
            yield drawn[at : at + RANDOM_SIZE]


_random = _draws()


def outgoing(
    recipient: str,
    kind: int,
    body: bytes,
    caller: Caller,
    ttl: int | None = None,
    key: IdempotencyKey | None = None,
) -> Outgoing:
    """A message of the caller's number with a new id, for the owner of its recipient's slot. A read
    mark may be for a user whom only an id is known of (WAROUTER_CLOUD_BSUID=raw).
    """
    slot = slot_of_shown(recipient)
    chance = next(_random)
    if base_of(kind) == MEDIA:  # whose links they are: an owner shares its places by it
        chance = mark_of(_user(caller)) + chance[MARK_SIZE:]
    raw = mint(slot, time.time_ns() // 1_000_000, chance)
    return Outgoing(slot, raw, recipient, kind, body, ttl, key, caller.number)


def _user(caller: Caller) -> str:
    """A name that no two users have, of whatever numbers."""
    return caller.username if caller.number == 1 else f"{caller.number}\0{caller.username}"


ROUTES = (
    Route(
        "POST",
        "/v1/messages",
        Access.USER,
        Scope.SEND,
        send,
        body=Message,
        answer=within("messages", list[MessageId], "MessageIds"),
        status=(201,),
        errors=(MessageTooLong, InvalidRecipientType, NotFound, KeyTaken),
        headers=(
            HeaderField(
                HEADER,
                f"1 to {MOST_CHARS} printable ASCII characters: a repeat with the same key and"
                " body is the same message (an addition)",
            ),
            HeaderField(
                IN_DOUBT,
                "what to do if nobody can know whether the Cloud API took the message (an"
                " addition); without it WAROUTER_CLOUD_IN_DOUBT holds",
                POLICIES,
            ),
            HeaderField(
                PRIORITY,
                "`high`: with the Cloud API the message goes before others, if none of its"
                " recipient is before it (an addition)",
                PRIORITIES,
            ),
        ),
    ),
    Route(
        "GET",
        "/v1/messages/{message}",
        Access.USER,
        Scope.READ,
        trace,
        answer=within("trace", Trace),
        errors=(NotFound,),
    ),
    Route(
        "PUT",
        "/v1/messages/{message}",
        Access.USER,
        Scope.SEND,
        mark,
        body=Mark,
        errors=(NotFound,),
    ),
)
