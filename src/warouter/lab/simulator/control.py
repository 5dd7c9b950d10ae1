"""The control port of the simulator: JSON over HTTP on loopback, for tests and people.

    GET    /              what this is, who is connected, which slots are held
    GET    /record        the counters; ?ids=1 the ids per recipient and the read marks,
                          ?media=1 what media each message named,
                          ?times=1 the first arrivals (?since=S: after S monotonic seconds),
                          ?last=N the last N ids with their age in seconds, the newest first
    DELETE /record        forget the record, not which ids were taken
    POST   /inbound       one inbound message, or a list of them
    GET    /faults        the switches; PUT sets those it names, DELETE clears all
    GET    /switches      the same with the default and the meaning of each
    POST   /certificates  a verified-name certificate: {"cc", "phone_number", "name"?, "valid_s"?}
    GET    /codes         the last registration code of each number, as an SMS would show it
    GET    /authority     the public key (base64) that certificates are checked with

Bad input is a 4xx with {"error": a sentence} and changes nothing.
"""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable
from typing import Any, Protocol

import msgspec
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from warouter.lab.simulator.behaviour import Behaviour
from warouter.lab.simulator.exchange import Exchange
from warouter.lab.simulator.faults import Faults, described
from warouter.lab.simulator.guard import no_pages, only_as
from warouter.lab.simulator.inbound import InboundMessage, build
from warouter.lab.simulator.number_authority import NumberAuthority
from warouter.lab.simulator.services.media_store import MediaStore
from warouter.recipient import wa_id
from warouter.upstream import authority

# A document of 100 MB in base64.
LARGEST_BODY = 140 * 1024 * 1024
MOST_LAST = 1000
MOST_VALID_S = 100 * authority.VALID_S

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Addresses(msgspec.Struct, frozen=True):
    """The addresses of a simulator: host and port for coreapps, the URL for people and tests.

    ``services_port`` is on the same host.
    """

    host: str
    port: int
    control_url: str
    services_port: int


class CertificateRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The number in two parts, its display name, and seconds of validity; negative is expired."""

    cc: str
    phone_number: str
    name: str = ""
    valid_s: int = authority.VALID_S


def application(
    exchange: Exchange,
    media: MediaStore,
    numbers: NumberAuthority,
    key: Ed25519PrivateKey,
    *,
    use: Callable[[Faults], None],
    names: Collection[str],
) -> web.Application:
    """The control application of a simulator, to be run on its loop; it answers to ``names``.

    ``key`` is the authority's; ``use`` sets the switches of the faults, all of them.
    """
    middlewares = [no_pages, only_as(names), errors]
    app = web.Application(middlewares=middlewares, client_max_size=LARGEST_BODY)
    control = _NativeControl(exchange, media, numbers, key, use)
    app.router.add_get("/", control.index)
    app.router.add_get("/record", control.record)
    app.router.add_delete("/record", control.forget)
    app.router.add_post("/inbound", control.inbound)
    app.router.add_get("/faults", control.faults)
    app.router.add_put("/faults", control.set_faults)
    app.router.add_delete("/faults", control.clear_faults)
    app.router.add_get("/switches", control.switches)
    app.router.add_post("/certificates", control.certificate)
    app.router.add_get("/authority", control.authority)
    app.router.add_get("/codes", control.codes)
    return app


class _NativeControl:
    def __init__(
        self,
        exchange: Exchange,
        media: MediaStore,
        numbers: NumberAuthority,
        key: Ed25519PrivateKey,
        use: Callable[[Faults], None],
    ) -> None:
        self._exchange = exchange
        self._media = media
        self._numbers = numbers
        self._key = key
        self._use = use

    async def index(self, request: web.Request) -> web.Response:
        peers = [{"node": p.node, "incarnation": p.incarnation} for p in self._exchange.peers]
        slots = {str(slot): epoch for slot, epoch in self._exchange.held().items()}
        return answer(
            {
                "what": "warouter simulator: the stand-in for WhatsApp's servers",
                "monotonic_s": time.monotonic(),
                "connections": peers,
                "slots": slots,
                "unacked": self._exchange.unacked(),
            }
        )

    async def record(self, request: web.Request) -> web.Response:
        since = seconds(request.query.get("since", "-inf"))
        record = self._exchange.record
        found: dict[str, Any] = msgspec.structs.asdict(record.counters)
        if wanted(request, "ids"):
            found["ids"] = record.ids()
            found["marks"] = record.marks()
        if wanted(request, "media"):
            found["media"] = record.media()
        if wanted(request, "times") or "since" in request.query:
            found["arrivals"] = record.arrivals(since)
        found |= newest(request, record)
        return answer(found)

    async def forget(self, request: web.Request) -> web.Response:
        self._exchange.record.forget()
        return answer({})

    async def inbound(self, request: web.Request) -> web.Response:
        asked = parsed(await request.read())
        several = isinstance(asked, list)
        now = int(time.time())
        # All are built before the first is delivered: one bad one changes nothing.
        messages = [build(one, _new_id(), now) for one in (asked if several else [asked])]
        handles = [await self._kept(message) for message in messages]
        for message, media in zip(messages, handles, strict=True):
            self._exchange.inject(message, time.monotonic(), time.time(), media)
        ids = [message.id for message in messages]
        return answer({"ids": ids} if several else {"id": ids[0]}, status=201)

    async def _kept(self, message: InboundMessage) -> dict[str, str]:
        """The handles of the message's contents, by their place in it."""
        found = {}
        for place, content in message.contents.items():
            found[place], _, _ = await self._media.put(_whole(content), "")
        return found

    async def faults(self, request: web.Request) -> web.Response:
        return answer(self._exchange.faults)

    async def set_faults(self, request: web.Request) -> web.Response:
        switches = json_object(parsed(await request.read()))
        self._use(self._exchange.faults.changed(switches))
        return answer(self._exchange.faults)

    async def clear_faults(self, request: web.Request) -> web.Response:
        self._use(Faults())
        return answer(self._exchange.faults)

    async def switches(self, request: web.Request) -> web.Response:
        return answer(told(self._exchange.faults, described()))

    async def certificate(self, request: web.Request) -> web.Response:
        asked = msgspec.convert(json_object(parsed(await request.read())), CertificateRequest)
        if not -MOST_VALID_S <= asked.valid_s <= MOST_VALID_S:
            raise ValueError(f"valid_s must be at most {MOST_VALID_S} seconds either way")
        now = int(time.time())
        certificate = authority.NumberCertificate(
            number=wa_id(asked.cc + asked.phone_number),
            name=asked.name or "warouter test",
            issued=now + min(0, asked.valid_s),
            expires=now + asked.valid_s,
        )
        cert = authority.issue(self._key, certificate)
        return answer({"cert": cert, "expires": certificate.expires}, status=201)

    async def authority(self, request: web.Request) -> web.Response:
        public_key = base64.b64encode(authority.public_bytes(self._key)).decode()
        return answer({"public_key": public_key})

    async def codes(self, request: web.Request) -> web.Response:
        return answer({"codes": self._numbers.codes(time.monotonic())})


