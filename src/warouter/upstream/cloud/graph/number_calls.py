"""Calls of the Graph API about the number, and the account's templates."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, NamedTuple

from warouter.cloud_settings import CloudSettings
from warouter.upstream.cloud.graph.calls import Calls
from warouter.upstream.cloud.graph.described import LEVELS, STANDARD, VERIFIED, is_registered
from warouter.upstream.cloud.graph.failed import CallAway, CallFailed, CallRefused
from warouter.upstream.cloud.graph.fields import following, nested, text
from warouter.upstream.cloud.graph.health import Entity, entities_of
from warouter.upstream.cloud.graph.marketing import Marketing

_FIELDS = "status,quality_rating,throughput,health_status,name_status,verified_name"
_NAMED = "status,code_verification_status,display_phone_number,verified_name"
_ONBOARDING = "marketing_messages_onboarding_status"
_PAGE, _MOST_PAGES = "200", 100


class NumberFields(NamedTuple):
    """The number as the Graph API has it; texts are Meta's own words, "" for what it left out.

    ``level`` is messages a second, ``throughput`` its name. ``can_send`` is AVAILABLE, LIMITED or
    BLOCKED, the worst of the ``entities``.
    """

    status: str = ""
    level: float = STANDARD
    quality: str = ""
    name_status: str = ""
    can_send: str = ""
    throughput: str = ""
    entities: tuple[Entity, ...] = ()
    name: str = ""  # the display name that customers see
    storage: str = ""  # the status of its storage configuration

    @property
    def connected(self) -> bool:
        """True if the number is registered, and may send."""
        return is_registered(self.status)


class Named(NamedTuple):
    """Which number it is, and how far its registration has come; texts as in ``NumberFields``."""

    connected: bool
    verified: bool  # a code has shown that it is the business's
    number: str  # as people write it, with its country code
    name: str  # the display name that customers see


class NumberCalls:
    """Calls about one number. Each raises CallAway or CallRefused."""

    def __init__(
        self, cloud: CloudSettings, calls: Calls, marketing: Marketing | None = None
    ) -> None:
        self._number = cloud.phone_number_id
        self._account = cloud.waba_id
        self._calls = calls
        self._marketing = marketing or Marketing(on=False)
        self._stored_as = ""

    async def facts(self) -> NumberFields:
        """All of it, without what Meta refuses to tell."""
        found = await self._calls.fields(self._number, _FIELDS)
        health = nested(found, "health_status")
        return NumberFields(
            status=text(found, "status"),
            level=_level(found),
            quality=text(found, "quality_rating"),
            name_status=text(found, "name_status"),
            can_send=text(health, "can_send_message"),
            throughput=text(nested(found, "throughput"), "level"),
            entities=entities_of(health),
            name=text(found, "verified_name"),
            storage=await self._storage(),
        )

    async def _storage(self) -> str:
        """How long Meta repeats webhooks hangs on it; as it was said last where nobody says it."""
        with suppress(CallFailed):
            found = await self._calls.get(f"{self._number}/settings", {})
            self._stored_as = text(nested(found, "storage_configuration"), "status")
        return self._stored_as

    async def named(self) -> Named:
        """Read which number it is."""
        found = await self._calls.fields(self._number, _NAMED)
        return Named(
            is_registered(text(found, "status")),
            text(found, "code_verification_status") == VERIFIED,
            text(found, "display_phone_number"),
            text(found, "verified_name"),
        )

    async def level(self) -> float:
        """Read the number's level in messages a second."""
        return _level(await self._calls.get(self._number, {"fields": "throughput"}))

    async def probe(self) -> None:
        """Ask as little as there is: it returns if the token may use the number."""
        found = await self._calls.get(self._number, {"fields": "id"})
        if text(found, "id") != self._number:
            raise CallAway("the Graph API answered for another number")

    async def categories(self) -> dict[tuple[str, str], str]:
        """The category of each template by its name and language: AUTHENTICATION, MARKETING, …
        Who chooses the edge of marketing templates learns of it.
        """
        found: dict[tuple[str, str], str] = {}
        query = {"fields": "name,language,category,status", "limit": _PAGE}
        for _ in range(_MOST_PAGES):
            page = await self._calls.get(f"{self._account}/message_templates", query)
            found.update(_categories(page))
            after = following(page)
            if not after or after == query.get("after"):
                break
            query = {**query, "after": after}
        if self._marketing.on:
            self._marketing.learn(found, onboarded=await self._onboarded())
        return found

    async def _onboarded(self) -> bool:
        """True if the account may use ``marketing_messages``."""
        try:
            found = await self._calls.get(self._account, {"fields": _ONBOARDING})
        except CallRefused:
            return False
        return text(found, _ONBOARDING) == "ONBOARDED"


class RegistrationCalls:
    """The steps by which the number is registered. Each raises CallAway or CallRefused."""

    def __init__(self, cloud: CloudSettings, calls: Calls) -> None:
        self._number = cloud.phone_number_id
        self._calls = calls

    async def request_code(self, method: str) -> None:
        """Have a code sent to the number by ``SMS`` or ``VOICE``."""
        asked = {"code_method": method, "language": "en_US"}
        await self._calls.post(f"{self._number}/request_code", asked)

    async def verify_code(self, code: str) -> None:
        """Show with the code that the number is the business's."""
        await self._calls.post(f"{self._number}/verify_code", {"code": code})

    async def register(self, pin: str) -> None:
        """Register the verified number; ``pin`` is that of its two-step verification, and becomes
        it where it had none.
        """
        fields = {"messaging_product": "whatsapp", "pin": pin}
        await self._calls.post(f"{self._number}/register", fields)

    async def deregister(self) -> None:
        """Take the number off: it sends and hears nothing until it is registered again."""
        await self._calls.post(f"{self._number}/deregister", {})

    async def set_pin(self, pin: str) -> None:
        """Change the pin of two-step verification."""
        await self._calls.post(self._number, {"pin": pin})


class SettingsCalls:
    """Settings of the number. Each call raises CallAway or CallRefused."""

    def __init__(self, cloud: CloudSettings, calls: Calls) -> None:
        self._number = cloud.phone_number_id
        self._calls = calls

    async def check_identity(self, on: bool) -> None:
        """Have webhooks show the hash of each customer's identity, and the hash in a message
        compared with it.
        """
        change = {"user_identity_change": {"enable_identity_key_check": on}}
        await self._calls.post(f"{self._number}/settings", change)


def _categories(page: dict[str, Any]) -> dict[tuple[str, str], str]:
    data = page.get("data")
    templates = [one for one in data if isinstance(one, dict)] if isinstance(data, list) else []
    return {
        (text(one, "name"), text(one, "language")): text(one, "category")
        for one in templates
        if text(one, "name") and text(one, "category")
    }


def _level(found: dict[str, Any]) -> float:
    return LEVELS.get(text(nested(found, "throughput"), "level"), STANDARD)
