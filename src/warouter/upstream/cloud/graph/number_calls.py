"""Calls of the Graph API about the number, and the account's templates."""

from __future__ import annotations

from contextlib import suppress

from warouter.cloud_number import NumberCloud
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

    def __init__(self, calls: Calls, marketing: Marketing | None = None) -> None:
        self._calls = calls
        self._marketing = marketing or Marketing(on=False)
        self._stored_as: dict[int, str] = {}  # by number

    async def facts(self, of: NumberCloud) -> NumberFields:
        """All of it, without what Meta refuses to tell."""
        found = await self._calls.fields(of, of.phone_number_id, NUMBER_FIELDS)
        return number_fields(found)._replace(storage=await self._storage(of))

    async def _storage(self, of: NumberCloud) -> str:
        """How long Meta repeats webhooks hangs on it; as it was said last where nobody says it."""
        with suppress(CallFailed):
            found = await self._calls.get(of, f"{of.phone_number_id}/settings", {})
            self._stored_as[of.id] = text(nested(found, "storage_configuration"), "status")
        return self._stored_as.get(of.id, "")

    async def named(self, of: NumberCloud) -> NumberFields:
        """Read no more than which number it is, and how far its registration has come."""
        return number_fields(await self._calls.fields(of, of.phone_number_id, _NAMED))

    async def probe(self, of: NumberCloud) -> None:
        """Ask as little as there is: it returns if the token may use the number."""
        found = await self._calls.get(of, of.phone_number_id, {"fields": "id"})
        if text(found, "id") != of.phone_number_id:
            raise CallAway("the Graph API answered for another number")

    async def categories(self, of: NumberCloud) -> dict[tuple[str, str], str]:
        """The category of each template by its name and language: AUTHENTICATION, MARKETING, …
        Who chooses the edge of marketing templates learns of it.
        """
        found: dict[tuple[str, str], str] = {}
        query = {"fields": "name,language,category,status", "limit": _PAGE}
        async for template in self._calls.listed(of, f"{of.waba_id}/message_templates", query):
            name, category = text(template, "name"), text(template, "category")
            if name and category:
                found[name, text(template, "language")] = category
        if self._marketing.on:
            self._marketing.learn(of.id, found, onboarded=await self._onboarded(of))
        return found

    async def _onboarded(self, of: NumberCloud) -> bool:
        """True if the account may use ``marketing_messages``."""
        try:
            found = await self._calls.get(of, of.waba_id, {"fields": _ONBOARDING})
        except CallRefused:
            return False
        return text(found, _ONBOARDING) == "ONBOARDED"

    # the steps by which it is registered

    async def request_code(self, of: NumberCloud, method: str) -> None:
        """Have a code sent to the number by ``SMS`` or ``VOICE``."""
        asked = {"code_method": method, "language": "en_US"}
        await self._calls.post(of, f"{of.phone_number_id}/request_code", asked)

    async def verify_code(self, of: NumberCloud, code: str) -> None:
        """Show with the code that the number is the business's."""
        await self._calls.post(of, f"{of.phone_number_id}/verify_code", {"code": code})

    async def register(self, of: NumberCloud, pin: str) -> None:
        """Register the verified number; ``pin`` is its two-step verification's, or becomes it."""
        fields = {"messaging_product": "whatsapp", "pin": pin}
        await self._calls.post(of, f"{of.phone_number_id}/register", fields)

    async def deregister(self, of: NumberCloud) -> None:
        """Take the number off: it sends and hears nothing until it is registered again."""
        await self._calls.post(of, f"{of.phone_number_id}/deregister", {})

    async def set_pin(self, of: NumberCloud, pin: str) -> None:
        """Change the pin of two-step verification."""
        await self._calls.post(of, of.phone_number_id, {"pin": pin})

    async def check_identity(self, of: NumberCloud, on: bool) -> None:
        """Have webhooks show each customer's identity hash, and a message's compared with it."""
        change = {"user_identity_change": {"enable_identity_key_check": on}}
        await self._calls.post(of, f"{of.phone_number_id}/settings", change)
