"""What a coreapp knows of its POSTs: failures with the beginning of the answer, and its tests."""

from __future__ import annotations

import asyncio
import socket
from typing import Any
from uuid import uuid4

import asyncpg
import msgspec
import pytest

from tests.harness.callbacks import Owner, event, running, settings_of, spread
from tests.harness.receiver import Receiver, Reply
from tests.integration.test_webhook_failures import raw_receiver
from warouter.config import Settings
from warouter.flow.event import EventRow
from warouter.flow.posts import PostFailure, Sheet, Tried
from warouter.kinds import INBOUND, STATUS
from warouter.node.reporter import Reporter
from warouter.node.runtime import ProcessIdentity
from warouter.store.bounded import fetcher
from warouter.store.reports import ReportBody, ReportWriter, read_reports
from warouter.store.views.webhook_status import read_webhook
from warouter.webhook.callbacks import Callbacks
from warouter.webhook.trial import body_of, try_out

HOSTILE = b"<img src=x onerror=alert(1)>\0\x1b[31m\xff" + b"A" * 100_000
SHOWN = "<img src=x onerror=alert(1)>??[31m?" + "A" * 165


def failures(callbacks: Callbacks) -> list[PostFailure]:
    return callbacks.record.sheet().failures


def named(kind: int, key: str) -> EventRow:
    return EventRow(0, 1, kind, key, "49170", b'{"id":"49170.1"}')


@pytest.mark.parametrize(
    ("kind", "key", "message"),
    [(STATUS, "gBEG:read:1700000000", "gBEG"), (INBOUND, "ABGG:1", "ABGG:1")],
)
async def test_a_refusal_has_its_status_and_the_beginning_of_the_answer(
    owner: Owner, receiver: Receiver, kind: int, key: str, message: str
) -> None:
    receiver.answer = Reply(500, body=HOSTILE)
    async with running(owner) as callbacks:
        before = callbacks.record.version
        callbacks.add([named(kind, key)])
        await owner.until(lambda: owner.parked)
        (failure,) = failures(callbacks)
        assert callbacks.record.version == before + 1
    assert (failure.kind, failure.event, failure.events) == (kind, message, 1)
    assert (failure.result, failure.status) == ("status", 500)
    assert failure.answer == SHOWN


@pytest.mark.parametrize(
    ("said", "result"), [(None, "timeout"), (b"", "connection"), (b"no HTTP\r\n\r\n", "connection")]
)
async def test_a_receiver_without_an_answer_is_named(
    owner: Owner, said: bytes | None, result: str
) -> None:
    async with raw_receiver(said) as url:
        owner.settings = settings_of(url)
        async with running(owner, timeout=0.2) as callbacks:
            callbacks.add([event(1)])
            await owner.until(lambda: owner.parked)
            (failure,) = failures(callbacks)
    assert (failure.result, failure.status, failure.answer) == (result, 0, "")


async def test_a_refused_connection_differs_from_a_broken_one(owner: Owner) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens
        owner.settings = settings_of(f"http://127.0.0.1:{taken.getsockname()[1]}/")
        async with running(owner) as callbacks:
            callbacks.add([event(1)])
            await owner.until(lambda: owner.parked)
            assert failures(callbacks)[0].result == "refused"
            assert [label.result for label in callbacks.requests] == ["connection"]


async def test_a_success_adds_no_failure_and_counts(owner: Owner, receiver: Receiver) -> None:
    receiver.answer = Reply(200, body=HOSTILE)
    async with running(owner) as callbacks:
        callbacks.add(spread(10))
        await owner.all_settled(10)
        assert callbacks.record.version == 0
        assert failures(callbacks) == []
        hour = callbacks.outlook()["status_change"].hour
        assert (hour.taken, hour.failed) == (len(receiver.posts), 0)
        assert callbacks.outlook()["inbound_message"].hour.taken == 0


