"""What steers, steers: settings written as the API does, on a real coreapp with its database.

Events go in where those of the upstream do and come out at a real receiver.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from tests.harness.coreapps import give, started
from tests.harness.owned import EndOfNothing
from tests.harness.postgres import until
from tests.harness.receiver import Post, Receiver
from tests.harness.wait import soon
from warouter.app_settings import APPLICATION, effective, merge
from warouter.background import wait_for
from warouter.config import Settings
from warouter.kinds import EVENT_NAMES, STATUS
from warouter.node.coreapp import Coreapp
from warouter.owner import retention
from warouter.registered_webhook import RegisteredWebhook, with_registered
from warouter.store.account.accounts import Accounts
from warouter.store.account.callback_requests import (
    CallbackRequest,
    CallbackRequests,
    ask_retry,
    ask_test,
)
from warouter.store.bounded import fetcher
from warouter.store.history import ask_for_collection
from warouter.upstream.protocol import Event
from warouter.webhook.trial import body_of

SLOT = 3
RECIPIENT = "4915112345678"
STEP_MS = 20
OLD = "interval '11 minutes'"
NONE_LEFT = "select count(*) = 0 from event"


class Business:
    """The receiver, and the pen that changes settings."""

    def __init__(self, pool: asyncpg.Pool, coreapp: Coreapp, receiver: Receiver) -> None:
        self.pool = pool
        self.coreapp = coreapp
        self.receiver = receiver
        self.accounts = Accounts(pool)
        self._count = 0

    async def patch(self, number: int = 1, **fields: Any) -> None:
        """As PATCH /v1/settings/application of the number; returns once the coreapp has it."""
        await self.accounts.change_setting(
            number, APPLICATION, lambda stored: merge(stored, fields)
        )
        await self.followed(number)

    async def followed(self, number: int = 1) -> None:
        """Until the coreapp has adopted what is stored of the number's settings."""
        stored = effective(await self.accounts.setting(number, APPLICATION))
        await soon(lambda: self.coreapp.in_force.of(number) == stored)

    async def event(self, kind: int, name: str, payload: dict[str, Any], of: int = 1) -> str:
        """Append one event ``of`` a number as the upstream's are; its id, once it is committed."""
        self._count += 1
        number = f"id{self._count}"
        key = f"{number}:{name}:1" if kind == STATUS else number
        body = json.dumps({"id": number, **payload}).encode()
        slot = self.coreapp.ownership.slots[SLOT]
        event = Event(SLOT, 0, EVENT_NAMES[kind], key, RECIPIENT, body, of_number=of)
        self.coreapp.receipts.store(slot, event, EndOfNothing())
        await soon(lambda: slot.events[kind].committed == slot.events[kind].next_seq - 1)
        return number

    async def status_of(self, name: str, of: int = 1, **fields: Any) -> str:
        return await self.event(STATUS, name, {"status": name, **fields}, of)

    async def called_back(self) -> None:
        """Until all that was appended before has been dealt with: both journals are settled."""
        slot = self.coreapp.ownership.slots[SLOT]
        await soon(lambda: all(e.cursor.mark == e.next_seq - 1 for e in slot.events))


@pytest_asyncio.fixture
async def coreapp(settings: Settings, pool: asyncpg.Pool) -> AsyncIterator[Coreapp]:
    """A coreapp that owns one slot; there is no upstream, and no master."""
    allowed = {"webhook_allow_http": True, "allow_private": "127.0.0.0/8,::1/128"}
    async with started(settings, **allowed) as coreapp:
        await give(coreapp, pool, SLOT)
        yield coreapp


@pytest_asyncio.fixture
async def business(coreapp: Coreapp, pool: asyncpg.Pool, receiver: Receiver) -> Business:
    business = Business(pool, coreapp, receiver)
    await business.patch(callback_backoff_delay_ms=STEP_MS, webhooks={"url": receiver.url})
    return business


async def test_a_registered_webhook_is_in_force_until_another_url_is(business: Business) -> None:
    url = business.receiver.url
    mine = RegisteredWebhook(f"{url}mine", {"X-Key": "canary"})
    await business.accounts.change_setting(1, APPLICATION, lambda s: with_registered(s, mine))
    await soon(lambda: business.coreapp.feed.callbacks.receiver.url == mine.url)
    await business.status_of("delivered")
    await business.called_back()
    await business.patch(webhooks={"url": url})
    await soon(lambda: business.coreapp.feed.callbacks.receiver.url == url)
    await business.status_of("read")
    await business.called_back()
    posts = business.receiver.posts
    assert [post.path for post in posts] == ["/hookmine", "/hook"]
    assert [post.headers.get("X-Key") for post in posts] == ["canary", None]


