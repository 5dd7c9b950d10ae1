"""Registration at the upstream, and the client of the simulator's registration authority, over HTTP
at ``WAROUTER_UPSTREAM_SERVICES``.
"""

from __future__ import annotations

import logging
from typing import NamedTuple, Protocol, TypeVar

import aiohttp
import msgspec

from warouter.errors import ApiError, NotReady, ParameterInvalid, ParameterMissing, TooManyRequests

log = logging.getLogger(__name__)

ANSWER_SECONDS = 10.0
MOST_BYTES = 64 * 1024
AGAIN_SECONDS = 5
T = TypeVar("T")


class Sent(msgspec.Struct, frozen=True):
    """A code was sent; ``vname`` is the display name in the certificate."""

    vname: str


class RegisteredNumber(NamedTuple):
    """The number is registered; ``public_key`` is the 32-byte key that verifies certificates, None
    where there are none. ``two_step``: the pin that was given with the request for a code is on.
    """

    public_key: bytes | None
    two_step: bool


class Registrar(Protocol):
    """The authority that registers a number. Every call raises an ApiError."""

    async def send_code(
        self, number: str, cert: str, method: str, pin: str | None
    ) -> Sent | RegisteredNumber:
        """Have a code sent to the number by ``sms`` or ``voice``.

        Returns a RegisteredNumber if none is needed.
        """

    async def verify(self, cert: str, code: str) -> RegisteredNumber:
        """Prove with the code that the number is the caller's. May be repeated."""

    async def set_pin(self, cert: str, pin: str | None) -> None:
        """Turn two-step verification on with the pin (six digits), or off."""


class _Registered(msgspec.Struct, frozen=True):
    """The answer of ``/registration/verify``."""

    public_key: bytes
    two_step: bool

    def __post_init__(self) -> None:
        if len(self.public_key) != 32:
            raise ValueError("the authority's key does not have 32 bytes")


class _Nothing(msgspec.Struct, frozen=True):
    pass


class _RefusedBody(msgspec.Struct, frozen=True):
    reason: str
    error: str
    retry_after: int | None = None


class Authority(Registrar):
    """Every call raises an ApiError: 400 or 429 as the authority says, 503 if it does not answer.

    What it answers is bounded and checked like what a client sends.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    async def send_code(
        self, number: str, cert: str, method: str, pin: str | None
    ) -> Sent | RegisteredNumber:
        body = {"number": number, "cert": cert, "method": method, "pin": pin}
        return await self._call("POST", "/registration/code", body, Sent)

    async def verify(self, cert: str, code: str) -> RegisteredNumber:
        body = {"cert": cert, "code": code}
        found = await self._call("POST", "/registration/verify", body, _Registered)
        return RegisteredNumber(found.public_key, found.two_step)

    async def set_pin(self, cert: str, pin: str | None) -> None:
        method = "DELETE" if pin is None else "PUT"
        body = {"cert": cert} if pin is None else {"cert": cert, "pin": pin}
        await self._call(method, "/registration/two-step", body, _Nothing)

    async def _call(self, method: str, path: str, body: object, kind: type[T]) -> T:
        try:
            status, content = await self._exchange(method, path, msgspec.json.encode(body))
            if status >= 400:
                raise _refused(msgspec.json.decode(content, type=_RefusedBody))
            return msgspec.json.decode(content, type=kind)
        except (aiohttp.ClientError, OSError, TimeoutError, msgspec.DecodeError) as error:
            log.warning(
                "registration authority call failed", extra={"path": path, "error": repr(error)}
            )
            raise NotReady(
                "the registration authority cannot be reached", retry_after=AGAIN_SECONDS
            ) from None

    async def _exchange(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        # Calls are rare: a session each needs no care of connections that went stale.
        timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
        headers = {"Content-Type": "application/json"}
        async with (
            aiohttp.ClientSession(timeout=timeout, headers=headers) as http,
            http.request(method, self._url + path, data=body, allow_redirects=False) as answer,
        ):
            content = bytearray()
            async for chunk in answer.content.iter_any():
                content += chunk
                if len(content) > MOST_BYTES:
                    raise aiohttp.ClientPayloadError("the answer is too large")
            return answer.status, bytes(content)


def _refused(refusal: _RefusedBody) -> ApiError:
    match refusal.reason:
        case "pin_missing":
            return ParameterMissing("pin is required because two-step verification is on")
        case "pin_wrong":
            return ParameterInvalid("pin is wrong")
        case "code":
            return ParameterInvalid(f"code is not valid: {refusal.error}")
        case "cert":
            return ParameterInvalid(f"cert is not valid: {refusal.error}")
        case "wait":
            return TooManyRequests(refusal.error, retry_after=refusal.retry_after or AGAIN_SECONDS)
        case _:
            log.warning("registration authority refused", extra={"reason": refusal.error})
            return ParameterInvalid("the registration authority refused the request")
