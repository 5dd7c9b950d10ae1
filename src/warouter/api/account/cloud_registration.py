"""Registers the number with Meta, whose Cloud API has no certificates, and always a pin.

The pin is the client's, or drawn here. It is kept encrypted: between the request for a code and its
verification, which another webapp may serve, and for whoever registers the number anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from warouter.api.account.shards import check_form
from warouter.api.graph_refusals import refusal
from warouter.cloud_number import NumberCloud
from warouter.errors import ApiError, ParameterInvalid, ParameterMissing, TooManyRequests
from warouter.store.account.accounts import Accounts
from warouter.upstream.cloud.graph.failed import CallFailed
from warouter.upstream.cloud.graph.number_calls import NumberCalls
from warouter.upstream.cloud.secrets import Secrets
from warouter.upstream.registration import RegisteredNumber, Registrar, Sent

PIN = "cloud_two_step"  # the setting that has it
REGISTRATIONS_SECONDS = 3600  # Meta lets a number be registered ten times in 72 h
GUESSES_SECONDS = 900  # Meta does not say for how long a pin that was guessed too often rests
_PIN_CODE, _TOO_MANY_CODE = 1005, 1015
_GUESSED = (133008, 133009)  # Meta's codes: the pin was not even looked at
_TWO_STEP = "pin is required because two-step verification is on: POST /v1/account with it"
_SAME_DIGITS = 8


class CloudRegistrar(Registrar):
    """Registers number ``of``. The first of its app's secrets seals the pin, each may open it."""

    def __init__(
        self, of: NumberCloud, number: NumberCalls, accounts: Accounts, secrets: Secrets
    ) -> None:
        self._of = of
        self._number = number
        self._accounts = accounts
        self._secrets = secrets

    async def send_code(
        self, number: str, cert: str, method: str, pin: str | None
    ) -> Sent | RegisteredNumber:
        """A number that is connected is registered, one that is verified gets registered."""
        check_form(cert)
        try:
            known = await self._number.named(self._of)
            _check_is_metas(number, known.number)
            if known.connected:
                return RegisteredNumber(None, two_step=False)
            await self._keep(pin)
            if not known.verified:
                await self._number.request_code(self._of, method.upper())
                return Sent(known.name)
        except CallFailed as error:
            raise _refused(error, "the number") from None
        return await self._register()

    async def verify(self, cert: str, code: str) -> RegisteredNumber:
        try:
            # Whoever did not hear the answer asks again, and its code has been used up.
            if (await self._number.named(self._of)).connected:
                return RegisteredNumber(None, two_step=(await self._kept())[1])
            await self._number.verify_code(self._of, code)
        except CallFailed as error:
            raise _refused(error, "code") from None
        return await self._register()

    async def set_pin(self, cert: str, pin: str | None) -> None:
        if pin is None:
            raise ParameterInvalid("the Cloud API cannot turn two-step verification off")
        try:
            await self._number.set_pin(self._of, pin)
        except CallFailed as error:
            raise _refused(error, "pin") from None
        await self._keep(pin)

    async def _register(self) -> RegisteredNumber:
        pin, given = await self._kept()
        try:
            await self._number.register(self._of, pin)
        except CallFailed as error:
            refusal = _refused(error, "the number")
            if error.judged is not None and error.judged.code == _PIN_CODE:
                await self._forget(pin)
                if not given:
                    refusal = ParameterMissing(_TWO_STEP)
            raise refusal from None
        return RegisteredNumber(None, two_step=given)

    async def _keep(self, pin: str | None) -> None:
        """Keep the client's pin; without one that which is kept, or else a drawn one."""
        # Only here: it loads 8 MiB that a webapp needs for rare calls alone.
        from warouter.upstream.cloud import pin as pins

        if pin is None and (await self._accounts.setting(self._of.id, PIN)).get("refused"):
            raise ParameterMissing(_TWO_STEP)  # Meta counts guesses
        secrets = self._secrets.app_secrets(self._of.app)

        def change(present: Mapping[str, Any]) -> dict[str, Any]:
            if pin is None and pins.opened(str(present.get("sealed", "")), secrets) is not None:
                return dict(present)
            text = pins.sealed(pin or pins.draw(), secrets[0])
            return {"sealed": text, "given": pin is not None}

        await self._accounts.change_setting(self._of.id, PIN, change)

    async def _forget(self, pin: str) -> None:
        """Forget a pin that was refused, to offer which again would be another guess; not the one
        that a call has set meanwhile.
        """
        from warouter.upstream.cloud import pin as pins

        secrets = self._secrets.app_secrets(self._of.app)

        def change(present: Mapping[str, Any]) -> dict[str, Any]:
            if pins.opened(str(present.get("sealed", "")), secrets) != pin:
                return dict(present)
            return {"refused": True}

        await self._accounts.change_setting(self._of.id, PIN, change)

    async def _kept(self) -> tuple[str, bool]:
        """The pin, and if a client gave it."""
        from warouter.upstream.cloud import pin as pins

        kept = await self._accounts.setting(self._of.id, PIN)
        pin = pins.opened(str(kept.get("sealed", "")), self._secrets.app_secrets(self._of.app))
        if pin is None:
            raise ParameterMissing("pin is required: call POST /v1/account with it once more")
        return pin, bool(kept.get("given"))


def _check_is_metas(asked: str, shown: str) -> None:
    """ParameterInvalid if ``asked`` (digits) is not the number that Meta shows: it would be stored
    here, and be another one than messages come from.

    Meta spells some numbers with a digit more or less behind the country code (Brazil, Mexico,
    Argentina), so that only what follows counts. What Meta does not show cannot be compared.
    """
    meant = "".join(filter(str.isdecimal, shown))
    if meant and (meant[:1], meant[-_SAME_DIGITS:]) != (asked[:1], asked[-_SAME_DIGITS:]):
        raise ParameterInvalid(
            f"cc and phone_number are not those of WAROUTER_CLOUD_PHONE_NUMBER_ID: that is {shown}"
        )


def _refused(error: CallFailed, what: str) -> ApiError:
    """The error that the client gets for a call that failed."""
    judged = error.judged
    if judged is not None:
        words = judged.details or judged.title
        if judged.meta_code in _GUESSED:
            return TooManyRequests(f"pin: {words}", retry_after=GUESSES_SECONDS)
        if judged.code == _PIN_CODE:
            return ParameterInvalid(f"pin is wrong: {words}")
        if judged.code == _TOO_MANY_CODE:
            return TooManyRequests(words, retry_after=REGISTRATIONS_SECONDS)
    return refusal(error, what)
