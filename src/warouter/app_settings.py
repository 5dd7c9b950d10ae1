"""settings/application: its fields, defaults and ranges. Pure.

Only what a client set is stored; ``effective`` lays it over the defaults. The webapp writes them,
coreapps follow them; docs/api.md says which of them steer what.
"""

from __future__ import annotations

import ipaddress
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec

from warouter.registered_webhook import REGISTERED
from warouter.signature import key_of

# Names in table `setting`, whose changes webapps and coreapps follow.
APPLICATION = "application"
BUSINESS_PROFILE = "business_profile"
COMPLIANCE_INFO = "compliance_info"
PROFILE_ABOUT = "profile_about"
MEDIA_PROVIDERS = "media_providers"
EXTERNAL_CERTIFICATE = "external_certificate"
WEBHOOK_CA = "webhook_ca"
# In the stored `webhooks` only: since when these secrets sign. Clients neither set nor see it.
_SECRETS_AT = "secrets_at"

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_IPV6_GLOBAL = ipaddress.IPv6Network("2000::/3")
_RELAY = ipaddress.IPv4Network("192.88.99.0/24")  # 6to4 relays
_DAY_MS = 24 * 3600 * 1000
_URL_CHARS = 2048
_DOTS = str.maketrans("\u3002\uff0e\uff61", "...")
_BOUND = "has a port that is not allowed by WAROUTER_WEBHOOK_PORTS"

Milliseconds = Annotated[int, msgspec.Meta(ge=1, le=_DAY_MS)]
Seconds = Annotated[int, msgspec.Meta(ge=1, le=24 * 3600)]
MediaType = Literal["image", "video", "voice", "sticker", "audio", "document"]


SWITCHED = ("sent", "delivered", "read")  # the statuses that have a switch


class StatusSwitches(msgspec.Struct, frozen=True, kw_only=True):
    """The statuses that the webhook gets; it always gets ``failed``."""

    sent: bool = False
    delivered: bool = True
    read: bool = True


class Webhooks(msgspec.Struct, frozen=True, kw_only=True):
    url: str = ""  # empty: no webhook
    max_concurrent_requests: Literal[6, 12, 18, 24] = 6
    message: StatusSwitches = StatusSwitches()
    # Ours: callbacks are signed with each of them; two while one replaces the other.
    secrets: Annotated[tuple[str, ...], msgspec.Meta(max_length=2)] = ()

    def __post_init__(self) -> None:
        for secret in self.secrets:
            key_of(secret)


class MediaSettings(msgspec.Struct, frozen=True, kw_only=True):
    auto_download: tuple[MediaType, ...] = (
        "image",
        "video",
        "voice",
        "sticker",
        "audio",
        "document",
    )


class GarbageCollector(msgspec.Struct, frozen=True, kw_only=True):
    messages: bool = True
    media: bool = False


class ApplicationSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The fields under their wire names. Delays are in milliseconds, intervals in seconds."""

    callback_persist: bool = True
    callback_backoff_delay_ms: Milliseconds = 3_000
    max_callback_backoff_delay_ms: Milliseconds = 900_000
    media: MediaSettings = MediaSettings()
    webhooks: Webhooks = Webhooks()
    sent_status: bool = False  # the older switch for `sent`
    pass_through: bool = False  # as in the product from v2.35 it cannot be turned on
    garbagecollector_enable: GarbageCollector = GarbageCollector()
    db_garbagecollector_enable: bool = True  # the older name of garbagecollector_enable.messages
    heartbeat_interval: Seconds = 5  # kept for clients; the pace of failover is not set here
    unhealthy_interval: Seconds = 30
    notify_user_change_number: bool = True
    show_security_notifications: bool = False
    skip_referral_media_download: bool = False
    webhook_payload_conversation_pricingmodel_disabled: bool = False
    axolotl_context_striping_disabled: bool = False
    on_call_pager: str = ""
    tcp_listen_address: str = "any"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    verbose_logging: bool = False

    def reports(self, status: str) -> bool:
        """True if the webhook gets statuses of this name."""
        message = self.webhooks.message
        match status:
            case "sent":
                return message.sent or self.sent_status
            case "delivered":
                return message.delivered
            case "read":
                return message.read
            case _:
                return True


def effective(stored: Mapping[str, Any]) -> ApplicationSettings:
    """The defaults, overridden by the stored fields."""
    return msgspec.convert(stored, ApplicationSettings, strict=False)


def merge(stored: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """``stored`` with the fields of ``patch``: unknown ones are
    dropped, null leaves a field unchanged.

    Numbers and booleans may come as strings. msgspec.ValidationError names a field that has a wrong
    type or is out of range.
    """
    given = _without_nulls(patch)
    typed = msgspec.to_builtins(msgspec.convert(given, ApplicationSettings, strict=False))
    return _registered_elsewhere(_laid_over(stored, _agreed(_same_keys(given, typed))))


def dated(stored: Mapping[str, Any], changed: dict[str, Any], now: str) -> dict[str, Any]:
    """``changed``, which replaces ``stored``, with the time if other secrets sign from now on."""
    if _secrets(changed) == _secrets(stored):
        return changed
    return _laid_over(changed, {"webhooks": {_SECRETS_AT: now}})


def with_secret(stored: Mapping[str, Any], secret: str, now: str) -> dict[str, Any]:
    """The newest secret and this one sign from now on."""
    secrets = [one for one in _secrets(stored) if one != secret]
    return _signed_by(stored, [*secrets[-1:], secret], now)


def without_older_secrets(stored: Mapping[str, Any], now: str) -> dict[str, Any]:
    """The stored settings with the newest secret alone, which signs from now on."""
    return _signed_by(stored, _secrets(stored)[-1:], now)


def log_level(stored: Mapping[str, Any]) -> str | None:
    """The logging level that is set, in upper case; None if none is."""
    settings = effective(stored)
    if settings.verbose_logging:
        return "DEBUG"
    return settings.log_level.upper() if stored.get("log_level") else None


def shown(settings: ApplicationSettings) -> dict[str, Any]:
    """The settings as a client may see them: the number of secrets, but no secret."""
    fields: dict[str, Any] = msgspec.to_builtins(settings)
    if secrets := fields["webhooks"].pop("secrets"):
        fields["webhooks"]["secrets_count"] = len(secrets)
    return fields


def webhook_url_problem(
    url: str,
    *,
    allow_http: bool,
    allow_private: Sequence[Network],
    ports: Collection[int] | None = None,
    listed_in: str = "WAROUTER_ALLOW_PRIVATE",
) -> str | None:
    """Why ``url`` cannot be a webhook, or None. Names are resolved and checked at delivery.

    ``ports`` (None: any) bind all but the networks of ``allow_private``, which are those of the
    variable ``listed_in``.
    """
    if len(url) > _URL_CHARS:
        return f"is longer than {_URL_CHARS} characters"
    if not url.isprintable() or " " in url or "\\" in url:
        return "has spaces, control characters or backslashes"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "is not a valid URL"
    if parts.scheme not in (("http", "https") if allow_http else ("https",)):
        return "must start with https://"
    if not host:
        return "has no host"
    if port is None:
        port = 443 if parts.scheme == "https" else 80
    bound = ports is not None and port not in ports
    # As an IDN is read: other letters, digits and dots may stand for those of an address.
    plain = unicodedata.normalize("NFKC", host).translate(_DOTS).lower()
    private = f"points to an address that is not public and not allowed by {listed_in}"
    return _host_problem(plain.rstrip("."), allow_private, private, bound=bound)


def is_listed(address: Address, allow_private: Sequence[Network]) -> bool:
    """True if an operator listed the address's network, where any port is allowed."""
    real = _real(address)
    return any(real in network for network in allow_private)


