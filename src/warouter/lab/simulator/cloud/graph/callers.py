"""Judges callers: with which token they call, and what that one may ask for."""

from __future__ import annotations

from collections.abc import Callable

from warouter.lab.simulator.cloud.counters import CloudCounters
from warouter.lab.simulator.cloud.facts import CloudFacts
from warouter.lab.simulator.cloud.faults import CloudFaults
from warouter.lab.simulator.cloud.graph.app_node import DEBUG, MANAGEMENT, MESSAGING, AppNode
from warouter.lab.simulator.cloud.graph.connection import GraphRequest
from warouter.lab.simulator.cloud.graph.errors import PARAMETER, TOKEN, GraphError
from warouter.lab.simulator.cloud.graph.tokens import BearerTokens
from warouter.lab.simulator.cloud.graph.uploads import PREFIX, SCHEME

_NOT_GRANTED, _APP_ONLY = 200, 15


class CallJudge:
    """Judges a call before its node is asked."""

    def __init__(
        self,
        facts: CloudFacts,
        counters: CloudCounters,
        tokens: BearerTokens,
        app: AppNode,
        switches: Callable[[], CloudFaults],
    ) -> None:
        self._facts = facts
        self._counters = counters
        self._tokens = tokens
        self._app = app
        self._switches = switches

    def is_app(self, request: GraphRequest) -> bool:
        """True for a call with the app's own token, False for one with a user's; GraphError for
        any other.
        """
        said = request.fields.get(b"authorization", b"").decode(errors="replace")
        kind, _, token = said.partition(" ")
        known = kind.lower() == (SCHEME if _is_upload(request) else "bearer")
        if known and self._tokens.is_user(token.strip()):
            return False
        if known and self._tokens.is_app(token.strip()):
            return True
        self._counters.unauthorized += 1
        raise GraphError(TOKEN)

    def check(self, by_app: bool, node: str, edge: str) -> None:
        """GraphError unless this caller may ask there."""
        if by_app:
            if node not in self._app.nodes:
                raise GraphError(_NOT_GRANTED)
            return
        if (node, edge) == (self._facts.app_id, "subscriptions"):
            raise GraphError(_APP_ONLY, "This method must be called with an app access_token.")
        switches = self._switches()
        if node == DEBUG and switches.no_debug_token:
            raise GraphError(PARAMETER, "You must provide an app access token, or a developer's")
        missing = switches.missing_scopes
        if not missing:
            return
        needed = MANAGEMENT if node == self._facts.waba_id else ""
        if node == self._facts.phone_number_id and edge in ("messages", "media"):
            needed = MESSAGING
        if needed in missing:
            raise GraphError(_NOT_GRANTED, f"The permission {needed} is required.")


def _is_upload(request: GraphRequest) -> bool:
    """True if the request is about a session of an upload."""
    return f"/{PREFIX}" in request.target.split("?", 1)[0]
