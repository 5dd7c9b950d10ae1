"""Settings as no API would store them: by hand, by a restore, by another build. JSON by name."""

from __future__ import annotations

import asyncpg

_SHAPES = ("[]", "5", '"x"', "null", "true", "[{}]", "1e999")
_TORN = r"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
APPLICATION = (
    *('{"webhooks": 5}', '{"webhooks": {"url": 7}}', '{"webhooks": {"secrets": ["x"]}}'),
    *('{"webhooks": {"url": "ftp://x"}}', '{"webhooks": {"url": "https://[::1/"}}'),
    *('{"log_level": "loud"}', '{"log_level": []}', '{"verbose_logging": "perhaps"}'),
    *('{"callback_backoff_delay_ms": -1}', '{"heartbeat_interval": 1e999}'),
    *('{"media": {"auto_download": "all"}}', '{"garbagecollector_enable": null}'),
)
WEBHOOK_CA = ('{"pem": "é"}', '{"pem": 5}', f'{{"pem": "{_TORN}"}}', '{"pem": "x"}', '{"a": 1}')
CERTIFICATE = (
    *('{"chain": "é", "key": "é"}', '{"chain": 5, "key": 5}', '{"chain": "x", "key": "y"}'),
    *(f'{{"chain": "{_TORN}", "key": ""}}', '{"chain": ""}', '{"a": 1}'),
)
PROVIDERS = (
    *('{"providers": 5}', '{"providers": null}', '{"providers": [5, null, {"name": "a"}]}'),
    '{"providers": [{"name": 5, "config": {"bearer": "é"}, "origins": "https://a"}]}',
)
GARBAGE = {
    "application": (*_SHAPES, *APPLICATION),
    "webhook_ca": (*_SHAPES, *WEBHOOK_CA),
    "external_certificate": (*_SHAPES, *CERTIFICATE),
    "media_providers": (*_SHAPES, *PROVIDERS),
    "business_profile": (*_SHAPES, '{"websites": 5}', '{"address": []}', '{"email": 1e999}'),
    "compliance_info": (*_SHAPES, '{"entity_name": 5}', '{"customer_care_details": "x"}'),
    "profile_about": (*_SHAPES, '{"text": 5}'),
}


async def write(pool: asyncpg.Pool, name: str, text: str) -> None:
    """As psql would."""
    await pool.execute(
        "insert into setting (name, value) values ($1, $2::text::jsonb)"
        " on conflict (number, name) do update set value = excluded.value",
        name,
        text,
    )
