"""Which bearers are taken: tokens of a user of the business, and those of the app itself."""

from __future__ import annotations

import hmac
from collections.abc import Callable

from warouter.lab.simulator.cloud.facts import CloudFacts
from warouter.lab.simulator.cloud.faults import CloudFaults

_APART = "|"  # between the app's id and its secret, in the app's own token


class BearerTokens:
    """Judges tokens; those of a file are read anew, as they may be renewed."""

    def __init__(self, facts: CloudFacts, switches: Callable[[], CloudFaults]) -> None:
        self._facts = facts
        self._switches = switches
        self._known: frozenset[str] = frozenset(facts.tokens())

    def is_user(self, token: str) -> bool:
        """True for a token that may use the number."""
        faults = self._switches()
        if not token or faults.no_token or token in faults.expired_tokens or _APART in token:
            return False
        if token in self._known or token in faults.other_tokens:
            return True
        self._known = frozenset(self._facts.tokens())
        configured = self._facts.token or self._facts.token_file is not None
        return token in self._known or not configured

    def is_app(self, token: str) -> bool:
        """True for the app's own token: its id and one of its secrets."""
        faults = self._switches()
        if faults.no_token or faults.other_secret:
            return False
        app, _, secret = token.partition(_APART)
        given = secret.encode()
        known = [hmac.compare_digest(given, one.encode()) for one in self._facts.secrets()]
        return app == self._facts.app_id and any(known)
