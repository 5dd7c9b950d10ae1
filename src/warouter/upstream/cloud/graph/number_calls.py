"""Calls of the Graph API about the number, and the account's templates."""

from __future__ import annotations

from contextlib import suppress

from warouter.cloud_settings import CloudSettings
from warouter.upstream.cloud.graph.calls import Calls
from warouter.upstream.cloud.graph.described import NUMBER_FIELDS, NumberFields, number_fields
from warouter.upstream.cloud.graph.failed import CallAway, CallFailed, CallRefused
from warouter.upstream.cloud.graph.fields import nested, text
from warouter.upstream.cloud.graph.marketing import Marketing

_NAMED = "status,code_verification_status,display_phone_number,verified_name"
_ONBOARDING = "marketing_messages_onboarding_status"
_PAGE = "200"


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
        found = await self._calls.fields(self._number, NUMBER_FIELDS)
        return number_fields(found)._replace(storage=await self._storage())

    async def _storage(self) -> str:
        """How long Meta repeats webhooks hangs on it; as it was said last where nobody says it."""
        with suppress(CallFailed):
            found = await self._calls.get(f"{self._number}/settings", {})
            self._stored_as = text(nested(found, "storage_configuration"), "status")
        return self._stored_as

    async def named(self) -> NumberFields:
        """Read no more than which number it is, and how far its registration has come."""
        return number_fields(await self._calls.fields(self._number, _NAMED))

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
        async for template in self._calls.listed(f"{self._account}/message_templates", query):
            name, category = text(template, "name"), text(template, "category")
            if name and category:
                found[name, text(template, "language")] = category
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

    # the steps by which it is registered

    async def request_code(self, method: str) -> None:
        """Have a code sent to the number by ``SMS`` or ``VOICE``."""
        asked = {"code_method": method, "language": "en_US"}
        await self._calls.post(f"{self._number}/request_code", asked)

    async def verify_code(self, code: str) -> None:
        """Show with the code that the number is the business's."""
        await self._calls.post(f"{self._number}/verify_code", {"code": code})

    async def register(self, pin: str) -> None:
        """Register the verified number; ``pin`` is its two-step verification's, or becomes it."""
        fields = {"messaging_product": "whatsapp", "pin": pin}
        await self._calls.post(f"{self._number}/register", fields)

    async def deregister(self) -> None:
        """Take the number off: it sends and hears nothing until it is registered again."""
        await self._calls.post(f"{self._number}/deregister", {})

    async def set_pin(self, pin: str) -> None:
        """Change the pin of two-step verification."""
        await self._calls.post(self._number, {"pin": pin})

    async def check_identity(self, on: bool) -> None:
        """Have webhooks show each customer's identity hash, and a message's compared with it."""
        change = {"user_identity_change": {"enable_identity_key_check": on}}
        await self._calls.post(f"{self._number}/settings", change)
