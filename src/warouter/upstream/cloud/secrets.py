"""The secrets of the Cloud API, each from a variable or from a file that is followed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar

from warouter.background import rest
from warouter.cloud_number import FIRST, CloudApp, NumberCloud
from warouter.secret import Followed
from warouter.upstream.cloud.secret_text import app_secrets_of, token_of, verify_token_of
from warouter.variables import SecretSource

EVERY_SECONDS = 2.0
_MOST_HASHES = 1_024
T = TypeVar("T")


class Secrets:
    """Those of all numbers and apps, each from when it is first used, and at once those of
    ``numbers``: raises ConfigError for one that cannot be read or used then.

    ``changes`` counts the values that became others: what was made of one is made anew.
    """

    def __init__(self, *numbers: NumberCloud) -> None:
        self._followed: dict[tuple[str, int], tuple[SecretSource, Followed[Any]]] = {}
        self.changes = 0
        for number in numbers:
            self.token(number)
            self.app_secrets(number.app)
            self.verify_token(number.app)

    def token(self, of: NumberCloud) -> str:
        return self._token(of).value

    def token_hash(self, of: NumberCloud) -> bytes:
        """SHA-256 of the number's token, by which a pause names it."""
        return _sha256(self.token(of))

    def app_secrets(self, app: CloudApp) -> tuple[str, ...]:
        """Any of them may have signed a webhook."""
        return self._of("WAROUTER_CLOUD_APP_SECRET", app.id, app.secrets, app_secrets_of).value

    def verify_token(self, app: CloudApp) -> str:
        name = "WAROUTER_CLOUD_VERIFY_TOKEN"
        return self._of(name, app.id, app.verify_token, verify_token_of).value

    def refresh(self, of: NumberCloud, *, anyway: bool = False) -> bool:
        """Read what has changed of a number and its app; ``anyway``, after a 401, what seems
        unchanged too.

        True if the token is another one.
        """
        before = self.token(of)
        for name, id in self._followed:
            if id == (of.id if name == _TOKEN else of.app.id):
                self._read(name, id, anyway=anyway)
        return self.token(of) != before

    async def follow(self) -> None:
        """Refresh all until cancelled."""
        while True:
            await rest(EVERY_SECONDS)
            for name, id in list(self._followed):
                self._read(name, id)

    def _token(self, of: NumberCloud) -> Followed[str]:
        return self._of(_TOKEN, of.id, of.token, token_of)

    def _of(
        self, name: str, id: int, source: SecretSource, parse: Callable[[str], T]
    ) -> Followed[T]:
        known = self._followed.get((name, id))
        if known is not None and known[0] == source:
            return known[1]
        said = name if id == FIRST else f"{name} of {id}"
        followed = Followed(said, source, parse)
        self._followed[name, id] = source, followed
        self.changes += known is not None
        return followed

    def _read(self, name: str, id: int, *, anyway: bool = False) -> None:
        _, followed = self._followed[name, id]
        before = followed.value
        followed.refresh(anyway=anyway)
        self.changes += followed.value != before

    def __repr__(self) -> str:
        return "Secrets(...)"


_TOKEN = "WAROUTER_CLOUD_TOKEN"


@lru_cache(maxsize=_MOST_HASHES)
def _sha256(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
