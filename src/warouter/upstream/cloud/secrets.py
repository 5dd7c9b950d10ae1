"""The secrets of the Cloud API, each from a variable or from a file that is followed.

Who renews a file needs no restart. A file that cannot be read or used any more leaves the last
value in force and is logged once: half a file, as an editor may write it, costs nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
from collections.abc import Callable
from functools import lru_cache
from typing import Generic, TypeVar

from warouter.cloud_settings import CloudSettings, Source
from warouter.errors import ConfigError
from warouter.log import Outage
from warouter.upstream.cloud.secret_text import (
    MOST_CHARS,
    app_secrets_of,
    token_of,
    verify_token_of,
)

log = logging.getLogger(__name__)

EVERY_SECONDS = 2.0
T = TypeVar("T")


class Secrets:
    """All of them; raises ConfigError for one that cannot be read or used at the start."""

    def __init__(self, cloud: CloudSettings) -> None:
        self._token = _Followed("WAROUTER_CLOUD_TOKEN", cloud.token, token_of)
        self._app = _Followed("WAROUTER_CLOUD_APP_SECRET", cloud.app_secret, app_secrets_of)
        self._verify = _Followed("WAROUTER_CLOUD_VERIFY_TOKEN", cloud.verify_token, verify_token_of)

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
            secret.refresh(anyway)
        return self.token != before

    async def follow(self) -> None:
        """Refresh until cancelled."""
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            self.refresh()

    def __repr__(self) -> str:
        return "Secrets(...)"


class _Followed(Generic[T]):
    """One secret; ``name`` is its variable."""

    def __init__(self, name: str, source: Source, parse: Callable[[str], T]) -> None:
        self._name = name if source.value else f"{name}_FILE"
        self._path = source.path
        self._parse = parse
        self._seen: tuple[int, ...] = ()
        self._outage = Outage()
        try:
            self.value = self._read() if self._path else parse(source.value)
        except (OSError, ValueError) as error:
            where = f"{_place(self._path)}: " if self._path else ""
            raise ConfigError(f"{self._name} cannot be used: {where}{_reason(error)}.") from error

    def refresh(self, anyway: bool) -> None:
        if not self._path:
            return
        try:
            if anyway or _look(self._path) != self._seen:
                self._take(self._read())
            self._outage.ends()
        except (OSError, ValueError) as error:
            if self._outage.begins():
                said = {"setting": self._name, "error": _reason(error)}
                log.warning("secret file read failed", extra=said)

    def _take(self, value: T) -> None:
        if value != self.value:
            self.value = value
            log.info("secret changed", extra={"setting": self._name})

    def _read(self) -> T:
        # Looked at before it is read: what is written meanwhile is read again.
        look = _look(self._path)
        with open(self._path, "rb") as file:
            content = file.read(MOST_CHARS * 4)
        value = self._parse(content.decode("ascii", "replace"))
        self._seen = look
        return value


def _look(path: str) -> tuple[int, ...]:
    """What differs once a file was written or replaced."""
    found = os.stat(path)
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino


def _place(path: str) -> str:
    """A path as an operator finds it, who may not know from where it is looked up."""
    return path if os.path.isabs(path) else f"{path} (in {os.getcwd()})"


def _reason(error: Exception) -> str:
    return error.strerror or type(error).__name__ if isinstance(error, OSError) else str(error)


@lru_cache(maxsize=2)
def _sha256(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
