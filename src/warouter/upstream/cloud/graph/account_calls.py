"""The WhatsApp Business Account (WABA): its numbers, who hears its webhooks, and where."""

from __future__ import annotations

from warouter.cloud_number import NumberCloud
from warouter.upstream.cloud.graph.calls import Calls
from warouter.upstream.cloud.graph.described import WebhookUrls
from warouter.upstream.cloud.graph.fields import nested, objects, text, word

_IDS = {"fields": "id", "limit": "100"}


class AccountCalls:
    """Calls about the account of a number, and about the number as one of it. Each raises CallAway
    or CallRefused.
    """

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def name(self, of: NumberCloud) -> str:
        """The name that the business gave the account."""
        return text(await self._calls.get(of, of.waba_id, {"fields": "id,name"}), "name")

    async def numbers(self, of: NumberCloud) -> frozenset[str]:
        """The ids of its numbers."""
        numbers = self._calls.listed(of, f"{of.waba_id}/phone_numbers", _IDS)
        return frozenset([word(one.get("id")) async for one in numbers])

    async def apps(self, of: NumberCloud) -> frozenset[str]:
        """The ids of the apps that its webhooks are sent to."""
        found = objects(await self._calls.get(of, _subscribed(of), {}), "data")
        return frozenset(word(nested(one, "whatsapp_business_api_data").get("id")) for one in found)

    async def subscribe(self, of: NumberCloud) -> None:
        """Have webhooks sent to the token's app; an override of the account's URL ends by it."""
        await self._calls.post(of, _subscribed(of), {})

    async def callbacks(self, of: NumberCloud) -> WebhookUrls:
        """Where they are sent for the number."""
        asked = await self._calls.get(of, of.phone_number_id, {"fields": "webhook_configuration"})
        found = nested(asked, "webhook_configuration")
        names = ("phone_number", "whatsapp_business_account", "application")
        return WebhookUrls(*(text(found, name) for name in names))

    async def override(self, of: NumberCloud, url: str, verify_token: str) -> None:
        """Have those of the number sent to this URL, which Meta asks at once."""
        callback = {"override_callback_uri": url, "verify_token": verify_token}
        await self._calls.post(of, of.phone_number_id, {"webhook_configuration": callback})


def _subscribed(of: NumberCloud) -> str:
    return f"{of.waba_id}/subscribed_apps"