async def test_an_outage_is_told_with_its_beginning(owner: Owner, receiver: Receiver) -> None:
    receiver.answer = 503
    async with running(owner) as callbacks:
        callbacks.add(spread(1))
        for n in range(1, 12):
            callbacks.add([event(1, f"r{n}")])
        await owner.until(lambda: callbacks.outlook()["status_change"].failing)
        outlook = callbacks.outlook()["status_change"]
        assert outlook.open
        assert outlook.since_ms >= failures(callbacks)[0].at_ms
        receiver.answer = 200
        await owner.all_settled(12)
        assert not callbacks.outlook()["status_change"].failing
        assert callbacks.outlook()["status_change"].since_ms == 0


class TestTrial:
    async def tried(self, callbacks: Callbacks, owner: Owner) -> tuple[Any, ...]:
        secrets = owner.settings.webhooks.secrets
        await try_out(callbacks.receiver, secrets, callbacks.record, "a1b2")
        tried = callbacks.record.sheet().tried
        assert tried is not None
        assert tried.name == "a1b2"
        return tried.result, tried.status, tried.answer

    async def test_a_trial_is_signed_and_holds_no_event(
        self, owner: Owner, receiver: Receiver
    ) -> None:
        receiver.answer = Reply(200, body=b"taken")
        secret = "whsec_" + "A" * 32
        owner.settings = settings_of(owner.settings.webhooks.url, secrets=[secret])
        async with running(owner) as callbacks:
            assert await self.tried(callbacks, owner) == ("success", 200, "taken")
            assert not callbacks.requests
            assert callbacks.outlook()["status_change"].hour.taken == 0
        (post,) = receiver.posts
        assert post.body == body_of("a1b2")
        assert post.events == []
        assert post.headers["webhook-signature"].startswith("v1,")

    async def test_a_trial_reports_the_receivers_answer(
        self, owner: Owner, receiver: Receiver
    ) -> None:
        receiver.answer = Reply(403, body=HOSTILE)
        async with running(owner) as callbacks:
            assert await self.tried(callbacks, owner) == ("status", 403, SHOWN)
            assert failures(callbacks) == []

    async def test_a_trial_goes_to_no_forbidden_address(
        self, owner: Owner, receiver: Receiver
    ) -> None:
        async with running(owner, allow_private=()) as callbacks:
            callbacks.receiver.url = owner.settings.webhooks.url.replace("127.0.0.1", "localhost")
            assert await self.tried(callbacks, owner) == ("address", 0, "")
        assert receiver.posts == []

    async def test_without_a_url_there_is_nothing_to_test(self, owner: Owner) -> None:
        owner.settings = settings_of("")
        async with running(owner) as callbacks:
            assert await self.tried(callbacks, owner) == ("no URL", 0, "")


async def test_failures_of_all_coreapps_are_read_together_and_no_report_holds_them(
    owner: Owner, receiver: Receiver, pool: asyncpg.Pool
) -> None:
    receiver.answer = Reply(500, body=b"the answer")
    async with running(owner) as callbacks:
        callbacks.add([named(STATUS, "gBEG:read:1")])
        await owner.until(lambda: owner.parked)
        await try_out(callbacks.receiver, (), callbacks.record, "a1b2")
        sheet, outlook = callbacks.record.sheet(), callbacks.outlook()
    fetch = fetcher(pool)
    for name in ("coreapp0", "coreapp1"):
        writer = ReportWriter(fetch, uuid4(), name, "coreapp")
        await writer.write(ReportBody([], {"webhook": outlook}))
        await writer.write_sheet(sheet)
        await writer.write(ReportBody([], {"webhook": outlook}))  # leaves the sheet as it is
    await ReportWriter(fetch, uuid4(), "of a later build", "coreapp").write(
        ReportBody([], {"webhook": {"status_change": {"hour": "many"}}})
    )
    await pool.execute("update report set webhook = '[1]' where node = 'of a later build'")

    found = await read_webhook(pool, 1)
    assert [(f.node, f.status, f.answer) for f in found.failures] == [
        ("coreapp0", 500, "the answer"),
        ("coreapp1", 500, "the answer"),
    ]
    assert [(t.node, t.name, t.status) for t in found.trials] == [
        ("coreapp0", "a1b2", 500),
        ("coreapp1", "a1b2", 500),
    ]
    (status, inbound) = found.kinds
    assert (status.kind, status.taken, status.failed) == ("status", 0, 2)
    assert (inbound.failed, inbound.half_ms) == (0, None)
    assert (found.url, found.secrets, found.secrets_at) == ("", 0, None)
    assert all(b"the answer" not in msgspec.json.encode(r) for r in await read_reports(pool))


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ('{"webhooks": {"url": "https://a.example/", "secrets": ["a", "b"]}}', (2, None)),
        ('{"webhooks": {"url": "https://a.example/", "secrets_at": "2026"}}', (0, "2026")),
        ('{"webhooks": {"url": "https://a.example/", "secrets": 3, "secrets_at": []}}', (0, None)),
    ],
)
async def test_settings_are_shown_without_a_secret(
    pool: asyncpg.Pool, stored: str, shown: tuple[int, str | None]
) -> None:
    await pool.execute("insert into setting values ('application', $1::text::jsonb)", stored)
    found = await read_webhook(pool, 1)
    assert (found.url, found.secrets, found.secrets_at) == ("https://a.example/", *shown)


