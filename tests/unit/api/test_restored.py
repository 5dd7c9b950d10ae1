"""The content of a backup is checked as the API checks requests."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from argon2 import PasswordHasher

from warouter.api.context import ApiConfig
from warouter.api.restored import checked
from warouter.store.account.accounts import ADMIN, USER
from warouter.tls.certificate import self_signed

PARAMETERS = "m=8,t=1,p=1"
HASH = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("Adm1n!passw")
ADMINISTRATOR = {"username": "admin", "password_hash": HASH, "role": ADMIN, "must_change": False}
CLERK = ADMINISTRATOR | {"username": "clerk", "role": USER}
BEARER = {"bearer": "secret"}


def saved(*users: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"settings": {}, "users": [ADMINISTRATOR, *users], "account": None} | changes


def setting(name: str, value: object) -> dict[str, Any]:
    return saved(settings={name: value})


def application(**fields: Any) -> dict[str, Any]:
    return setting("application", fields)


def provider(**fields: Any) -> dict[str, Any]:
    return setting("media_providers", {"providers": [{"name": "a", **fields}]})


def account(**changes: Any) -> dict[str, Any]:
    registered = {"cc": "49", "phone_number": "301234567", "registered_at": 1.0}
    return saved(
        account=registered | dict.fromkeys(("cert", "authority_key", "pin_hash")) | changes
    )


def costing(parameters: str) -> str:
    """A hash that costs as much to check."""
    assert PARAMETERS in HASH
    return HASH.replace(PARAMETERS, parameters)


REFUSED = [
    *(b"", b"{", b"[]", {}, saved(users=[])),
    saved(users=[{"username": "admin", "password_hash": "x", "role": "GOD"}]),
    saved(users=[ADMINISTRATOR | {"role": USER}]),
    *(
        saved(CLERK | {"username": name})
        for name in ("a\0b", "a:b!", "abc", "x" * 33, " clerk", "cl\nerk", "admin")
    ),
    saved(CLERK | {"role": ADMIN}),
    *(
        saved(CLERK | {"password_hash": password_hash})
        for password_hash in (
            *("x", HASH.replace("argon2id", "argon2i")),
            *map(costing, ("m=4194304,t=2,p=1", "m=65537,t=2,p=1", "m=19456,t=4000000,p=1")),
            *map(costing, ("m=19456,t=11,p=1", "m=65536,t=2,p=5", f"m={'9' * 5000},t=2,p=1")),
        )
    ),
    saved(account={"cc": "49"}),
    *(account(registered_at=at) for at in (1e300, -1)),
    *(account(cc="x"), account(phone_number="30-1234567"), account(cert="x" * 8193)),
    *(account(authority_key="?"), account(authority_key="AAAA")),
    account(pin_hash=costing("m=4194304,t=2,p=1")),
    *(setting("x" * 10, {"a": "\0"}), setting("profile", "text"), setting("application", [])),
    *(application(callback_persist="perhaps"), application(callback_backoff_delay_ms=0)),
    *(application(webhooks={"secrets": ["whsec_x"]}), application(webhooks=None)),
    application(webhooks={"registered": {"url": "https://a.example", "headers": {"Host": "b"}}}),
    *(
        application(webhooks={"url": url})
        for url in ("http://203.0.113.9/", "https://10.0.0.1/", "https://8.8.8.8:22/")
    ),
    setting("business_profile", {"address": 5}),
    setting("business_profile", {"description": "x" * 513}),
    setting("business_profile", {"websites": ["a", "b", "c"]}),
    setting("compliance_info", {"is_registered": []}),
    setting("compliance_info", {"entity_name": "x" * 257}),
    setting("profile_about", {"text": []}),
    setting("profile_about", {"text": "x" * 140}),
    *(provider(), provider(name="a/b", config=BEARER), provider(config={})),
    setting("external_certificate", {"chain": "a"}),
    setting("external_certificate", {"chain": "a", "key": "b"}),
    setting("webhook_ca", {"text": "a"}),
    setting("webhook_ca", {"pem": "-----BEGIN ü-----"}),
    setting("webhook_ca", {"pem": "nothing"}),
]


@pytest.mark.parametrize("content", REFUSED)
def test_settings_no_cluster_could_have_saved_are_refused(content: object) -> None:
    raw = content if isinstance(content, bytes) else msgspec.json.encode(content)
    with pytest.raises(ValueError, match=r"\S"):
        checked(raw, ApiConfig(), 1)


def test_settings_a_cluster_could_have_saved_are_taken() -> None:
    """The twin of the one above, without a fault."""
    chain, key = [part.decode() for part in self_signed("here", ["here"])]
    content = saved(
        CLERK | {"password_hash": costing("m=65536,t=10,p=4")},
        account=account(pin_hash=HASH)["account"],
        settings={
            "application": {"webhooks": {"url": "https://example.com/"}, "later": 1},
            "business_profile": {"description": "x" * 512, "websites": ["a", "b"]},
            "compliance_info": {"entity_name": "x" * 256},
            "profile_about": {"text": "x" * 139},
            "media_providers": {"providers": [{"name": "a", "config": BEARER}]},
            "external_certificate": {"chain": chain, "key": key},
            "webhook_ca": {"pem": chain},
            "of a later version": {"a": 1},
        },
    )
    found, warnings = checked(msgspec.json.encode(content), ApiConfig(), 1)
    assert warnings == []
    assert found.settings == content["settings"]
    assert [user.username for user in found.users] == ["admin", "clerk"]


def test_a_certificate_that_has_expired_since_is_a_warning() -> None:
    chain, key = [part.decode() for part in self_signed("here", ["here"], days=0)]
    content = setting("external_certificate", {"chain": chain, "key": key})
    _, (warning,) = checked(msgspec.json.encode(content), ApiConfig(), 1)
    assert "expired" in warning


def test_the_certificate_of_the_api_is_left_out_by_other_numbers() -> None:
    chain, key = [part.decode() for part in self_signed("here", ["here"])]
    content = setting("external_certificate", {"chain": chain, "key": key})
    found, (warning,) = checked(msgspec.json.encode(content), ApiConfig(), 2)
    assert found.settings == {}
    assert "left out" in warning