def is_allowed(address: Address, allow_private: Sequence[Network]) -> bool:
    """True if we may connect to this address: public ones, and listed ones."""
    if is_listed(address, allow_private):
        return True
    real = _real(address)
    if real.is_multicast or not real.is_global:
        return False
    if isinstance(real, ipaddress.IPv6Address):
        # All that is routed lies in here; what translates to IPv4 (64:ff9b::/96) does not.
        return real in _IPV6_GLOBAL
    return real not in _RELAY


def _real(address: Address) -> Address:
    """The IPv4 address of a mapped or 6to4 IPv6 address."""
    if isinstance(address, ipaddress.IPv6Address):
        return address.ipv4_mapped or address.sixtofour or address
    return address


def _host_problem(
    host: str, allow_private: Sequence[Network], private: str, *, bound: bool
) -> str | None:
    """Why callbacks may not go to this host. ``bound``: its port is for listed addresses only;
    ``private`` is said of an address that is not public.
    """
    if host == "localhost" or host.endswith(".localhost"):
        host = "127.0.0.1"
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        # What resolvers read as an address all the same (2130706433, 0x7f.1) is no name either.
        last = host.rpartition(".")[2]
        if not last or last.isdigit() or last.lower().startswith("0x"):
            return "has a host that is neither a host name nor an IP address in its usual form"
        return _BOUND if bound and not allow_private else None
    if is_listed(address, allow_private):
        return None
    if is_allowed(address, allow_private):
        return _BOUND if bound else None
    return private


def _signed_by(stored: Mapping[str, Any], secrets: list[str], now: str) -> dict[str, Any]:
    return dated(stored, _laid_over(stored, {"webhooks": {"secrets": secrets}}), now)


def _secrets(stored: Mapping[str, Any]) -> list[str]:
    webhooks = stored.get("webhooks")
    found = webhooks.get("secrets") if isinstance(webhooks, Mapping) else None
    return [one for one in found if isinstance(one, str)] if isinstance(found, list | tuple) else []


def _without_nulls(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _without_nulls(v) for k, v in value.items() if v is not None}
    return value


def _same_keys(given: Mapping[str, Any], typed: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of ``typed``, which has all, that were given."""
    return {
        key: _same_keys(given[key], value)
        if isinstance(value, dict) and isinstance(given[key], Mapping)
        else value
        for key, value in typed.items()
        if key in given
    }


def _agreed(given: dict[str, Any]) -> dict[str, Any]:
    """Fields with two names get one value (the newer name's), and pass_through is removed."""
    collector = given.get("garbagecollector_enable", {})
    messages = collector.get("messages", given.get("db_garbagecollector_enable"))
    if messages is not None:
        given["db_garbagecollector_enable"] = messages
        given["garbagecollector_enable"] = {**collector, "messages": messages}
    if "pass_through" in given:
        given["pass_through"] = False
    return given


def _registered_elsewhere(merged: dict[str, Any]) -> dict[str, Any]:
    """``merged`` without what a client registered for another URL than the one in it."""
    webhooks = merged.get("webhooks")
    if not isinstance(webhooks, Mapping):
        return merged
    found = webhooks.get(REGISTERED)
    if not isinstance(found, Mapping) or found.get("url") == webhooks.get("url"):
        return merged
    return {**merged, "webhooks": {k: v for k, v in webhooks.items() if k != REGISTERED}}


def _laid_over(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        if isinstance(value, dict) and isinstance(old, Mapping):
            value = _laid_over(old, value)
        merged[key] = value
    return merged