@web.middleware
async def errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer bad input with a sentence."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        return answer({"error": error.text or error.reason}, status=error.status)
    except ValueError as error:
        return answer({"error": str(error)}, status=400)


async def _whole(content: bytes) -> AsyncIterator[bytes]:
    yield content


def answer(value: object, *, status: int = 200) -> web.Response:
    """A JSON answer."""
    body = msgspec.json.encode(value)
    return web.Response(body=body, status=status, content_type="application/json")


def parsed(body: bytes) -> Any:
    """The JSON of a body; ValueError if it is none."""
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise ValueError(f"the body is not JSON: {error}") from error


def json_object(value: object) -> dict[str, Any]:
    """The value if it is an object, else ValueError."""
    if not isinstance(value, dict):
        raise ValueError("the body must be a JSON object")
    return value


def wanted(request: web.Request, flag: str) -> bool:
    """True if the query sets a flag."""
    return request.query.get(flag, "0") not in ("", "0")


def told(faults: Behaviour, described: Iterable[tuple[str, Any, str]]) -> list[dict[str, Any]]:
    """The switches of a door, each with its value, its default and what it does."""
    return [
        {"name": name, "value": getattr(faults, name), "default": default, "meaning": meaning}
        for name, default, meaning in described
    ]


class Remembered(Protocol):
    """The record of a door, as far as its last messages go."""

    def last(self, count: int) -> list[tuple[str, float]]: ...


def newest(request: web.Request, record: Remembered) -> dict[str, Any]:
    """The last messages that the query asks for."""
    text = request.query.get("last", "")
    if not text:
        return {}
    if not text.isascii() or not text.isdigit() or int(text) > MOST_LAST:
        raise ValueError(f"last must be a number up to {MOST_LAST}")
    now = time.monotonic()
    return {"last": [{"id": id, "age_s": now - at} for id, at in record.last(int(text))]}


def seconds(text: str) -> float:
    """The seconds of ``since``."""
    try:
        return float(text)
    except ValueError as error:
        raise ValueError("since must be a number of seconds") from error


def _new_id() -> str:
    return "ABGG" + secrets.token_urlsafe(18)
