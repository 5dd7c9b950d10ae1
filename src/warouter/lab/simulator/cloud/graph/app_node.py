"""The node of the app, and what there is to know of a token.

Handlers as in ``number_node``. The app's own token, ``{app-id}|{app-secret}``, is taken here and
nowhere else.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from warouter.lab.simulator.cloud.facts import CloudFacts
from warouter.lab.simulator.cloud.faults import CloudFaults
from warouter.lab.simulator.cloud.graph.errors import PARAMETER, TOKEN, GraphError
from warouter.lab.simulator.cloud.graph.number_node import CallbackUrls, Given
from warouter.lab.simulator.cloud.graph.tokens import BearerTokens

DEBUG, APP = "debug_token", "app"
MESSAGING, MANAGEMENT = "whatsapp_business_messaging", "whatsapp_business_management"
SCOPES = (MANAGEMENT, MESSAGING)
FIELDS = (
    "messages",
    "account_update",
    "account_alerts",
    "phone_number_quality_update",
    "message_template_status_update",
)
_ISSUED, _USER = 1_712_099_387, "104169029247128"


class AppNode:
    """The app that every token was made for."""

    def __init__(
        self,
        facts: CloudFacts,
        tokens: BearerTokens,
        callbacks: CallbackUrls,
        switches: Callable[[], CloudFaults],
    ) -> None:
        self._facts = facts
        self._callbacks = callbacks
        self._tokens = tokens
        self._switches = switches
        self.nodes = (facts.app_id, APP, DEBUG)  # those that the app's own token may ask

    def fields(self, given: Given) -> Given:
        """GET of the node, by its id or as ``app``."""
        known = {"id": self._facts.app_id, "name": self._facts.name, "link": self._link()}
        asked = [name for name in str(given.get("fields", "")).split(",") if name]
        if unknown := [name for name in asked if name not in known]:
            raise GraphError(PARAMETER, f"Tried accessing nonexisting field ({unknown[0]})")
        return {name: known[name] for name in dict.fromkeys((*(asked or known), "id"))}

    def subscriptions(self, given: Given) -> Given:
        """The fields that webhooks are sent of; Meta says it to the app's own token alone."""
        missing = self._switches().missing_fields
        fields = [{"name": f, "version": "v25.0"} for f in FIELDS if f not in missing]
        webhooks = {
            "object": "whatsapp_business_account",
            "callback_url": self._callbacks.application,
            "active": True,
            "fields": fields,
        }
        return {"data": [webhooks] if fields else []}

    def debug_token(self, given: Given) -> Given:
        """Say what the token ``input_token`` may do, and until when."""
        token = str(given.get("input_token", ""))
        if not token:
            raise GraphError(PARAMETER, "The parameter input_token is required.")
        if self._tokens.is_app(token):
            return {"data": self._named("APP") | {"is_valid": True, "scopes": []}}
        return {"data": self._of_user(self._tokens.is_user(token))}

    def scopes(self) -> list[str]:
        """The permissions of every token."""
        return [scope for scope in SCOPES if scope not in self._switches().missing_scopes]

    def _of_user(self, valid: bool) -> Given:
        faults = self._switches()
        scopes = self.scopes() if valid else []
        ends = faults.token_s + time.time() + faults.clock_s if faults.token_s else 0
        granted: Given = {"target_ids": list(faults.granted)} if faults.granted else {}
        found = self._named("SYSTEM_USER") | {
            "data_access_expires_at": 0,
            "expires_at": int(ends),
            "is_valid": valid,
            "issued_at": _ISSUED,
            "scopes": scopes,
            "granular_scopes": [{"scope": scope} | granted for scope in scopes],
            "user_id": _USER,
        }
        return found if valid else found | {"error": _ENDED}

    def _named(self, kind: str) -> Given:
        return {"app_id": self._facts.app_id, "type": kind, "application": self._facts.name}

    def _link(self) -> str:
        return f"https://www.facebook.com/games/?app_id={self._facts.app_id}"


_ENDED: Given = {
    "code": TOKEN,
    "message": "Error validating access token: the session has expired or was invalidated.",
    "subcode": 463,
}
