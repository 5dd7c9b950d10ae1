"""POST /v1/account and /v1/account/verify: registers the number with the authority."""

from __future__ import annotations

import asyncio
import logging
from typing import Literal

import msgspec
from aiohttp import web

from warouter.access.scopes import Scope
from warouter.api.access.audit import subject
from warouter.api.access.caller import Caller
from warouter.api.account.shards import check_form, checked_certificate, digits, required_pin
from warouter.api.context import Context
from warouter.api.messages.rules import filled
from warouter.api.route import Access, Route
from warouter.errors import NotFound, NotReady, NumberTaken, ParameterInvalid
from warouter.http.envelope import success
from warouter.http.request import read_json
from warouter.link.pending import Submitting
from warouter.link.wire import Outgoing
from warouter.recipient import wa_id
from warouter.store.account.accounts import Account
from warouter.store.account.registration import PendingRegistration, Registrations
from warouter.upstream.registration import RegisteredNumber

log = logging.getLogger(__name__)

CODE_DIGITS = 6
CERT_CHARS = 8192
CC_DIGITS = 3
UNREGISTERED_SECONDS = 5


class RegistrationRequest(msgspec.Struct, frozen=True):
    """A number to register: ``cc`` and ``phone_number`` are its two parts; ``pin`` may be null."""

    cc: str
    phone_number: str
    method: Literal["sms", "voice"]
    cert: str
    pin: str | None = None


class VerifyRequest(msgspec.Struct, frozen=True):
    code: str


class RegisteringNumber(msgspec.Struct, frozen=True):
    """The display name that the certificate contains."""

    vname: str


class RegistrationAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """The answer of POST /v1/account; ``account`` is present with 202 only."""

    account: list[RegisteringNumber] = []


_REQUEST = msgspec.json.Decoder(RegistrationRequest)
_VERIFY = msgspec.json.Decoder(VerifyRequest)


async def register(context: Context, request: web.Request, caller: Caller) -> web.Response:
    """Start a registration: 201 if the number is registered, 202 once a code was sent."""
    wish = await read_json(request, context.config.json_limit, _REQUEST)
    cc, phone_number = checked_number(wish.cc, wish.phone_number)
    filled(wish.cert, "cert", CERT_CHARS)
    pin = required_pin(wish.pin) if wish.pin else None
    subject(request, cc + phone_number)
    account = await context.accounts.account(caller.number)
    if account is not None:
        _check_same(account, cc, phone_number)
        await _renew_certificate(context, caller.number, account, wish.cert)
        return success({}, 201)
    # Before anything is sent: whatever can still be refused here is refused without a code.
    pin_hash = await context.passwords.hash(pin, caller.session) if pin else None
    authority = context.authority(caller.number)
    sent = await authority.send_code(cc + phone_number, wish.cert, wish.method, pin)
    pending = PendingRegistration(cc, phone_number, wish.cert, pin_hash)
    await context.registrations.begin(caller.number, pending)
    if isinstance(sent, RegisteredNumber):
        await _complete(context, pending, sent, caller)
        return success({}, 201)
    return success({"account": [{"vname": sent.vname}]}, 202)


async def verify(context: Context, request: web.Request, caller: Caller) -> web.Response:
    """Finish a registration: 201 once registered, also if repeated with the same code."""
    wish = await read_json(request, context.config.json_limit, _VERIFY)
    code = wish.code.replace("-", "").replace(" ", "")  # as people read it off a phone
    if not (code.isascii() and code.isdigit() and len(code) == CODE_DIGITS):
        raise ParameterInvalid(f"code must have {CODE_DIGITS} digits")
    pending = await context.registrations.pending(caller.number)
    if pending is None:
        raise NotFound("no code was requested: call POST /v1/account first")
    subject(request, pending.number)
    known = await context.authority(caller.number).verify(pending.cert, code)
    await _complete(context, pending, known, caller)
    return success({}, 201)


async def _complete(
    context: Context, pending: PendingRegistration, known: RegisteredNumber, caller: Caller
) -> None:
    if not await context.registrations.complete(
        caller.number, pending, known.public_key, two_step=known.two_step
    ):
        raise NumberTaken("another number has been registered here in the meantime")
    log.info("number registered", extra=caller.logged)


class OnceRegistered(Submitting):
    """Knows which numbers are registered; asks the database until one is, and then no more: who
    takes it off (`warouter cloud deregister`) restarts the webapps.
    """

    def __init__(self, registrations: Registrations, links: Submitting) -> None:
        self._registrations = registrations
        self._links = links
        self._asking: dict[int, asyncio.Future[bool]] = {}
        self.known: set[int] = set()  # those that are

    async def submit(self, message: Outgoing) -> bytes:
        """Submit a message; raises NotReady (503) until its number is registered.

        503 and not 4xx, since that is what senders keep their message for and try again.
        """
        number = message.number
        if number not in self.known and await self._ask(number):
            self.known.add(number)
        if number not in self.known:
            raise NotReady(
                "not accepted: no number is registered yet", retry_after=UNREGISTERED_SECONDS
            )
        return await self._links.submit(message)

    async def _ask(self, number: int) -> bool:
        """Ask the database; concurrent callers share one query."""
        asking = self._asking.get(number)
        if asking is None:
            asking = asyncio.ensure_future(self._registrations.is_registered(number))
            self._asking[number] = asking
            asking.add_done_callback(lambda _: self._asking.pop(number))
        return await asyncio.shield(asking)


def checked_number(cc: str, phone_number: str) -> tuple[str, str]:
    """Check both parts of a number: digits only; raises ParameterInvalid if they are none."""
    cc, phone_number = digits(cc), digits(phone_number)
    for name, part in (("cc", cc), ("phone_number", phone_number)):
        if not (part.isascii() and part.isdigit()):
            raise ParameterInvalid(f"{name} must be digits")
    if len(cc) > CC_DIGITS or cc.startswith("0"):
        raise ParameterInvalid(f"cc must be a country code of 1 to {CC_DIGITS} digits")
    try:
        wa_id(cc + phone_number)
    except ValueError as error:
        raise ParameterInvalid(f"phone_number is not valid: {error}") from None
    return cc, phone_number


def _check_same(account: Account, cc: str, phone_number: str) -> None:
    if (account.cc, account.phone_number) != (cc, phone_number):
        raise NumberTaken("another number is registered here: one cluster serves one number")


async def _renew_certificate(context: Context, number: int, account: Account, cert: str) -> None:
    """Store a newer certificate of the registered phone number; an invalid one is refused."""
    if context.config.any_cert:
        check_form(cert)
        return
    if cert == account.cert or account.authority_key is None:
        return
    checked_certificate(cert, account.authority_key, account.cc + account.phone_number)
    if not await context.accounts.set_certificate(number, cert, account):
        raise NumberTaken("another number has been registered here in the meantime")


ROUTES = (
    Route(
        "POST",
        "/v1/account",
        Access.ADMIN,
        Scope.ADMIN,
        register,
        body=RegistrationRequest,
        answer=RegistrationAnswer,
        status=(202, 201),
        errors=(NumberTaken,),
        action="register",
    ),
    Route(
        "POST",
        "/v1/account/verify",
        Access.ADMIN,
        Scope.ADMIN,
        verify,
        body=VerifyRequest,
        status=(201,),
        errors=(NotFound, NumberTaken),
        action="verify registration",
    ),
)
