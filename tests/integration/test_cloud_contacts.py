"""Who could not be reached, and whose identity is known: from webhooks and answers to requests."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import msgspec
import pytest

from tests.harness.cloud_owned import SLOT, CloudSlots, owning_cloud, refused, settled, shown
from tests.harness.owned import RECIPIENT
from tests.harness.wait import soon
from tests.harness.webhooks import SENT, Webhook, status, text, webhook
from warouter.app_settings import ApplicationSettings
from warouter.config import Settings
from warouter.store.cloud.contacts import CloudContacts
from warouter.upstream.cloud.batch import STATUS
from warouter.upstream.cloud.identity import alias_of
from warouter.upstream.cloud.reference import reference

ANN, USER = "15550001111", "US.13491208655302741918"
OTHER = "4915112345679"
UNREACHABLE, WINDOW_CLOSED = 131026, 131047
NOW, OLD = 4_000_000_000, 1_600_000_000  # unix s; the first is after any request


async def keys(pool: asyncpg.Pool) -> dict[str, tuple[str, int, str | None]]:
    rows = await pool.fetch(
        "select wa_id, hash, extract(epoch from since)::bigint, acknowledged from contact_key"
    )
    return {wa_id: tuple(rest) for wa_id, *rest in rows}


async def unreachable(pool: asyncpg.Pool, *numbers: str) -> set[str]:
    return await CloudContacts(pool).unreachable(1, numbers)


def failed(code: int, at: int = NOW, **more: Any) -> bytes:
    said = {"id": "wamid.1", "status": "failed", "timestamp": str(at), **more}
    return msgspec.json.encode(said | {"errors": [{"code": code, "title": "no"}]})


async def hear(pool: asyncpg.Pool, message_id: bytes, payload: bytes) -> None:
    """A failure of the first attempt, as a webapp writes it."""
    at = msgspec.json.decode(payload)["timestamp"]
    await pool.execute(
        "insert into cloud_inbox (slot, kind, key, id, attempt, wamid, payload)"
        " values ($1, $2, $3, $4, 1, 'wamid.1', $5)",
        *(SLOT, STATUS, f"wamid.1:failed:{at}", message_id, payload),
    )


async def written(me: CloudSlots) -> None:
    """What was learned so far is on disk."""
    await me.end._learned._write_unreachable()


class TestUnreachable:
    @pytest.mark.parametrize(
        ("code", "found"), [(UNREACHABLE, {RECIPIENT}), (WINDOW_CLOSED, set[str]())]
    )
    async def test_by_the_answer_of_that_cause_alone(
        self, settings: Settings, pool: asyncpg.Pool, code: int, found: set[str]
    ) -> None:
        async with owning_cloud(settings, pool, refused(code)) as me:
            me.message()
            await settled(pool)
            assert found or not me.end._learned._unreachable
            await written(me)
            assert await unreachable(pool, RECIPIENT, OTHER) == found

    @pytest.mark.parametrize(
        ("code", "at", "found"),
        [
            (UNREACHABLE, NOW, {RECIPIENT}),
            (UNREACHABLE, OLD, set[str]()),  # a late failure keeps its own time
            (WINDOW_CLOSED, NOW, set[str]()),
        ],
    )
    async def test_by_a_status_of_that_cause_alone(
        self, settings: Settings, pool: asyncpg.Pool, code: int, at: int, found: set[str]
    ) -> None:
        async with owning_cloud(settings, pool) as me:
            message_id = me.message()
            await settled(pool)
            await hear(pool, message_id, failed(code, at))
            await soon(lambda: shown(pool, message_id))
            assert code == UNREACHABLE or not me.end._learned._unreachable
            await written(me)
            assert await unreachable(pool, RECIPIENT) == found

    async def test_the_latest_failure_counts(self, settings: Settings, pool: asyncpg.Pool) -> None:
        async with owning_cloud(settings, pool) as me:
            for at in (0, OLD):
                await me.journal.learn_unreachable([(1, RECIPIENT, at), (1, OTHER, OLD)])
        assert await unreachable(pool, RECIPIENT, OTHER) == {RECIPIENT}

    async def test_a_database_that_is_away_costs_nothing_else(
        self, settings: Settings, pool: asyncpg.Pool
    ) -> None:
        async with owning_cloud(settings, pool) as me:
            me.end._learned.unreachable(1, RECIPIENT, 0)
            await pool.execute("alter table cloud_unreachable rename to elsewhere")
            await written(me)
            await pool.execute("alter table elsewhere rename to cloud_unreachable")
            me.message()
            await settled(pool)
            assert await unreachable(pool, RECIPIENT) == set()


class TestKeys:
    async def test_the_first_is_acknowledged_and_the_next_is_not(
        self, hooks: list[Webhook], pool: asyncpg.Pool
    ) -> None:
        said = {"timestamp": "1764000000", "recipient_identity_key_hash": "a"}
        assert await hooks[0].post(webhook(statuses=[status("wamid.1", **said)])) == 200
        assert await keys(pool) == {ANN: ("a", 1764000000, "a")}
        contact = {"profile": {"name": "Ann"}, "wa_id": ANN, "identity_key_hash": "b"}
        assert await hooks[1].post(webhook(contacts=[contact], messages=[text("wamid.2")])) == 200
        assert await keys(pool) == {ANN: ("b", 1764000004, "a")}
        assert await CloudContacts(pool).key(1, ANN) == ("b", 1764000004, False)

    async def test_an_older_identity_changes_nothing(
        self, hooks: list[Webhook], pool: asyncpg.Pool
    ) -> None:
        for hash, at in (("a", 100), ("b", 300), ("a", 200)):
            said = {"timestamp": str(SENT + at), "recipient_identity_key_hash": hash}
            body = webhook(statuses=[status("wamid.1", **said)])
            assert [await hook.post(body) for hook in hooks] == [200, 200]
        assert await keys(pool) == {ANN: ("b", SENT + 300, "a")}

    async def test_a_change_of_somebody_unknown_is_not_acknowledged(
        self, hooks: list[Webhook], pool: asyncpg.Pool
    ) -> None:
        system = {"type": "customer_identity_changed", "identity": "b"}
        body = webhook(messages=[text("wamid.1", type="system", system=system)])
        assert await hooks[0].post(body) == 200
        assert await keys(pool) == {ANN: ("b", 1764000004, None)}

    async def test_a_user_without_a_number_is_known_by_the_alias(
        self, hooks: list[Webhook], pool: asyncpg.Pool
    ) -> None:
        contact = {"profile": {"name": "Ann"}, "user_id": USER, "identity_key_hash": "a"}
        hidden = text("wamid.1", sender="", from_user_id=USER)
        assert await hooks[0].post(webhook(contacts=[contact], messages=[hidden])) == 200
        assert await keys(pool) == {alias_of(USER): ("a", 1764000004, "a")}

    async def test_known_ones_cost_no_statement(
        self, hooks: list[Webhook], pool: asyncpg.Pool
    ) -> None:
        said = {"recipient_identity_key_hash": "a"}
        assert await hooks[0].post(webhook(statuses=[status("wamid.1", **said)])) == 200
        await pool.execute("drop function keep_keys")
        assert await hooks[0].post(webhook(statuses=[status("wamid.2", **said)])) == 200
        assert await hooks[1].post(webhook(statuses=[status("wamid.3", **said)])) == 503

    async def test_webapps_that_hear_of_the_same_customers_do_not_wait_in_a_circle(
        self, hooks: list[Webhook], pool: asyncpg.Pool
    ) -> None:
        """Guards the order in ``keep_keys``; the inbox has rows of others in each post."""
        count = 60

        def body(turn: int, who: range) -> bytes:
            rows = [
                status(
                    f"wamid.{turn}.{who.step}.{n}",
                    reference=reference(n.to_bytes(20, "big"), 1),
                    recipient_id=f"1555000{n:04d}",
                    timestamp=str(1_764_000_000 + turn),
                    recipient_identity_key_hash=f"{turn}",
                )
                for n in who
            ]
            return webhook(statuses=rows)

        for turn in range(15):
            bodies = [body(turn, range(count)), body(turn, range(count - 1, -1, -1))]
            posts = [hook.post(each) for hook, each in zip(hooks, bodies, strict=True)]
            assert await asyncio.gather(*posts) == [200, 200]
        assert {hash for hash, _, _ in (await keys(pool)).values()} == {"14"}

    async def test_an_acknowledgement_names_its_hash(
        self, hooks: list[Webhook], pool: asyncpg.Pool
    ) -> None:
        contacts = CloudContacts(pool)
        assert await contacts.acknowledge(1, ANN, "a") is None
        await pool.execute("insert into contact_key values ($1, 'b', now(), 'a')", ANN)
        for hash, acknowledged in (("a", False), ("b", True), ("a", True)):
            known = await contacts.acknowledge(1, ANN, hash)
            assert known is not None
            assert (known.hash, known.acknowledged) == ("b", acknowledged)


class TestSending:
    async def test_a_message_names_the_identity_that_is_acknowledged(
        self, settings: Settings, pool: asyncpg.Pool
    ) -> None:
        """Of whom none is known, or none acknowledged, it names none."""
        numbers = [f"49151123456{n}" for n in range(70, 73)]
        for number, acknowledged in zip(numbers, ("a", None), strict=False):
            sql = "insert into contact_key values ($1, 'b', now(), $2)"
            await pool.execute(sql, number, acknowledged)
        async with owning_cloud(settings, pool) as me:
            me.in_force.applications[1] = ApplicationSettings(show_security_notifications=True)
            for number in numbers:
                me.message(number)
            await settled(pool)
            told = {
                r.body["to"]: r.body.get("recipient_identity_key_hash") for r in me.graph.requests
            }
        assert told == {f"+{numbers[0]}": "a", f"+{numbers[1]}": None, f"+{numbers[2]}": None}

    async def test_each_number_says_if_its_messages_name_identities(
        self, settings: Settings, pool: asyncpg.Pool
    ) -> None:
        await pool.execute("insert into number (id, name) values (2, 'two') on conflict do nothing")
        recipients = ["4915112345670", "4915112345671"]
        sql = "insert into contact_key values ($1, 'a', now(), 'a', $2)"
        for number, recipient in enumerate(recipients, 1):
            await pool.execute(sql, recipient, number)
        async with owning_cloud(settings, pool) as me:
            me.in_force.applications[1] = ApplicationSettings(show_security_notifications=True)
            for number, recipient in enumerate(recipients, 1):
                me.message(recipient, number=number)
            await settled(pool)
            told = {
                r.body["to"]: r.body.get("recipient_identity_key_hash") for r in me.graph.requests
            }
        assert told == {f"+{recipients[0]}": "a", f"+{recipients[1]}": None}

    async def test_a_message_names_the_identity_that_its_number_has_acknowledged(
        self, settings: Settings, pool: asyncpg.Pool
    ) -> None:
        sql = "insert into contact_key values ($1, $2, now(), $2, $3)"
        for number, hash in ((1, "a"), (2, "b")):
            await pool.execute(sql, RECIPIENT, hash, number)
        async with owning_cloud(settings, pool) as me:
            checking = ApplicationSettings(show_security_notifications=True)
            me.in_force.applications = dict.fromkeys((1, 2, 3), checking)
            ids = {me.message(number=number): number for number in (1, 2, 3)}
            await settled(pool)
            named = [r.body.get("recipient_identity_key_hash") for r in me.graph.requests]
            told = {ids[ref]: key for (ref, _), key in zip(me.graph.refs(), named, strict=True)}
        assert told == {1: "a", 2: "b", 3: None}

    async def test_a_lane_keeps_its_order_and_look_ups_are_shared(
        self, settings: Settings, pool: asyncpg.Pool
    ) -> None:
        count = 40
        await pool.execute("insert into contact_key values ($1, 'a', now(), 'a')", RECIPIENT)
        async with owning_cloud(settings, pool) as me:
            me.in_force.applications[1] = ApplicationSettings(show_security_notifications=True)
            asked: list[int] = []
            answers = asyncio.Event()
            keys_of, waiting = me.journal.keys_of, me.sender._lookups._waiting

            async def counted(contacts: list[tuple[int, str]]) -> dict[tuple[int, str], str]:
                asked.append(len(contacts))
                await answers.wait()
                return await keys_of(contacts)

            vars(me.journal)["keys_of"] = counted
            ids = [me.message() for _ in range(3)]
            others = [me.message(f"4915112346{n:03d}") for n in range(count)]
            await soon(lambda: sum(map(len, waiting.values())) + sum(asked) > count)
            answers.set()
            await settled(pool)
            mine = [ref for ref, _ in me.graph.refs() if ref in ids]
        assert mine == ids
        assert sum(asked) == len(ids) + len(others)
        assert len(asked) <= 2 + len(ids)
        assert not waiting

    async def test_while_it_is_off_nothing_is_looked_up(
        self, settings: Settings, pool: asyncpg.Pool
    ) -> None:
        await pool.execute("insert into contact_key values ($1, 'a', now(), 'a')", RECIPIENT)
        async with owning_cloud(settings, pool) as me:
            vars(me.journal)["keys_of"] = None  # a call would end the slot's epoch
            message_id = me.message()
            await settled(pool)
            assert me.graph.refs() == [(message_id, 1)]
            assert "recipient_identity_key_hash" not in me.graph.requests[0].body