async def test_a_status_that_is_switched_off_while_it_is_parked_ends(business: Business) -> None:
    business.receiver.answer = 500
    await business.patch(callback_backoff_delay_ms=200)
    await business.status_of("delivered")
    slot = business.coreapp.ownership.slots[SLOT]
    await soon(lambda: RECIPIENT in slot.events[STATUS].parked)
    await business.patch(webhooks={"message": {"delivered": False}})
    await soon(lambda: RECIPIENT not in slot.events[STATUS].parked)
    business.receiver.answer = 200
    read = await business.status_of("read")
    await business.called_back()
    assert list(business.receiver.statuses) == [read]
    await business.coreapp.recorder.flush()
    assert await business.pool.fetchval("select count(*) from parked_event") == 0


@pytest.mark.parametrize("count", [1, 40], ids=["one event", "a receiver that is down"])
async def test_settings_out_of_force_are_dropped_and_logged(
    business: Business, count: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "warouter.owner.callbacks")
    await business.patch(callback_persist=False)
    business.receiver.answer = 500
    lost = [await business.status_of("delivered") for _ in range(count)]
    feed = business.coreapp.feed
    await soon(lambda: feed.dropped == count)
    await business.called_back()
    business.receiver.answer = 200
    kept = await business.status_of("read")
    await business.called_back()
    assert list(business.receiver.statuses) == [kept]
    assert kept not in lost
    said = [r for r in caplog.records if r.message == "callbacks dropped"]
    assert sum(r.__dict__["events"] for r in said) == count
    await business.coreapp.recorder.flush()
    for table in ("parked_event", "dead_letter"):
        assert await business.pool.fetchval(f"select count(*) from {table}") == 0


@pytest_asyncio.fixture
async def second(pool: asyncpg.Pool) -> int:
    """Another number of the installation."""
    await pool.execute("insert into number (id, name) values (2, 'two') on conflict do nothing")
    return 2


async def test_an_event_is_shown_as_its_own_number_wants(business: Business, second: int) -> None:
    await business.patch(second, webhooks={"message": {"read": False}})
    mine = [await business.status_of("read", of) for of in (1, second, 1)]
    await business.called_back()
    assert set(business.receiver.statuses) == {mine[0], mine[2]}
    await business.patch(webhooks={"message": {"read": False}})
    await business.accounts.delete_setting(second, APPLICATION)
    await business.followed(second)
    mine = [await business.status_of("read", of) for of in (1, second, 1)]
    await business.called_back()
    assert mine[1] in business.receiver.statuses
    assert {mine[0], mine[2]}.isdisjoint(business.receiver.statuses)


async def test_a_refused_event_is_kept_as_its_own_number_wants(
    business: Business, second: int
) -> None:
    await business.patch(callback_persist=False)
    business.receiver.answer = 500
    for number in (1, second):
        await business.status_of("delivered", number)
    await until(business.pool, "select array_agg(number) = '{2}' from dead_letter")
    assert business.coreapp.feed.dropped == 1


async def test_another_number_sets_no_log_level_and_keeps_its_last_good_values(
    business: Business, second: int, caplog: pytest.LogCaptureFixture
) -> None:
    before = logging.getLogger().level
    await business.patch(second, log_level="error", verbose_logging=True)
    assert logging.getLogger().level == before
    await business.pool.execute(
        'update setting set value = value || \'{"verbose_logging": 5, "sent_status": true}\''
    )
    await soon(lambda: business.coreapp.in_force.of(second).sent_status)
    assert business.coreapp.in_force.of(second).verbose_logging  # its last good value
    said = [r for r in caplog.records if r.message == "stored setting rejected"]
    assert {r.__dict__.get("number", 1) for r in said} == {1, second}


async def journal(business: Business, count: int, *, old: bool) -> None:
    """So many settled events; old ones are from eleven minutes ago."""
    for _ in range(count):
        await business.status_of("delivered")
    await business.called_back()
    await business.coreapp.recorder.flush()
    if old:
        await business.pool.execute(f"update event set recorded_at = recorded_at - {OLD}")


async def left(business: Business) -> int:
    return int(await business.pool.fetchval("select count(*) from event"))


async def collected(business: Business, caplog: pytest.LogCaptureFixture) -> None:
    """Ask for a collection, as the API does; returns once the owner has pruned."""

    def rounds() -> int:
        return [r.message for r in caplog.records].count("garbage collected")

    before = rounds()
    await ask_for_collection(business.pool)
    await soon(lambda: rounds() > before)


async def test_gc_prunes_what_is_settled_and_older_than_ten_minutes(
    business: Business, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, retention.__name__)
    monkeypatch.setattr(retention, "PRUNE_ROWS", 5)  # several steps
    await journal(business, 23, old=True)
    await journal(business, 2, old=False)
    await collected(business, caplog)
    assert await left(business) == 2
    await business.pool.execute(f"update event set recorded_at = recorded_at - {OLD}")
    await collected(business, caplog)
    assert await left(business) == 0


