"""The pages Number, Settings and Media of a real database, read under the console's login and
rendered as a browser gets them.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import asyncpg
import msgspec
import pytest
import pytest_asyncio

from tests.harness.canaries import CANARIES, found_in
from tests.harness.cloud import door
from warouter.config import Settings
from warouter.console.app import Chrome
from warouter.console.context import ConsoleContext
from warouter.console.form import Form
from warouter.console.page import Page
from warouter.console.pages import media, numbers, webhook
from warouter.console.pages import settings as settings_page
from warouter.console.render import Renderer
from warouter.console.series.memory import Reading
from warouter.console.static import Files
from warouter.console.visit import ConsoleRefusal, ReadingKey, Visitor
from warouter.message_id import mint
from warouter.metrics import Sample
from warouter.node.console import context_of
from warouter.store.cloud.number import describe
from warouter.store.database import create_pool
from warouter.store.migrate import administering
from warouter.store.reports import ReportBody, ReportWriter
from warouter.store.roles.catalogue import recorded
from warouter.store.roles.create import create
from warouter.store.views.setup.application import HIDDEN, read_application
from warouter.store.views.webhook_status import read_webhook

NUMBER = "106540352242922"
RECIPIENT = "491511234567"
HOSTILE = "</td><img src=x onerror=alert(1)>\N{RIGHT-TO-LEFT OVERRIDE}'\"{{7*7}}"
ADMIN = Visitor("anna", True, b"s" * 32, "127.0.0.1")


@pytest_asyncio.fixture
async def context(settings: Settings) -> AsyncIterator[ConsoleContext]:
    async with administering(settings) as connection:
        await create(connection, None, None)
        names = await recorded(connection)
    own = msgspec.structs.replace(
        settings, db_username=names["web_console"], console_api="http://127.0.0.1:9"
    )
    pool = await create_pool(own, "warouter console", 2)
    made = context_of(own, pool)
    yield made
    await made.api.close()
    await pool.close()


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    return Renderer(Files().url)


class Pages:
    """Every page of these modules, as a visitor gets it."""

    def __init__(self, context: ConsoleContext, renderer: Renderer) -> None:
        self._context, self._renderer = context, renderer
        self._pages = {
            page.name: page
            for module in (media, numbers, settings_page, webhook)
            for page in module.PAGES
        }

    async def get(self, name: str, *, admin: bool = True, **query: str) -> str:
        page: Page = self._pages[name]
        asked = ReadingKey({}, query, admin)
        values = await page.read(self._context, asked)
        chrome = Chrome(page.title, [], "", ADMIN, None, "1.0", page.path)
        return self._renderer.page(
            f"pages/{name}.html", {**values, "admin": admin, "chrome": chrome}
        )

    async def live(self, name: str, **query: str) -> str:
        """The part that is streamed."""
        values = await self._pages[name].read(self._context, ReadingKey({}, query, True))
        return self._renderer.live(f"pages/{name}.html", {**values, "admin": True})


@pytest.fixture
async def pages(context: ConsoleContext, renderer: Renderer) -> Pages:
    return Pages(context, renderer)


async def report(pool: asyncpg.Pool, node: str, role: str, *env: str, **facts: Any) -> None:
    body = ReportBody([], {"env": list(env), **facts})
    await ReportWriter(pool.fetch, uuid4(), node, role).write(body)


async def doubt(pool: asyncpg.Pool, seq: int, state: int, cause: str) -> None:
    await pool.execute(
        "insert into send_issue (slot, seq, id, recipient, attempt, state, cause, doubts)"
        " values (1, $1, $2, $3, 2, $4, $5, 1)",
        *(seq, mint(1, seq, bytes(12)), RECIPIENT, state, cause),
    )


async def test_with_the_simulator_the_page_says_what_there_is_not(pages: Pages) -> None:
    found = await pages.get("numbers")
    assert "The upstream of this cluster is the simulator" in found
    assert "No number is registered" in found
    assert "Run <code>warouter cloud check</code> where" in found
    assert "Quality" not in found


async def test_the_number_with_what_is_in_doubt_and_held(pages: Pages, pool: asyncpg.Pool) -> None:
    await pool.execute("update format set upstream = $1", f"cloud:{NUMBER}")
    await pool.execute("insert into account (cc, phone_number) values ('49', '301234567')")
    facts = {"name": HOSTILE, "status": "CONNECTED", "quality": "YELLOW", "can_send": "LIMITED"}
    await describe(pool.fetch, 1, 80, facts)
    await doubt(pool, 1, 2, "no answer in time")
    await doubt(pool, 2, 3, f"answer: {HOSTILE}")
    found = await pages.get("numbers")
    assert "1 in doubt, 1 held" in found
    assert RECIPIENT not in found
    assert "301234567" not in found
    assert "491…67" in found
    assert "<img src=x" not in found
    assert "&lt;img src=x" in found
    assert found.count('id="doubt-') == 2
    none = await pages.get("numbers", state="held", cause="timeout")
    assert "left by these filters" in none
    assert 'id="doubt-' not in none


async def test_messages_of_the_last_minute_are_shown(
    pages: Pages, context: ConsoleContext, pool: asyncpg.Pool
) -> None:
    await pool.execute("update format set upstream = $1", f"cloud:{NUMBER}")
    assert "not watched yet" in await pages.get("numbers")
    now = 1000.0
    context.clock = lambda: now
    for sent in range(0, 1300, 100):  # each five seconds
        total = Sample("warouter_messages_sent_total", sent)
        context.series.take(now, [Reading("a", "coreapp", 1, now, [total])])
        now += 5.0
    page = await pages.get("numbers")
    found = re.search(r'Sent, last minute</dt><dd><span class="figure">([0-9.]+)', page)
    assert found is not None
    assert 15 <= float(found[1]) <= 21  # the last place may not be full yet


async def test_duplicates_at_meta_are_shown(pages: Pages, pool: asyncpg.Pool) -> None:
    await pool.execute("update format set upstream = $1", f"cloud:{NUMBER}")
    assert "Taken more than once" not in await pages.get("numbers")
    for attempt in (1, 2):
        await pool.execute(
            "insert into upstream_id (wamid, slot, id, attempt, twice) values ($1, 3, $2, $3, $4)",
            *(f"wamid.{attempt}", mint(3, 1, bytes(12)), attempt),
            uuid4() if attempt == 2 else None,
        )
    page = await pages.get("numbers")
    assert "Taken more than once, and charged so where they were delivered</caption>" in page
    assert page.count('<tr id="twice-') == 1


async def test_the_stream_is_stable_while_nothing_happens(
    pages: Pages, context: ConsoleContext, pool: asyncpg.Pool
) -> None:
    """No age of anything is in it."""
    await pool.execute("update format set upstream = $1", f"cloud:{NUMBER}")
    await describe(pool.fetch, 1, 80, {"name": "Bakery", "version": "v25.0"})
    await doubt(pool, 1, 2, "timeout")
    await pool.execute(
        "insert into cloud_path (webapp, meta_at) values ($1, now() - interval '5 min')", uuid4()
    )
    await pool.execute(
        "insert into cloud_pause values (131031, 'locked', 'x', now() - interval '1 h')"
    )
    await report(pool, "a", "coreapp", "WAROUTER_LEASE=2")
    for name in ("numbers", "settings", "media"):
        first = await pages.live(name)
        context.kept.clear()
        assert await pages.live(name) == first


async def test_a_check_is_shown_until_the_next(
    pages: Pages, context: ConsoleContext, pool: asyncpg.Pool
) -> None:
    async with door() as found:
        facts = found.simulator.facts
        context.settings = msgspec.structs.replace(
            context.settings,
            cloud_phone_number_id=facts.phone_number_id,
            cloud_waba_id=facts.waba_id,
            cloud_token=facts.token,
            cloud_app_secret=facts.app_secret,
            cloud_verify_token=facts.verify_token,
            cloud_base_url=found.addresses.graph_url,
        )
        done = await numbers.check(context, ADMIN, Form({}))
        assert done.subject.startswith("11 steps")
        page = await pages.get("numbers")
        assert "by anna" in page
        assert page.count('id="step-') == 11
        assert not [secret for secret in (facts.token, facts.app_secret) if secret in page]
        reader = await pages.get("numbers", admin=False)
        assert "/console/numbers/check" not in reader
        assert context.kept.keys() == {numbers.LAST}


async def test_without_the_variables_a_check_is_refused(context: ConsoleContext) -> None:
    with pytest.raises(ConsoleRefusal, match="WAROUTER_CLOUD_PHONE_NUMBER_ID is missing"):
        await numbers.check(context, ADMIN, Form({}))
    assert not context.kept


async def test_settings_with_where_they_come_from(pages: Pages, pool: asyncpg.Pool) -> None:
    assert "No process reports its variables now." in await pages.get("settings")
    await report(pool, "a", "coreapp", "WAROUTER_LEASE=2", f"WAROUTER_NODE={HOSTILE}")
    await report(pool, HOSTILE, "webapp", "WA_API_KEY=***")
    found = await pages.get("settings")
    assert "Processes differ" in found
    assert "<img src=x" not in found
    differing = await pages.get("settings", only="differing")
    assert 'id="variable-WAROUTER_LEASE"' in differing
    assert 'id="variable-WAROUTER_BEAT"' not in differing
    assert "No variable is left" in await pages.get("settings", q="no such")


async def test_no_canary_is_on_any_page(pages: Pages, pool: asyncpg.Pool) -> None:
    """Secrets stand in the database wherever it has some."""
    url = f"https://me:{CANARIES['api key']}@a.example/?k={CANARIES['api key']}"
    headers = {"X-Token": CANARIES["webhook's header"], "Authorization": CANARIES["api key"]}
    stored = {
        "application": {
            "webhooks": {
                "url": url,
                "registered": {"url": url, "headers": headers},
                "secrets": ["whsec_" + CANARIES["webhook's secret"]],
            }
        },
        "media_providers": [{"config": {"bearer": CANARIES["provider's bearer"]}}],
        "cloud_two_step": {"sealed": CANARIES["pin"]},
        "external_certificate": {"key": CANARIES["database password"]},
    }
    for name, value in stored.items():
        text = msgspec.json.encode(value).decode()
        await pool.execute("insert into setting values ($1, $2::jsonb)", name, text)
    await pool.execute(
        "insert into account (cc, phone_number, cert, pin_hash, authority_key)"
        " values ('49', '15198765432', $1, $2, 'k')",
        CANARIES["provider's password"],
        CANARIES["pin"],
    )
    await report(pool, "a", "webapp", f"WA_DB_PASSWORD={CANARIES['database password']}")
    secrets = [(canary, text.encode()) for canary, text in CANARIES.items()]
    for name in ("numbers", "settings", "media", "webhook"):
        said = await pages.get(name, admin=False)
        assert found_in({name: said.encode()}, secrets) == set()
    for name in ("numbers", "settings", "media", "webhook", "settings_change"):
        said = await pages.get(name)
        assert found_in({name: said.encode()}, secrets) == set()
    dotted = await pages.get("settings")
    assert "1 set, never shown" in dotted
    assert 'id="other-media_providers"' in dotted
    hook = await pages.get("webhook", admin=False)
    assert "with <code>Authorization</code>, <code>X-Token</code></dd>" in hook
    for found in (dotted, hook):
        assert f"https://{HIDDEN}@a.example/?{HIDDEN}" in found


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("", ""),
        ("https://a.example/hook", "https://a.example/hook"),
        ("https://a.example:8443/hook?key=canary#canary", f"https://a.example:8443/hook?{HIDDEN}"),
        ("https://a.example/hook#canary", f"https://a.example/hook?{HIDDEN}"),
        ("HTTPS://me:canary@a.example/", f"HTTPS://{HIDDEN}@a.example/"),
        ("https://me:can@ary@a.example/b@c", f"https://{HIDDEN}@a.example/b@c"),
        ("https://canary@[::1]/a\n?k=canary\ncanary", f"https://{HIDDEN}@[::1]/a\n?{HIDDEN}"),
        ("me:canary@a.example/", HIDDEN),
        (["canary"], ""),
    ],
)
async def test_no_login_is_shown_credentials_of_the_webhooks_url(
    context: ConsoleContext, pool: asyncpg.Pool, url: object, shown: str
) -> None:
    """Neither the console's nor the reader's, which are told by the same functions."""
    registered = {"url": url, "headers": {"X-Token": "canary"}}
    webhooks = {"url": url, "message": {"sent": True}, "registered": registered}
    stored = msgspec.json.encode({"webhooks": webhooks}).decode()
    await pool.execute("insert into setting values ('application', $1::jsonb)", stored)
    async with context.reading() as connection:
        raw = await connection.fetch("select * from settings_shown(1)")
        raw += await connection.fetch("select * from webhook_shown(1)")
        assert "canary" not in repr(raw).lower()
        assert (await read_webhook(connection, 1, 0)).url == shown
        fields = {each.name: each.value for each in (await read_application(connection, 1)).fields}
    assert fields["webhooks.url"] == shown
    assert fields["webhooks.message.sent"] is True


async def test_secrets_of_the_url_are_never_stored(
    context: ConsoleContext, pool: asyncpg.Pool
) -> None:
    stored = '{"webhooks": {"url": "https://me:canary@a.example/old"}}'
    await pool.execute("insert into setting values ('application', $1::jsonb)", stored)
    as_shown = f"https://{HIDDEN}@a.example/old"
    both = {"webhooks.url": as_shown, "was.webhooks.url": as_shown}
    with pytest.raises(ConsoleRefusal, match="Nothing differs"):
        await settings_page.change(context, ADMIN, Form({k: [v] for k, v in both.items()}))
    typed = {"webhooks.url": [as_shown.replace("old", "new")], "was.webhooks.url": [as_shown]}
    with pytest.raises(ConsoleRefusal, match="type it whole"):
        await settings_page.change(context, ADMIN, Form(typed))


async def test_a_preview_shows_the_changes_first(pages: Pages) -> None:
    query = {"preview": "1", "callback_persist": "off", "log_level": "info"}
    found = await pages.get("settings_change", **query)
    assert found.count('id="difference-') == 1
    assert "Change 1 setting<" in found
    assert "-d &#39;{&#34;callback_persist&#34;:false}&#39;" in found
    none = await pages.get("settings_change", preview="1", callback_persist="on")
    assert "Nothing differs" in none
    wrong = await pages.get("settings_change", preview="1", callback_backoff_delay_ms=HOSTILE)
    assert "must be a whole number" in wrong
    assert "<img src=x" not in wrong
    with pytest.raises(ConsoleRefusal):
        await pages.get("settings_change", admin=False)


async def test_a_change_that_somebody_else_has_made_meanwhile(context: ConsoleContext) -> None:
    form = Form({"callback_persist": ["off"], "was.callback_persist": ["off"]})
    with pytest.raises(ConsoleRefusal, match=r"meanwhile\. Look again\.$"):
        await settings_page.change(context, ADMIN, form)
    with pytest.raises(ConsoleRefusal, match="Nothing differs"):
        await settings_page.change(context, ADMIN, Form({"callback_persist": ["on"]}))


async def test_media_with_what_failed(
    pages: Pages, context: ConsoleContext, pool: asyncpg.Pool
) -> None:
    empty = await pages.get("media")
    assert "No media is kept." in empty
    assert "No fetch has failed" in empty
    await pool.execute(
        "select add_media($1, 0::smallint, 'image/png', 900, 'x', null, 0, 1)", uuid4()
    )
    failure = {
        "at": "2026-11-29T12:00:00Z",
        "direction": "outgoing",
        "message": HOSTILE,
        "type": "image",
        "reason": HOSTILE * 10,
    }
    await report(pool, "a", "coreapp", "WAROUTER_MEDIA_QUOTA=1000", media_failed=[failure])
    context.kept.clear()
    found = await pages.get("media")
    assert "90 % used" in found
    assert found.count('id="failed-') == 1
    assert "<img src=x" not in found
    assert "left by these filters" in await pages.get("media", direction="inbound")


async def test_media_is_counted_every_few_seconds_only(
    pages: Pages, context: ConsoleContext, pool: asyncpg.Pool
) -> None:
    now = 100.0
    context.clock = lambda: now
    await pages.get("media")
    await pool.execute(
        "select add_media($1, 0::smallint, 'image/png', 900, 'x', null, 0, 1)", uuid4()
    )
    assert "No media is kept." in await pages.get("media")
    now += media.SECONDS
    assert "No media is kept." not in await pages.get("media")
