"""The secrets of the Cloud API, each from a variable or from a file that is followed."""

from __future__ import annotations

import hashlib
from functools import lru_cache

from warouter.background import rest
from warouter.cloud_settings import CloudSettings
from warouter.secret import Followed
from warouter.upstream.cloud.secret_text import app_secrets_of, token_of, verify_token_of

EVERY_SECONDS = 2.0


class Secrets:
    """All of them; raises ConfigError for one that cannot be read or used at the start."""

    def __init__(self, cloud: CloudSettings) -> None:
        self._token = Followed("WAROUTER_CLOUD_TOKEN", cloud.token, token_of)
        self._app = Followed("WAROUTER_CLOUD_APP_SECRET", cloud.app_secret, app_secrets_of)
        self._verify = Followed("WAROUTER_CLOUD_VERIFY_TOKEN", cloud.verify_token, verify_token_of)

    @property
    def token(self) -> str:
        return self._token.value

    @property
    def token_hash(self) -> bytes:
        """SHA-256 of the token, by which a pause names it."""
        return _sha256(self._token.value)

    @property
    def app_secrets(self) -> tuple[str, ...]:
        """Any of them may have signed a webhook."""
        return self._app.value

    @property
    def verify_token(self) -> str:
        return self._verify.value

    def refresh(self, *, anyway: bool = False) -> bool:
        """Read what has changed; ``anyway``, after a 401, what seems unchanged too.

        True if the token is another one.
        """
        before = self.token
        for secret in (self._token, self._app, self._verify):
            secret.refresh(anyway=anyway)
        return self.token != before

    async def follow(self) -> None:
        """Refresh until cancelled."""
        while True:
            await rest(EVERY_SECONDS)
            self.refresh()

    def __repr__(self) -> str:
        return "Secrets(...)"


@lru_cache(maxsize=2)
def _sha256(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
