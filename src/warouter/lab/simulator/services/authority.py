"""The registration authority's services, over HTTP.

    POST   /registration/code      {"number", "cert", "method", "pin"?}: send a code to the number
    POST   /registration/verify    {"cert", "code"}: the number is registered
    PUT    /registration/two-step  {"cert", "pin"}; DELETE {"cert"}

The certificate names the number and shows that the caller may act for it. What is refused is a 4xx
with ``{"reason", "error", "retry_after"?}``, the reason one of cert, body, code, pin_missing,
pin_wrong, wait.
"""

from __future__ import annotations

import base64
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Annotated, Literal, TypeVar

import msgspec
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Meta

from warouter.lab.simulator.number_authority import Declined, NumberAuthority
from warouter.upstream import authority

log = logging.getLogger(__name__)

Pin = Annotated[str, Meta(pattern=r"^[0-9]{6}$")]
T = TypeVar("T")


class Certified(msgspec.Struct, frozen=True):
    cert: str


class CodeRequest(msgspec.Struct, frozen=True):
    number: str
    cert: str
    method: Literal["sms", "voice"]
    pin: str | None = None


class Verification(msgspec.Struct, frozen=True):
    cert: str
    code: str


class NewPin(msgspec.Struct, frozen=True):
    cert: str
    pin: Pin


def add_registration(
    app: web.Application, numbers: NumberAuthority, key: Ed25519PrivateKey
) -> None:
    """Add the authority's services to those of a simulator."""
    services = _Registration(numbers, key)
    for method, path, handler in (
        ("POST", "/registration/code", services.code),
        ("POST", "/registration/verify", services.verify),
        ("PUT", "/registration/two-step", services.set_pin),
        ("DELETE", "/registration/two-step", services.remove_pin),
    ):
        app.router.add_route(method, path, _answering(handler))


class _Registration:
    def __init__(self, numbers: NumberAuthority, key: Ed25519PrivateKey) -> None:
        self._numbers = numbers
        self._public_key = authority.public_bytes(key)

    async def code(self, request: web.Request) -> web.Response:
        asked = await _read(request, CodeRequest)
        certificate = self._certificate(asked.cert)
        if certificate.number != asked.number:
            raise Declined("cert", "the certificate was issued for another number")
        self._numbers.request(certificate.number, asked.method, asked.pin, time.monotonic())
        log.info("registration code sent", extra={"method": asked.method})
        return _answer({"vname": certificate.name}, 202)

    async def verify(self, request: web.Request) -> web.Response:
        asked = await _read(request, Verification)
        certificate = self._certificate(asked.cert)
        two_step = self._numbers.verify(certificate.number, asked.code, time.monotonic())
        public_key = base64.b64encode(self._public_key).decode()
        return _answer({"public_key": public_key, "two_step": two_step})

    async def set_pin(self, request: web.Request) -> web.Response:
        asked = await _read(request, NewPin)
        self._numbers.set_pin(self._certificate(asked.cert).number, asked.pin)
        return _answer({})

    async def remove_pin(self, request: web.Request) -> web.Response:
        asked = await _read(request, Certified)
        self._numbers.set_pin(self._certificate(asked.cert).number, None)
        return _answer({})

    def _certificate(self, cert: str) -> authority.NumberCertificate:
        try:
            return authority.check(cert, self._public_key, time.time())
        except ValueError as error:
            raise Declined("cert", str(error)) from None


def _answering(
    handler: Callable[[web.Request], Awaitable[web.Response]],
) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(request: web.Request) -> web.Response:
        try:
            return await handler(request)
        except Declined as no:
            refusal: dict[str, object] = {"reason": no.reason, "error": no.sentence}
            if no.retry_after is not None:
                refusal["retry_after"] = no.retry_after
            return _answer(refusal, 429 if no.reason == "wait" else 400)

    return answer


async def _read(request: web.Request, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(await request.read(), type=kind)
    except msgspec.DecodeError as error:
        raise Declined("body", f"the body is not valid: {error}") from None


def _answer(value: object, status: int = 200) -> web.Response:
    body = msgspec.json.encode(value)
    return web.Response(body=body, status=status, content_type="application/json")
