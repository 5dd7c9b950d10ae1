"""The WhatsApp Business Account (WABA): its numbers, who hears its webhooks, and where."""

from __future__ import annotations

from warouter.cloud_settings import CloudSettings
from warouter.upstream.cloud.graph.calls import Calls
from warouter.upstream.cloud.graph.described import WebhookUrls
from warouter.upstream.cloud.graph.fields import nested, objects, text, word

_IDS = {"fields": "id", "limit": "100"}


class AccountCalls:
    """Calls about the account, and about our number of it. Each raises CallAway or CallRefused."""

    def __init__(self, cloud: CloudSettings, calls: Calls) -> None:
        self._number = cloud.phone_number_id
        self._account = cloud.waba_id
        self._calls = calls

    async def name(self) -> str:
        """The name that the business gave the account."""
        return text(await self._calls.get(self._account, {"fields": "id,name"}), "name")

    async def numbers(self) -> frozenset[str]:
        """The ids of its numbers."""
        numbers = self._calls.listed(f"{self._account}/phone_numbers", _IDS)
        return frozenset([word(one.get("id")) async for one in numbers])

    async def apps(self) -> frozenset[str]:
        """The ids of the apps that its webhooks are sent to."""
        found = objects(await self._calls.get(self._subscribed, {}), "data")
        return frozenset(word(nested(one, "whatsapp_business_api_data").get("id")) for one in found)

    async def subscribe(self) -> None:
        """Have webhooks sent to the token's app; an override of the account's URL ends by it."""
        await self._calls.post(self._subscribed, {})

    async def callbacks(self) -> WebhookUrls:
        """Where they are sent for our number."""
        asked = await self._calls.get(self._number, {"fields": "webhook_configuration"})
        found = nested(asked, "webhook_configuration")
        names = ("phone_number", "whatsapp_business_account", "application")
        return WebhookUrls(*(text(found, name) for name in names))

    async def override(self, url: str, verify_token: str) -> None:
        """Have those of our number sent to this URL, which Meta asks at once."""
        callback = {"override_callback_uri": url, "verify_token": verify_token}
        await self._calls.post(self._number, {"webhook_configuration": callback})

    @property
    def _subscribed(self) -> str:
        return f"{self._account}/subscribed_apps"
