"""The node of the phone number: fields, registration, settings.

Each handler takes the parameters of a call, those of the query and of the body together, and
returns what is answered as JSON; GraphError refuses.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgspec

from warouter.lab.simulator.cloud.facts import CloudFacts
from warouter.lab.simulator.cloud.faults import CloudFaults
from warouter.lab.simulator.cloud.graph.errors import PARAMETER, GraphError
from warouter.lab.simulator.cloud.graph.health import health_status
from warouter.lab.simulator.number_authority import Declined, NumberAuthority

Given = dict[str, Any]

SUCCESS: Given = {"success": True}
_PIN, _CODE, _WAIT = 133005, 136025, 133008
_TOO_MANY = 133016
_REGISTRATIONS, _REGISTRATIONS_S = 10, 72 * 3600.0
_GUESSES, _GUESSES_S = 5, 900.0
_HIGH = 1000
# Meta has these fields and leaves them out of an answer when there is nothing to say.
_OMITTED = frozenset(
    {
        "certificate",
        "conversational_automation",
        "country_code",
        "country_dial_code",
        "eligibility_for_api_business_global_search",
        "is_official_business_account",
        "is_on_biz_app",
        "is_preverified_number",
        "last_onboarded_time",
        "new_certificate",
        "new_name_status",
        "quality_score",
        "search_visibility",
        "username",
    }
)
_NAMED = ("APPROVED", "AVAILABLE_WITHOUT_REVIEW")
_USUAL = ("verified_name", "display_phone_number", "quality_rating", "id")


class CallbackUrls(msgspec.Struct):
    """The URLs that webhooks of messages go to, each "" if it is not set."""

    number: str = ""
    account: str = ""
    application: str = ""

    @property
    def override(self) -> str:
        """The one that goes before the app's, "" for that."""
        return self.number or self.account

    def shown(self) -> Given:
        """The URLs as ``webhook_configuration`` has them: Meta leaves out what is not set."""
        named = {
            "phone_number": self.number,
            "whatsapp_business_account": self.account,
            "application": self.application,
        }
        return {name: url for name, url in named.items() if url}


class NumberNode:
    """The number's state; it begins registered and connected."""

    def __init__(
        self, facts: CloudFacts, numbers: NumberAuthority, switches: Callable[[], CloudFaults]
    ) -> None:
        self._facts = facts
        self._numbers = numbers
        self._switches = switches
        self._pin = ""
        self._registered_at: list[float] = []
        self._guessed_at: list[float] = []
        self.settings: Given = {}
        self.registered = True
        self.verified = True
        self.callbacks = CallbackUrls()

    @property
    def checks_identity(self) -> bool:
        """True if the identity hash of a message must be the customer's."""
        change = self.settings.get("user_identity_change")
        return isinstance(change, dict) and bool(change.get("enable_identity_key_check"))

    def fields(self, given: Given) -> Given:
        """GET of the node."""
        asked = [name.split("{")[0] for name in str(given.get("fields", "")).split(",") if name]
        known = self._fields()
        if unknown := [name for name in asked if name not in known and name not in _OMITTED]:
            raise GraphError(PARAMETER, f"Tried accessing nonexisting field ({unknown[0]})")
        shown = {name: known[name] for name in (*(asked or _USUAL), "id") if name in known}
        return {name: value for name, value in shown.items() if value != {}}

    def set_pin(self, given: Given) -> Given:
        """POST of the node: the two-step pin."""
        self._pin = _pin(given)
        return SUCCESS

    def request_code(self, given: Given) -> Given:
        """Send a code, which the control port shows as an SMS would."""
        method = given.get("code_method")
        if method not in ("SMS", "VOICE"):
            raise GraphError(PARAMETER, "Param code_method must be one of {SMS, VOICE}")
        if not given.get("language"):
            raise GraphError(PARAMETER, "The parameter language is required.")
        try:
            self._numbers.request(self._facts.number, method.lower(), None, time.monotonic())
        except Declined as no:
            raise GraphError(_TOO_MANY, no.sentence) from None
        return SUCCESS

    def verify_code(self, given: Given) -> Given:
        """The code that was sent."""
        try:
            self._numbers.verify(self._facts.number, str(given.get("code", "")), time.monotonic())
        except Declined as no:
            raise GraphError(_CODE, no.sentence) from None
        self.verified = True
        return SUCCESS

    def register(self, given: Given) -> Given:
        """Register with the pin, which becomes the two-step pin if there was none."""
        if given.get("messaging_product") != "whatsapp":
            raise GraphError(PARAMETER, "The parameter messaging_product is required.")
        pin, now = _pin(given), time.monotonic()
        lately = [at for at in self._registered_at if now - at < _REGISTRATIONS_S]
        if len(lately) >= _REGISTRATIONS:
            raise GraphError(_TOO_MANY)
        self._registered_at = [*lately, now]
        self._check_pin(pin, now)
        if not self.verified:
            raise GraphError(_CODE, "The number is not verified.")
        self._pin = pin
        self.registered = True
        return SUCCESS

    def _check_pin(self, pin: str, now: float) -> None:
        """The pin must be that of two-step verification. How often and for how long it may be
        guessed is not documented.
        """
        self._guessed_at = [at for at in self._guessed_at if now - at < _GUESSES_S]
        if len(self._guessed_at) >= _GUESSES:
            raise GraphError(_WAIT)
        if self._pin and pin != self._pin:
            self._guessed_at.append(now)
            raise GraphError(_PIN)
        self._guessed_at = []

    def deregister(self, given: Given) -> Given:
        """The number sends nothing until it is registered again."""
        self.registered = False
        self.verified = False
        return SUCCESS

    def get_settings(self, given: Given) -> Given:
        return self.settings

    def set_settings(self, given: Given) -> Given:
        """Settings by their name; nothing but the identity check has an effect."""
        self.settings |= given
        return SUCCESS

    def _fields(self) -> Given:
        switches = self._switches()
        own = "CONNECTED" if self.registered else "DISCONNECTED"
        # No limit is shown as the higher level: clients know no third one that is faster.
        high = switches.level >= _HIGH or not switches.level
        return {
            "id": self._facts.phone_number_id,
            "display_phone_number": f"+{self._facts.number}",
            "verified_name": self._facts.name,
            "status": switches.number_status or own,
            "quality_rating": switches.quality,
            "throughput": {"level": "HIGH" if high else "STANDARD"},
            "health_status": health_status(
                self._facts,
                switches.health,
                registered=self.registered,
                named=switches.name_status in _NAMED,
            ),
            "name_status": switches.name_status,
            "code_verification_status": "VERIFIED" if self.verified else "NOT_VERIFIED",
            "platform_type": "CLOUD_API" if self.registered else "NOT_APPLICABLE",
            "account_mode": "LIVE",
            "is_pin_enabled": bool(self._pin),
            "whatsapp_business_manager_messaging_limit": "TIER_UNLIMITED",
            "messaging_limit_tier": "TIER_UNLIMITED",
            "webhook_configuration": self.callbacks.shown(),
        }


def _pin(given: Given) -> str:
    pin = str(given.get("pin", ""))
    if len(pin) != 6 or not (pin.isascii() and pin.isdigit()):
        raise GraphError(PARAMETER, "Param pin must be 6 digits")
    return pin
