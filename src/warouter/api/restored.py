"""Checks the content of a backup as the API checks requests, because anybody may have written it.

Slow where there are certificates or many users: for a thread.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from warouter.access.names import DEFAULT_USERNAME, check_username
from warouter.access.passwords import hash_problem
from warouter.api.account.registration import CERT_CHARS, checked_number
from warouter.api.certificates import BUNDLE_BYTES, PAIR_BYTES, StoredBundle, StoredPair
from warouter.api.context import ApiConfig
from warouter.api.messages.rules import short
from warouter.api.profile.fields import (
    About,
    BusinessProfile,
    ComplianceInfo,
    check_about,
    check_compliance,
    check_profile,
)
from warouter.api.providers import StoredProviders, check_providers
from warouter.api.settings import check_webhook
from warouter.app_settings import (
    APPLICATION,
    BUSINESS_PROFILE,
    COMPLIANCE_INFO,
    EXTERNAL_CERTIFICATE,
    MEDIA_PROVIDERS,
    PROFILE_ABOUT,
    WEBHOOK_CA,
    ApplicationSettings,
    merge,
)
from warouter.cloud_number import FIRST
from warouter.errors import ApiError
from warouter.http.decode import decode
from warouter.registered_webhook import registered
from warouter.store.account.accounts import ADMIN, User
from warouter.store.account.backup import Saved, SavedAccount

KEY_BYTES = 32  # of the authority

_SAVED = msgspec.json.Decoder(Saved)


def checked(content: bytes, config: ApiConfig, number: int) -> tuple[Saved, list[str]]:
    """The part of a backup's content that the number takes, and warnings about it; ValueError if
    no cluster can work with it.
    """
    warnings: list[str] = []
    try:
        saved = decode(content, _SAVED)
        for name, value in saved.settings.items():
            _check_setting(name, value, config, warnings)
        if saved.account is not None:
            _check_account(saved.account)
        _check_users(saved.users)
    except (ApiError, msgspec.MsgspecError, TypeError) as error:
        raise ValueError(f"its content is invalid: {error}") from error
    if number != FIRST and saved.settings.pop(EXTERNAL_CERTIFICATE, None) is not None:
        warnings.append(
            "the certificate of the API was left out: only the first number of the installation"
            " sets it"
        )
    return saved, warnings


def _check_setting(name: str, value: Any, config: ApiConfig, warnings: list[str]) -> None:
    """Check a known setting; an unknown one, perhaps of a later version, is kept unchanged."""
    kind, check = _SETTINGS.get(name, (dict[str, Any], None))
    typed = msgspec.convert(value, kind, strict=False)
    if name == APPLICATION:
        check_webhook(config, merge({}, value))
        registered(value)
    elif name == EXTERNAL_CERTIFICATE:
        warnings.extend(_check_pair(typed))
    elif check is not None:
        check(typed)


def _check_pair(pair: StoredPair) -> list[str]:
    """Check the API's certificate; one that has expired since the backup is only a warning."""
    from warouter.tls import certificate  # loads what a webapp needs for these rare calls alone

    text = pair.chain + pair.key
    short(text, "the certificate", PAIR_BYTES)
    certificate.checked_pair(text)
    try:
        certificate.checked_pair(text, datetime.now(UTC))
    except ValueError as error:
        return [f"the certificate of the API cannot be used: {error}"]
    return []


def _check_bundle(bundle: StoredBundle) -> None:
    from warouter.tls import certificate

    short(bundle.pem, "the CA certificates for webhooks", BUNDLE_BYTES)
    if not bundle.pem.isascii():
        raise ValueError("the CA certificates for webhooks are not PEM: they must be ASCII text")
    certificate.checked_authorities(bundle.pem)


def _check_account(account: SavedAccount) -> None:
    if checked_number(account.cc, account.phone_number) != (account.cc, account.phone_number):
        raise ValueError("the registered number must be digits")
    short(account.cert, "the certificate of the registration", CERT_CHARS)
    if account.authority_key is not None and len(account.authority_key) != KEY_BYTES:
        raise ValueError(f"the authority's key must have {KEY_BYTES} bytes")
    if account.pin_hash is not None:
        _check_hash(account.pin_hash, "of the pin")


def _check_users(users: list[User]) -> None:
    """Require one administrator, and each name once."""
    names = {user.username for user in users}
    if len(names) != len(users):
        raise ValueError("a user is listed twice")
    if DEFAULT_USERNAME not in names:
        raise ValueError(f"it lacks the account {DEFAULT_USERNAME}")
    for user in users:
        check_username(user.username)
        if (user.role == ADMIN) != (user.username == DEFAULT_USERNAME):
            raise ValueError(f"{DEFAULT_USERNAME} must be an administrator, and the only one")
        _check_hash(user.password_hash, f"of user {user.username}")


def _check_hash(password_hash: str, whose: str) -> None:
    problem = hash_problem(password_hash)
    if problem is not None:
        raise ValueError(f"the hash {whose} cannot be used: {problem}")


# What is stored under each name: all that read it rely on it.
_SETTINGS: Mapping[str, tuple[Any, Callable[[Any], None] | None]] = {
    APPLICATION: (ApplicationSettings, None),
    BUSINESS_PROFILE: (BusinessProfile, check_profile),
    COMPLIANCE_INFO: (ComplianceInfo, check_compliance),
    PROFILE_ABOUT: (About, check_about),
    MEDIA_PROVIDERS: (StoredProviders, check_providers),
    EXTERNAL_CERTIFICATE: (StoredPair, None),
    WEBHOOK_CA: (StoredBundle, _check_bundle),
}