@pytest.mark.parametrize(
    ("url", "registered", "shown"),
    [
        (
            "https://a.example/",
            {"headers": {"X-Token": "a", "Authorization": "b"}},
            ["Authorization", "X-Token"],
        ),
        ("https://a.example/", {"headers": {}}, []),
        ("https://b.example/", {"headers": {"X-Token": "a"}}, None),  # set since, by a PATCH
        ("https://a.example/", {"headers": ["X-Token"]}, None),
        ("https://a.example/", {}, None),
    ],
)
async def test_header_fields_are_shown_by_name_where_they_go(
    pool: asyncpg.Pool, url: str, registered: dict[str, Any], shown: list[str] | None
) -> None:
    webhooks = {"url": url, "registered": {"url": "https://a.example/", **registered}}
    stored = msgspec.json.encode({"webhooks": webhooks}).decode()
    await pool.execute("insert into setting values ('application', $1::text::jsonb)", stored)
    assert (await read_webhook(pool, 1)).headers == shown


@pytest.mark.parametrize("stored", ["[]", "1", '{"webhooks": [7]}', '{"webhooks": {"url": 5}}'])
async def test_whatever_is_stored_is_read(pool: asyncpg.Pool, stored: str) -> None:
    await pool.execute("insert into setting values ('application', $1::text::jsonb)", stored)
    found = await read_webhook(pool, 1)
    assert (found.url, found.secrets, found.secrets_at) == ("", 0, None)


class Said:
    """What a coreapp has to say beside its report, and a session that counts how often it does."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self.version = 0
        self.sheets = 0
        self.registered = asyncio.Event()
        self.registered.set()
        self._fetch = fetcher(pool)

    def sheet(self) -> Sheet:
        return Sheet(tried=Tried(f"test {self.version}", 0, "success", 200, 1, ""))

    async def fetch(self, sql: str, *arguments: Any) -> list[Any]:
        self.sheets += "write_webhook" in sql
        return await self._fetch(sql, *arguments)


async def test_a_report_brings_the_failures_only_when_there_is_news(
    settings: Settings, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: Any = Said(pool)
    reporter = Reporter(said, ProcessIdentity(settings, "coreapp"), list, aside=said)

    async def reported() -> list[str]:
        await reporter.report()
        return [trial.name for trial in (await read_webhook(pool, 1)).trials]

    assert await reported() == []
    assert said.sheets == 0  # nothing has ever failed
    said.version = 1
    assert await reported() == ["test 1"]
    assert await reported() == ["test 1"]
    assert said.sheets == 1
    said.version = 3
    assert await reported() == ["test 3"]
    assert said.sheets == 2
    # The table is unlogged: a crash of the server empties it.
    await pool.execute("delete from report")
    assert await reported() == []
    monkeypatch.setattr("warouter.node.reporter.AGAIN_SECONDS", 0.0)
    assert await reported() == ["test 3"]
