"""``warouter status`` of a cluster with the Cloud API, through the command line."""

from __future__ import annotations

import time
from typing import Any
from uuid import uuid4

import asyncpg
import msgspec
import pytest
import pytest_asyncio

from tests.harness.shell import printed
from warouter.config import Settings
from warouter.metrics import Sample
from warouter.store.cloud.number import describe
from warouter.store.reports import ReportBody, ReportWriter
from warouter.upstream.cloud.graph.described import NumberFields
from warouter.upstream.cloud.graph.health import Entity, HealthTrouble

NUMBER = "106540352242922"
FACTS = NumberFields(
    status="CONNECTED",
    quality="YELLOW",
    name_status="APPROVED",
    can_send="BLOCKED",
    throughput="STANDARD",
    entities=(
        Entity("PHONE_NUMBER", NUMBER, "AVAILABLE"),
        Entity("WABA", "102", "BLOCKED", (HealthTrouble(141006, "No payment.", "Pay."),)),
    ),
)


@pytest_asyncio.fixture
async def cloud(settings: Settings, pool: asyncpg.Pool) -> Settings:
    """A number of which nobody has said anything yet."""
    await pool.execute("update format set upstream = $1", f"cloud:{NUMBER}")
    return settings


async def known(pool: asyncpg.Pool, **more: Any) -> None:
    facts = FACTS._asdict() | {"version": "v25.0", "token_valid": True} | more
    await describe(pool.fetch, 1, 80, facts)


async def reports(pool: asyncpg.Pool, node: str, role: str = "coreapp", **samples: float) -> None:
    body = ReportBody([Sample(f"warouter_cloud_{name}", value) for name, value in samples.items()])
    await ReportWriter(pool.fetch, uuid4(), node, role).write(body)


async def number(settings: Settings) -> dict[str, Any]:
    shown = msgspec.json.decode(await printed(settings, "status", "--json"))
    return dict(shown["cloud"]["number"])


async def lines(settings: Settings) -> dict[str, str]:
    """The lines of the summary by their name, each with those that belong to it."""
    found: dict[str, str] = {}
    name = ""
    for line in (await printed(settings, "status")).splitlines():
        name = line[:20].strip() or name
        found[name] = f"{found.get(name, '')} {line[20:].strip()}".strip()
    return found


async def test_before_anybody_has_asked_meta(cloud: Settings) -> None:
    assert await number(cloud) == {
        "phone_number_id": NUMBER,
        "facts": None,
        "version_ends": None,
        "coreapps": 0,
        "budget": None,
        "rate": None,
        "throttled": None,
        "pair_waits": None,
        "out": 0,
        "webhook_age_s": None,
        "webhook_at": None,
        "identities": 0,
        "aliases": 0,
    }
    shown = await lines(cloud)
    assert shown["number"] == f"{NUMBER} status unknown, no coreapp reports its rate, 0 out"
    assert shown["may send"] == shown["version"] == "not asked yet"
    assert shown["webhooks"] == "none came yet"
    assert shown["token"] == "nobody knows when it ends"


async def test_reports_of_coreapps_are_summed(cloud: Settings, pool: asyncpg.Pool) -> None:
    """Of a node that was restarted the last report counts; webapps, and who is silent, do not."""
    said = {"budget": 76.0, "rate": 30.5, "throttled_total": 3, "pair_waits_total": 10}
    await reports(pool, "c1", **{**said, "rate": 999.0})
    await reports(pool, "c1", **said)
    await reports(pool, "c2", budget=75.0, rate=20.0, throttled_total=4, pair_waits_total=0)
    await reports(pool, "gone", **said)
    await pool.execute("update report set at = now() - interval '20 s' where node = 'gone'")
    await reports(pool, "w1", "webapp", **said)
    await known(pool)
    found = await number(cloud)
    assert (found["coreapps"], found["budget"], found["rate"]) == (2, 76.0, 50.5)
    assert (found["throttled"], found["pair_waits"]) == (7, 10)
    assert (await lines(cloud))["number"] == (
        f"{NUMBER} CONNECTED, level 80/s, budget 76.0/s, rate 50.5/s of 2 coreapps,"
        " 7 throttled, 10 pair waits, 0 out"
    )


