"""What the Graph API says of the token, and of the app that it was made for."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from warouter.cloud_settings import CloudSettings
from warouter.upstream.cloud.graph.calls import CallAway, CallFailed, Calls
from warouter.upstream.cloud.graph.fields import objects, word
from warouter.upstream.cloud.secrets import Secrets

# What is answered to a token made of an id and a secret that do not belong together.
_NO_TOKEN = frozenset({101, 190})


class TokenFacts(NamedTuple):
    """What ``debug_token`` says; times are unix seconds, 0 for never or where it says nothing.

    ``kind`` is SYSTEM_USER, USER, …. ``granted`` has the ids of the accounts to which a permission
    is limited; one that is not among its keys is limited to none.
    """

    app_id: str
    valid: bool
    expires_at: int
    data_access_ends_at: int
    scopes: frozenset[str]
    kind: str = ""
    app_name: str = ""
    granted: Mapping[str, frozenset[str]] = MappingProxyType({})


class App:
    """Calls about the app and its token. Each raises CallAway or CallRefused."""

    def __init__(self, cloud: CloudSettings, calls: Calls, secrets: Secrets) -> None:
        self._cloud = cloud
        self._calls = calls
        self._secrets = secrets

    async def token(self) -> TokenFacts:
        """What the present token may do, and until when."""
        found = await self._calls.get("debug_token", {"input_token": self._secrets.token})
        data = found.get("data")
        if not isinstance(data, dict):
            raise CallAway("the Graph API says nothing of the token")
        return _facts(data)

    async def id(self) -> str:
        """The app of the present token, where ``token`` is refused."""
        return word((await self._calls.get("app", {"fields": "id"})).get("id"))

    async def has_secret(self, app_id: str, secret: str) -> bool:
        """True if the secret is this app's: its own token, which is made of both, is taken."""
        try:
            found = await self._calls.get_as(f"{app_id}|{secret}", app_id)
        except CallFailed as failed:
            if failed.judged is not None and failed.judged.meta_code in _NO_TOKEN:
                return False
            raise
        return word(found.get("id")) == app_id


def _facts(data: dict[str, Any]) -> TokenFacts:
    scopes = data.get("scopes")
    return TokenFacts(
        app_id=word(data.get("app_id")),
        valid=data.get("is_valid") is True,
        expires_at=_time(data.get("expires_at")),
        data_access_ends_at=_time(data.get("data_access_expires_at")),
        scopes=_ids(scopes),
        kind=word(data.get("type")),
        app_name=word(data.get("application")),
        granted=_granted(data),
    )


def _granted(data: dict[str, Any]) -> dict[str, frozenset[str]]:
    """Ids by permission; Meta leaves them out where the permission is for all accounts."""
    scopes = objects(data, "granular_scopes")
    granted = {word(one.get("scope")): _ids(one.get("target_ids")) for one in scopes}
    return {scope: ids for scope, ids in granted.items() if scope and ids}


def _ids(found: object) -> frozenset[str]:
    return frozenset(map(word, found)) - {""} if isinstance(found, list) else frozenset()


def _time(found: object) -> int:
    is_time = isinstance(found, int) and not isinstance(found, bool) and 0 < found < 1 << 40
    return int(str(found)) if is_time else 0
