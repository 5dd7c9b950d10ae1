"""Credentials for fetching links, and the origins that they may be sent to. Pure.

A message of any user names a provider, so the link beside it decides nothing: credentials go to the
origins that an administrator named, over https, and nowhere else.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from yarl import URL

from warouter.errors import MediaRefused

_SECURE = "https"


class CredentialsRefused(MediaRefused):
    """The provider is unknown, or its credentials must not be sent to this link."""


class Credentials(NamedTuple):
    """``headers`` may be sent to the ``origins``, in the form of ``origin_of``."""

    provider: str
    headers: Mapping[str, str]
    origins: frozenset[str]

    def check(self, url: str) -> None:
        """Raises CredentialsRefused unless the credentials may be sent to the origin of ``url``."""
        if not self.origins:
            raise CredentialsRefused(
                f"the media provider {self.provider} has no origins: its credentials are not"
                " sent until an administrator names some"
            )
        origin = origin_of(url)
        if origin not in self.origins:
            raise CredentialsRefused(
                f"{origin} is not one of the origins of the media provider {self.provider}:"
                " its credentials are not sent there"
            )


def origin_of(url: str) -> str:
    """``https://host[:port]`` of the URL as the HTTP client reads it, or "" if it is not valid.

    Lower case, names as in DNS, the usual port left out: one spelling for each place.
    """
    try:
        return str(URL(url).origin())
    except ValueError:
        return ""


def checked_origin(text: str) -> str:
    """The normalised origin that an administrator gave; raises ValueError with the problem."""
    origin = origin_of(text)
    url = URL(text) if origin else URL()
    if not origin or not text.isprintable() or "\\" in text or " " in text:
        raise ValueError("must be https://host or https://host:port")
    if url.scheme != _SECURE:
        raise ValueError("must start with https://")
    # A path would promise a limit that is none: redirects and the server itself know no such thing.
    if url.user is not None or url.raw_path not in ("", "/") or url.query_string or url.fragment:
        raise ValueError("must be https:// with only a host and an optional port")
    return origin


def listed(stored: Any) -> list[Any]:
    """The providers in a stored setting; raises ValueError if it is not a list of them."""
    providers = stored.get("providers", []) if isinstance(stored, Mapping) else None
    if not isinstance(providers, list):
        raise ValueError("it is not a list of providers")
    return providers


def credentials(providers: Iterable[Any], name: str) -> Credentials:
    """The credentials of this provider; raises CredentialsRefused if there is none.

    ``providers`` are those of settings/application/media/providers as they are stored, which was
    perhaps not by the API.
    """
    stored = next((p for p in providers if isinstance(p, Mapping) and p.get("name") == name), None)
    if stored is None:
        raise CredentialsRefused(f"there is no media provider {name}")
    return Credentials(name, _headers(stored, name), _origins(stored.get("origins")))


def _headers(stored: Mapping[str, Any], name: str) -> dict[str, str]:
    match stored.get("config"):
        case {"bearer": str(token)}:
            value = f"Bearer {token}"
        case {"basic": {"username": str(user), "password": str(password)}}:
            pair = f"{user}:{password}".encode(errors="replace")
            value = f"Basic {base64.b64encode(pair).decode()}"
        case _:
            raise CredentialsRefused(
                f"the media provider {name} has no credentials that can be used"
            )
    if not value.isascii() or not value.isprintable():
        raise CredentialsRefused(f"the media provider {name} has no credentials that can be used")
    return {"Authorization": value}


def _origins(stored: Any) -> frozenset[str]:
    named = stored if isinstance(stored, list) else ()
    return frozenset(filter(None, map(_usable, named)))


def _usable(text: Any) -> str:
    try:
        return checked_origin(text) if isinstance(text, str) else ""
    except ValueError:
        return ""
