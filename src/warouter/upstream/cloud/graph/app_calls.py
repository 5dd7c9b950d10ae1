"""Calls of the Graph API about the token, and the app that it was made for."""

from __future__ import annotations

from warouter.cloud_number import NumberCloud
from warouter.upstream.cloud.graph.calls import Calls
from warouter.upstream.cloud.graph.described import TokenFacts, token_facts
from warouter.upstream.cloud.graph.failed import CallAway, CallFailed
from warouter.upstream.cloud.graph.fields import digits, objects, text, word
from warouter.upstream.cloud.secrets import Secrets

# What is answered to a token made of an id and a secret that do not belong together.
_NO_TOKEN = frozenset({101, 190})
_WEBHOOKS = "whatsapp_business_account"


class App:
    """Calls about a number's app and its token. Each raises CallAway or CallRefused."""

    def __init__(self, calls: Calls, secrets: Secrets) -> None:
        self._calls = calls
        self._secrets = secrets

    async def token(self, of: NumberCloud, asker: str = "") -> TokenFacts:
        """Read what the present token may do, and until when.

        ``asker`` is the token that asks, the present one by default.
        """
        query = {"input_token": self._secrets.token(of)}
        if asker:
            found = await self._calls.get_as(of, asker, "debug_token", query)
        else:
            found = await self._calls.get(of, "debug_token", query)
        data = found.get("data")
        if not isinstance(data, dict):
            raise CallAway("the Graph API says nothing of the token")
        return token_facts(data)

    async def id(self, of: NumberCloud) -> str:
        """The app of the present token, where ``token`` is refused."""
        return digits((await self._calls.get(of, "app", {"fields": "id"})).get("id"))

    async def fields(self, of: NumberCloud, app_id: str, secret: str) -> frozenset[str]:
        """The fields that this app has webhooks sent of, which only its own token is told."""
        found = await self._calls.get_as(of, f"{app_id}|{secret}", f"{app_id}/subscriptions")
        subscribed = [one for one in objects(found, "data") if one.get("active")]
        ours = [one for one in subscribed if one.get("object") == _WEBHOOKS]
        return frozenset(text(field, "name") for one in ours for field in objects(one, "fields"))

    async def has_secret(self, of: NumberCloud, app_id: str, secret: str) -> bool:
        """True if the secret is this app's: its own token, which is made of both, is taken."""
        try:
            found = await self._calls.get_as(of, f"{app_id}|{secret}", app_id)
        except CallFailed as failed:
            if failed.judged is not None and failed.judged.meta_code in _NO_TOKEN:
                return False
            raise
        return word(found.get("id")) == app_id