async def test_gc_takes_nothing_that_is_not_called_back(
    business: Business, caplog: pytest.LogCaptureFixture
) -> None:
    """However old it is: not from the journal while it is out, nor when it is parked instead."""
    caplog.set_level(logging.INFO, retention.__name__)
    speak = asyncio.Event()

    async def refuse(_post: Post) -> int:
        await speak.wait()
        return 500

    business.receiver.answer = refuse
    number = await business.status_of("delivered")
    await business.pool.execute(f"update event set recorded_at = recorded_at - {OLD}")
    await collected(business, caplog)
    assert await left(business) == 1
    speak.set()
    slot = business.coreapp.ownership.slots[SLOT]
    await soon(lambda: RECIPIENT in slot.events[STATUS].parked)
    await business.coreapp.recorder.flush()
    await collected(business, caplog)
    assert await left(business) == 1
    business.receiver.answer = 200
    await soon(lambda: number in business.receiver.statuses)
    await business.coreapp.recorder.flush()
    await collected(business, caplog)
    assert await left(business) == 0


async def test_retention_prunes_by_itself_unless_it_is_switched_off(
    business: Business, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds = 0

    async def quick(event: asyncio.Event, _seconds: float | None) -> None:
        nonlocal rounds
        rounds += 1
        await wait_for(event, 0.02)

    monkeypatch.setattr(retention, "wait_for", quick)
    await business.patch(garbagecollector_enable={"messages": False})
    await journal(business, 3, old=True)
    await ask_for_collection(business.pool)
    await until(
        business.pool, "select count(*) = 0 from event"
    )  # that it was asked for counts all the same
    await journal(business, 3, old=False)
    await business.pool.execute("update event set recorded_at = recorded_at - interval '31 days'")
    before = rounds
    await soon(lambda: rounds > before + 3)
    assert await left(business) == 3
    await business.patch(db_garbagecollector_enable=True)
    await until(business.pool, NONE_LEFT)


async def test_the_log_level_is_followed(business: Business) -> None:
    root = logging.getLogger()
    before = root.level
    try:
        await business.patch(log_level="error")
        assert root.level == logging.ERROR
        await business.patch(verbose_logging=True)
        assert root.level == logging.DEBUG
        await business.accounts.delete_setting(1, APPLICATION)
        await business.followed()
        assert root.level == logging.INFO  # of WAROUTER_LOG_LEVEL
    finally:
        root.setLevel(before)


async def test_callbacks_do_what_a_row_asks_for_and_not_what_any_login_notifies(
    business: Business, caplog: pytest.LogCaptureFixture
) -> None:
    """NOTIFY is everybody's: its text would be signed and posted, its retry end a back-off."""
    caplog.set_level(logging.INFO, "warouter.owner.callbacks")
    for forged in ("webhook test of somebody else", "test", "callback retry", "retry"):
        await business.pool.execute("select pg_notify('warouter', $1)", forged)
    name = await ask_test(business.pool, "anna", "desk")
    await business.receiver.until(lambda: len(business.receiver.posts) == 1)
    assert business.receiver.posts[0].body == body_of(name)
    await ask_retry(business.pool, "anna", "desk")

    def hurried() -> int:
        return [r.message for r in caplog.records].count("callback retry requested")

    await soon(lambda: hurried() == 1)
    again = await ask_test(business.pool, "anna", "desk")
    await business.receiver.until(lambda: len(business.receiver.posts) == 2)
    assert business.receiver.posts[1].body == body_of(again)
    assert hurried() == 1
    audited = await business.pool.fetch(
        "select actor, action, subject, source, outcome from audit order by id"
    )
    assert [tuple(row) for row in audited] == [
        ("anna", "test webhook", f"request {name}", "desk", "done"),
        ("anna", "retry callbacks", f"request {int(name) + 1}", "desk", "done"),
        ("anna", "test webhook", f"request {again}", "desk", "done"),
    ]


async def test_a_coreapp_that_starts_does_not_do_what_was_asked_of_others(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    fetch = fetcher(pool)
    await ask_retry(pool, "anna", "desk")
    wishes = CallbackRequests(fetch)
    assert await wishes.news() == []
    name = await ask_test(pool, "anna", "desk")
    assert await wishes.news() == [(int(name), CallbackRequest.TEST)]
    assert await wishes.news() == []
    await ask_retry(pool, "anna", "desk")  # and heard after an outage of the database
    await pool.execute("update callback_request set at = at - interval '2 minutes'")
    assert await wishes.news() == []
