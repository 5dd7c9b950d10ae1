"""Reads Meta's answers about the token, the number and its webhooks, as far as they go. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from warouter.flow.share import HIGH, SHARED, STANDARD
from warouter.upstream.cloud.graph.fields import digits, nested, objects, text, word
from warouter.upstream.cloud.graph.health import Entity, entities_of

CONNECTED, VERIFIED = "CONNECTED", "VERIFIED"
# It is registered and sends, but Meta limits it or is about to.
LIMITED = frozenset({"FLAGGED", "RESTRICTED", "RATE_LIMITED"})
# One that is shared with the WhatsApp Business app has no level of its own: not verified.
LEVELS = {"STANDARD": STANDARD, "HIGH": HIGH, "NOT_APPLICABLE": SHARED}
# The fields that ``number_fields`` reads.
NUMBER_FIELDS = (
    "display_phone_number,verified_name,status,quality_rating,name_status,throughput,"
    "code_verification_status,platform_type,health_status"
)
# For so long Meta repeats a webhook that was not answered 200; less where it stores no messages.
RETRY_SECONDS, RETRY_WITHOUT_STORAGE_SECONDS = 7 * 86_400, 3_600
LONGEST_URL = 200  # characters of a callback URL
_LAST = 253_402_300_800  # the year 10000


def is_registered(status: str) -> bool:
    """True if a number of this status may send."""
    return status == CONNECTED or status in LIMITED


def retry_seconds(storage: str) -> int:
    """For how long webhooks are repeated, by the status of the number's storage configuration."""
    return RETRY_WITHOUT_STORAGE_SECONDS if storage == "NO_STORAGE_ENABLED" else RETRY_SECONDS


class TokenFacts(NamedTuple):
    """The facts of ``debug_token``; times are unix seconds, 0 for never.

    ``kind`` is SYSTEM_USER, USER, …. ``granted`` has the ids of the accounts to which a permission
    is limited; one that is not among its keys is limited to none.
    """

    app_id: str
    valid: bool
    expires_at: int | None  # None: it does not say
    data_access_ends_at: int
    scopes: frozenset[str]
    kind: str = ""
    app_name: str = ""
    granted: Mapping[str, frozenset[str]] = MappingProxyType({})


class NumberFields(NamedTuple):
    """The number as the Graph API has it; texts are Meta's own words, "" for what it left out.

    ``can_send`` is AVAILABLE, LIMITED or BLOCKED, the worst of the ``entities``.
    """

    number: str = ""  # as people write it, with its country code
    name: str = ""  # the display name that customers see
    status: str = ""
    quality: str = ""
    name_status: str = ""
    throughput: str = ""  # the name of its level
    verification: str = ""
    platform: str = ""
    can_send: str = ""
    entities: tuple[Entity, ...] = ()
    storage: str = ""  # the status of its storage configuration

    @property
    def connected(self) -> bool:
        """True if the number is registered, and may send."""
        return is_registered(self.status)

    @property
    def verified(self) -> bool:
        """True if a code has shown that the number is the business's."""
        return self.verification == VERIFIED

    @property
    def level(self) -> float:
        """Messages a second, in and out."""
        return LEVELS.get(self.throughput, STANDARD)


class WebhookUrls(NamedTuple):
    """The URLs for webhooks of messages, each "" if it is not set."""

    number: str
    account: str
    application: str

    @property
    def used(self) -> str:
        """The one that Meta calls: the number's goes before the account's, that before the app's"""
        return self.number or self.account or self.application


def token_facts(data: dict[str, Any]) -> TokenFacts:
    """Read the object ``data`` of the answer."""
    scopes = data.get("scopes")
    return TokenFacts(
        app_id=digits(data.get("app_id")),
        valid=data.get("is_valid") is True,
        expires_at=_time(data.get("expires_at")),
        data_access_ends_at=_time(data.get("data_access_expires_at")) or 0,
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


def _time(found: object) -> int | None:
    """None for what is no time, or one that no calendar has."""
    is_time = isinstance(found, int) and not isinstance(found, bool) and 0 <= found < _LAST
    return int(str(found)) if is_time else None


def number_fields(found: dict[str, Any]) -> NumberFields:
    """Read the node of the number."""
    health = nested(found, "health_status")
    return NumberFields(
        number=text(found, "display_phone_number"),
        name=text(found, "verified_name"),
        status=text(found, "status"),
        quality=text(found, "quality_rating"),
        name_status=text(found, "name_status"),
        throughput=text(nested(found, "throughput"), "level"),
        verification=text(found, "code_verification_status"),
        platform=text(found, "platform_type"),
        can_send=text(health, "can_send_message"),
        entities=entities_of(health),
    )
