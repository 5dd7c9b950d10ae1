"""``warouter show`` on a real PostgreSQL: number, settings and media, and none of their secrets."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import asyncpg
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.harness.canaries import CANARIES
from tests.harness.shell import printed
from warouter.config import Settings
from warouter.store.audit import Audit
from warouter.store.cloud.number import describe
from warouter.store.reports import ReportBody, ReportWriter
from warouter.store.views.facts import read_facts
from warouter.store.views.setup.application import read_application
from warouter.store.views.setup.registration_status import read_registration
from warouter.store.views.webhook_status import read_webhook
from warouter.upstream.authority import NumberCertificate, issue

ENDS = 1_900_000_000


async def shown(settings: Settings, what: str) -> dict[str, Any]:
    text = await printed(settings, "show", what, "--json")
    found: dict[str, Any] = msgspec.json.decode(text)
    return found


async def report(
    pool: asyncpg.Pool, node: str, role: str = "coreapp", *env: str, **facts: Any
) -> None:
    body = ReportBody([], {"env": list(env), **facts})
    await ReportWriter(pool.fetch, uuid4(), node, role).write(body)


async def register(pool: asyncpg.Pool, cert: str) -> None:
    await pool.execute(
        "insert into account (cc, phone_number, cert, authority_key, pin_hash)"
        " values ('49', '301234567', $1, 'key', $2)",
        cert,
        CANARIES["pin"],
    )


async def store(pool: asyncpg.Pool, name: str, value: Any) -> None:
    text = msgspec.json.encode(value).decode()
    await pool.execute("insert into setting (name, value) values ($1, $2::jsonb)", name, text)


async def test_before_there_is_a_number(settings: Settings, pool: asyncpg.Pool) -> None:
    found = await shown(settings, "number")
    assert (found["registration"]["number"], found["cloud"]) == (None, None)
    assert "no number: POST /v1/account" in await printed(settings, "show", "number")


async def test_the_registered_number(settings: Settings, pool: asyncpg.Pool) -> None:
    certificate = NumberCertificate("49301234567", "Bakery", 1_700_000_000, ENDS)
    await register(pool, issue(Ed25519PrivateKey.generate(), certificate))
    registration = (await shown(settings, "number"))["registration"]
    assert registration["number"] == "49301234567"
    assert registration["two_step"] is True
    assert (registration["cert_name"], registration["cert_ends"]) == ("Bakery", ENDS)
    lines = await printed(settings, "show", "number")
    assert "Bakery, until 2030-03-17" in lines
    assert CANARIES["pin"] not in lines


@pytest.mark.parametrize("cert", ["", "x", "AAAA", "a" * 400, "\N{BULLET}"])
async def test_a_certificate_that_cannot_be_read(
    settings: Settings, pool: asyncpg.Pool, cert: str
) -> None:
    await register(pool, cert)
    registration = (await shown(settings, "number"))["registration"]
    assert (registration["number"], registration["cert_ends"]) == ("49301234567", None)
    assert "none that can be read" in await printed(settings, "show", "number")


async def test_a_number_that_waits_for_its_code(settings: Settings, pool: asyncpg.Pool) -> None:
    await pool.execute(
        "insert into registration (cc, phone_number, cert) values ('49', '301234567', 'x')"
    )
    registration = (await shown(settings, "number"))["registration"]
    assert (registration["number"], registration["asked_number"]) == (None, "49301234567")


async def test_the_display_name_that_customers_see(settings: Settings, pool: asyncpg.Pool) -> None:
    await pool.execute("update format set upstream = 'cloud:106540352242922'")
    await describe(pool.fetch, 1, 80, {"name": "Bakery", "status": "CONNECTED"})
    found = await shown(settings, "number")
    assert found["cloud"]["number"]["facts"]["name"] == "Bakery"
    assert "Bakery" in await printed(settings, "show", "number")


async def test_views_of_a_number_show_nothing_of_another(pool: asyncpg.Pool) -> None:
    await pool.execute("insert into number (id, name) values (2, 'two') on conflict do nothing")
    await register(pool, "")
    await pool.execute(
        "insert into registration (cc, phone_number, cert, number)"
        " values ('1', '6315550000', 'x', 2)"
    )
    await store(pool, "application", {"webhooks": {"url": "https://example.com/1"}})
    await store(pool, "webhook_ca", {})
    first, second = [await read_registration(pool, number) for number in (1, 2)]
    assert (first.number, first.asked_number) == ("49301234567", None)
    assert (second.number, second.asked_number) == (None, "16315550000")
    urls = [(await read_webhook(pool, number, 0)).url for number in (1, 2)]
    assert urls == ["https://example.com/1", ""]
    others = [(await read_application(pool, number)).others for number in (1, 2)]
    assert others == [["webhook_ca"], []]
    assert [(await read_facts(pool, number)).number for number in (1, 2)] == ["49301234567", None]


async def test_variables_of_processes_and_where_they_differ(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    await report(pool, "a", "coreapp", "WAROUTER_LEASE=3", "WA_DB_PASSWORD=***")
    await report(pool, "b", "webapp", "WA_API_KEY=***")
    await report(pool, "gone", "webapp", "WAROUTER_LEASE=9")
    await pool.execute("update report set at = now() - interval '20 s' where node = 'gone'")
    found = await shown(settings, "settings")
    assert [(each["node"], each["role"]) for each in found["processes"]] == [
        ("a", "coreapp"),
        ("b", "webapp"),
    ]
    variables = {each["name"]: each for each in found["variables"]}
    assert variables["WAROUTER_LEASE"]["differs"]
    assert not variables["WA_API_KEY"]["differs"]
    assert variables["WA_API_KEY"]["values"][0]["hidden"]
    lines = await printed(settings, "show", "settings")
    assert "Processes differ in WAROUTER_LEASE." in lines


async def test_settings_of_the_api_with_who_changed_them(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    await store(pool, "application", {"webhooks": {"url": "https://a.example/"}})
    audit = Audit(pool)
    for who, outcome in (("anna", "done"), ("ben", "400/1009 no")):
        number = await audit.begin(who, "PATCH /v1/settings/application", "127.0.0.1")
        await audit.end(number, "webhooks.url", outcome)
    fields = (await shown(settings, "settings"))["application"]["fields"]
    [url] = [field for field in fields if field["name"] == "webhooks.url"]
    assert (url["value"], url["set"], url["by"]) == ("https://a.example/", True, "anna")
    since = datetime.fromisoformat(url["since"])
    assert abs((datetime.now(UTC) - since).total_seconds()) < 60
    assert "https://a.example/" in await printed(settings, "show", "settings")


async def test_no_secret_is_shown(settings: Settings, pool: asyncpg.Pool) -> None:
    """Canaries stand wherever the database has a secret."""
    secret = CANARIES["webhook's secret"]
    await store(pool, "application", {"webhooks": {"secrets": [f"whsec_{secret}"]}})
    for name in ("media_providers", "external_certificate", "cloud_two_step", "webhook_ca"):
        await store(pool, name, {"x": CANARIES["provider's bearer"]})
    await register(pool, CANARIES["provider's password"])
    await report(pool, "a", "webapp", "WA_API_KEY=***")
    for what in ("settings", "number", "media"):
        for options in ((), ("--json",), ("--all",) if what == "settings" else ()):
            said = await printed(settings, "show", what, *options)
            assert not [name for name, canary in CANARIES.items() if canary in said]
    found = (await shown(settings, "settings"))["application"]
    assert found["others"] == [
        *("cloud_two_step", "external_certificate", "media_providers", "webhook_ca")
    ]
    [secrets] = [field for field in found["fields"] if field["name"] == "webhooks.secrets"]
    assert (secrets["value"], secrets["secret"]) == (1, True)


async def test_settings_that_are_no_object(settings: Settings, pool: asyncpg.Pool) -> None:
    """What somebody wrote there by hand."""
    await store(pool, "application", [1, 2])
    fields = (await shown(settings, "settings"))["application"]["fields"]
    assert not any(field["set"] for field in fields)
    await pool.execute("""update setting set value = '{"webhooks": {"secrets": "x"}}'""")
    assert "x" not in [
        f["value"] for f in (await shown(settings, "settings"))["application"]["fields"]
    ]


async def test_media_by_type_and_what_waits(settings: Settings, pool: asyncpg.Pool) -> None:
    for kind, mime, size in ((0, "image/png", 5), (0, "image/jpeg; q=1", 7), (1, "audio/ogg", 20)):
        await pool.execute(
            "select add_media($1, $2, $3, $4, 'x', null, 0, 1)", uuid4(), kind, mime, size
        )
    await pool.execute("update media set created_at = '2026-01-02T03:04:05Z' where size = 7")
    for seq, kind, reason in ((1, 2, "media is being prepared"), (2, 0, "other")):
        await pool.execute(
            "with m as (insert into message (slot, seq, id, recipient, kind, body)"
            " values (1, $1, sha256($2), '491', $3, '') returning *)"
            " insert into parked_message (slot, seq, id, recipient, attempts, due_at, reason)"
            " select slot, seq, id, recipient, 1, now(), $4 from m",
            *(seq, str(seq).encode(), kind, reason),
        )
    found = await shown(settings, "media")
    assert (found["bytes"], found["quota"]) == (32, 50 << 30)
    assert found["oldest"] == "2026-01-02T03:04:05Z"
    kept = [
        (each["direction"], each["type"], each["files"], each["bytes"]) for each in found["kept"]
    ]
    assert kept == [("received", "audio", 1, 20), ("uploaded", "image", 2, 12)]
    assert [(each["reason"], each["messages"]) for each in found["waiting"]] == [
        ("media is being prepared", 1)
    ]
    lines = await printed(settings, "show", "media")
    assert "32 bytes of 53,687,091,200" in lines
    assert "491" not in lines


async def test_fetches_that_failed_and_the_least_quota(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    failure = {
        "at": "2026-11-29T12:00:00Z",
        "direction": "outgoing",
        "message": "gBEG",
        "type": "image",
        "reason": "the link answered 404",
    }
    later = failure | {"at": "2026-11-29T12:00:01Z", "direction": "inbound"}
    await report(pool, "a", "coreapp", "WAROUTER_MEDIA_QUOTA=9", media_failed=[failure])
    await report(pool, "b", "coreapp", "WAROUTER_MEDIA_QUOTA=7", media_failed=[later])
    await report(pool, "old", "coreapp", media_failed="of another form")
    found = await shown(settings, "media")
    assert found["quota"] == 7
    assert [(each["node"], each["direction"]) for each in found["failed"]] == [
        ("b", "inbound"),
        ("a", "outgoing"),
    ]
    assert "the link answered 404" in await printed(settings, "show", "media")