async def test_status_shows_open_requests_the_last_webhook_and_known_users(
    cloud: Settings, pool: asyncpg.Pool
) -> None:
    await pool.execute(
        "insert into send_issue (slot, seq, id, recipient, attempt, state)"
        " select 1, n, sha256(n::text::bytea), '1', 1, case when n > 2 then 1 else 2 end"
        " from generate_series(1, 7) n"
    )
    await pool.execute(
        "insert into cloud_path (webapp, meta_at) values ($1, now() - interval '5 min'),"
        " ($2, now() - interval '1 day'), ($3, null)",
        *(uuid4(), uuid4(), uuid4()),
    )
    await pool.execute(
        "insert into contact_identity (user_id, alias)"
        " select n::text, case when n > 3 then '99900000000000' || n end"
        " from generate_series(1, 5) n"
    )
    found = await number(cloud)
    assert (found["out"], found["identities"], found["aliases"]) == (5, 5, 2)
    assert 300 <= found["webhook_age_s"] < 400
    shown = await lines(cloud)
    assert shown["webhooks"] == "the newest event is 5 min old"
    assert shown["users"] == "5 known, 2 with an alias"


async def test_sending_rights_that_meta_reports(cloud: Settings, pool: asyncpg.Pool) -> None:
    await known(pool)
    await pool.execute("update cloud_number set read_at = read_at - interval '9 min'")
    facts = (await number(cloud))["facts"]
    assert (facts["can_send"], facts["quality"], facts["level"]) == ("BLOCKED", "YELLOW", 80.0)
    assert facts["entities"][1]["errors"] == [
        {"code": 141006, "description": "No payment.", "solution": "Pay."}
    ]
    assert (await lines(cloud))["may send"] == (
        "BLOCKED, quality YELLOW, name APPROVED (9 min ago) Meta says that the WhatsApp Business"
        " account 102 is BLOCKED: code 141006: No payment. Pay. The quality of the number is"
        " YELLOW: some customers block or report it."
    )


async def test_a_level_that_is_to_be_read_again_has_no_age(
    cloud: Settings, pool: asyncpg.Pool
) -> None:
    """As a webhook about it leaves it."""
    await known(pool)
    await pool.execute("update cloud_number set read_at = '-infinity'")
    assert (await number(cloud))["facts"]["read_age_s"] is None
    assert "(about to be asked)" in (await lines(cloud))["may send"]


@pytest.mark.parametrize(
    ("expires", "valid", "words"),
    [
        (None, None, "nobody knows when it ends"),
        (0, True, "never ends"),
        (5, False, "not valid"),
        (1_600_000_000, True, "ends at 2020-09-13T12:26:40Z: it has ended"),
    ],
)
async def test_until_when_the_token_lives(
    cloud: Settings, pool: asyncpg.Pool, expires: int | None, valid: bool | None, words: str
) -> None:
    await known(pool, token_expires_at=expires, token_valid=valid)
    assert (await number(cloud))["facts"]["token_expires_at"] == expires
    assert (await lines(cloud))["token"] == words


async def test_a_token_that_ends_in_days(cloud: Settings, pool: asyncpg.Pool) -> None:
    await known(pool, token_expires_at=int(time.time()) + 9 * 86_400 + 60)
    assert (await lines(cloud))["token"].endswith("Z (in 9 d)")


@pytest.mark.parametrize(
    ("version", "ends", "words"),
    [
        ("v25.0", "2028-07-29", "v25.0 ends on 2028-07-29"),
        ("v13.0", "1970-01-01", "v13.0 ends on 1970-01-01: it has ended"),
        ("v99.0", None, "v99.0, of whose end nothing is known"),
    ],
)
async def test_until_when_the_version_lives(
    cloud: Settings, pool: asyncpg.Pool, version: str, ends: str | None, words: str
) -> None:
    await known(pool, version=version)
    assert (await number(cloud))["version_ends"] == ends
    assert (await lines(cloud))["version"].startswith(words)


async def test_reports_of_the_build_before_are_read(cloud: Settings, pool: asyncpg.Pool) -> None:
    old = {"status": "CONNECTED", "level": 80.0, "quality": "GREEN", "can_send": "AVAILABLE"}
    await describe(pool.fetch, 1, 80, {**old, "name_status": "APPROVED"})
    facts = (await number(cloud))["facts"]
    assert (facts["status"], facts["entities"], facts["version"]) == ("CONNECTED", [], "")
    await describe(pool.fetch, 1, 80, {"entities": "of a newer form"})
    assert (await number(cloud))["facts"]["level"] == 80.0


async def test_a_token_that_meta_refused(cloud: Settings, pool: asyncpg.Pool) -> None:
    """What was known of it before is not shown beside the stop."""
    await known(pool, token_expires_at=0)
    assert (await lines(cloud))["token"] == "never ends"
    await pool.execute("insert into cloud_pause values (190, 'Session has expired', 'x')")
    assert (await lines(cloud))["token"] == "refused by Meta (code 190)"
