"""Messages in doubt at an owner, whole: beside their lane, sent again, ended; over owners."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import msgspec
import pytest

from tests.harness.cloud_owned import (
    SLOT,
    CloudSlots,
    ask,
    cut,
    hear,
    issues,
    owning_cloud,
    settled,
    shown,
    silent,
    taken,
    template,
)
from tests.harness.wait import soon
from warouter.config import Settings
from warouter.flow.doubt.states import DoubtState, Treatment
from warouter.kinds import HOLD, MESSAGE, kind_with
from warouter.message_id import text_of
from warouter.owner import recorder
from warouter.owner.cloud.doubt_rules import RuleBook
from warouter.owner.cloud.inbox_words import InboxWord
from warouter.store.journal.issues import KEPT
from warouter.upstream.cloud.batch import WORD

LANE, WINDOW, HELD_WINDOW = 61, 61, 3_901  # seconds, and a little more
FENCE = 32


async def older(pool: asyncpg.Pool, seconds: float) -> None:
    """All issue rows are so much older."""
    await pool.execute("update send_issue set at = at - $1 * interval '1 second'", seconds)


async def test_one_that_waits_beside_its_lane_goes_again_if_it_was_surely_not_taken(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    """It was neither in the journal any more nor parked: it was never sent, and had no end."""
    async with owning_cloud(settings, pool, cut) as slots:
        message_id = slots.message(body=template("marketing"))
        await slots.begun(1)
        slots.graph.script = taken
        await doubted(slots, message_id)
        slots.skip(LANE)
        await soon(lambda: state(slots, message_id) is DoubtState.ASIDE)
        word = msgspec.json.encode(InboxWord("not taken"))
        await slots.journal.say(SLOT, WORD, "word", message_id, 1, None, word)
        await slots.begun(2)
        await settled(pool)
        assert slots.graph.refs() == [(message_id, 1), (message_id, 2)]
        assert slots.slot.issues == {}


async def test_a_doubt_ends_while_the_looks_at_what_is_parked_wait_for_the_database(
    settings: Settings, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind those of all slots it was not decided before its owner had died, ten times over."""

    async def waits(_slot: object) -> None:
        await asyncio.Event().wait()

    async with owning_cloud(settings, pool, cut, cloud_in_doubt="hold") as slots:
        monkeypatch.setattr(slots.sender.backlog.parked, "look_at", waits)
        await held(slots, slots.message())


async def test_the_next_owner_sends_again_what_waited_beside_its_lane(
    settings: Settings, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One record took it out of the parked table and put it there: it was in none."""
    monkeypatch.setattr(recorder, "FLUSH_SECONDS", 1.5)
    monkeypatch.setattr(recorder, "FEW_SECONDS", 1.5)
    async with owning_cloud(settings, pool, silent) as slots:
        message_id = slots.message(body=template("marketing"))
        await slots.begun(1)
    async with owning_cloud(settings, pool):
        pass
    await older(pool, HELD_WINDOW)
    async with owning_cloud(settings, pool) as slots:
        await slots.begun(1)
        await settled(pool)
        assert slots.graph.refs() == [(message_id, 2)]


async def test_an_owner_that_knows_another_category_sends_again_what_waited_aside(
    settings: Settings, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the shorter window it had kept its place: it was looked for there, and never sent."""
    async with owning_cloud(settings, pool, cut) as slots:
        message_id = slots.message(body=template("marketing"))
        await slots.begun(1)
        await doubted(slots, message_id)
        slots.skip(LANE)
        await soon(lambda: state(slots, message_id) is DoubtState.ASIDE)
        await soon(lambda: left_its_lane(slots, message_id))
    known = RuleBook.of
    monkeypatch.setattr(RuleBook, "of", lambda self, _treatment: known(self, Treatment()))
    await older(pool, WINDOW)
    async with owning_cloud(settings, pool) as slots:
        await slots.begun(1)
        await settled(pool)
        assert slots.graph.refs() == [(message_id, 2)]


async def test_one_that_waits_beside_its_lane_goes_again_when_the_lane_is_free(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    """It threw out of memory what was out, and no later message of its recipient ever went."""
    async with owning_cloud(settings, pool, cut) as slots:
        first = slots.message(body=template("marketing"))
        await slots.begun(1)
        second = slots.message()
        slots.graph.script = silent
        await soon(lambda: first in slots.slot.issues and slots.slot.issues[first].since > 0)
        slots.skip(LANE)
        await slots.begun(2)
        slots.skip(HELD_WINDOW)
        reading = slots.end.readings.begun()
        await soon(lambda: slots.end.readings.begun() > reading + 4)
        request = slots.graph.requests[1]
        assert request.ref == (second, 1)
        slots.graph.script = taken
        request.answer.set_result(taken(request))
        await slots.begun(3)
        third = slots.message()
        await settled(pool)
        assert slots.graph.refs() == [(first, 1), (second, 1), (first, 2), (third, 1)]


async def test_evidence_ends_a_message_that_waits_behind_another_to_be_sent_again(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    """It went once more, under its first reference."""
    kind = kind_with(MESSAGE, HOLD)
    async with owning_cloud(settings, pool, cut) as slots:
        first = slots.message(kind=kind)
        await held(slots, first)
        second = slots.message(kind=kind)
        await held(slots, second)
        slots.graph.script = silent
        for message_id in (first, second):
            await ask(slots, message_id)
        await slots.begun(3)
        await soon(lambda: state(slots, second) is DoubtState.QUEUED)
        await soon(lambda: slots.slot.lanes.waiting == 2)
        await hear(pool, (second, 1))
        await soon(lambda: second not in slots.slot.issues)
        slots.graph.script = taken
        slots.graph.requests[2].answer.set_result(taken(slots.graph.requests[2]))
        await settled(pool)
        assert slots.graph.refs() == [(first, 1), (second, 1), (first, 2)]


async def test_a_message_in_doubt_keeps_its_place_as_long_as_webhooks_do_not_provably_come(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    """The next one went after a minute, and the first one after it: the order was lost."""
    async with owning_cloud(settings, pool, cut) as slots:
        first = slots.message()
        await slots.begun(1)
        slots.proven = False
        slots.graph.script = taken
        second = slots.message()
        await soon(lambda: state(slots, first) is DoubtState.DOUBT)
        slots.skip(LANE)
        reading = slots.end.readings.begun()
        await soon(lambda: slots.end.readings.begun() > reading + 5)
        slots.proven = True
        await settled(pool)
        assert slots.graph.refs() == [(first, 1), (first, 2), (second, 1)]


async def test_an_operator_holds_a_message_in_doubt_and_lets_those_behind_it_go(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    """Not before its request can be taken no more; the policy would send it again."""
    async with owning_cloud(settings, pool, cut) as slots:
        first = slots.message()
        await slots.begun(1)
        await doubted(slots, first)
        slots.proven = False
        slots.graph.script = taken
        second = slots.message()
        await ask(slots, first, "hold")
        reading = slots.end.readings.begun()
        await soon(lambda: slots.end.readings.begun() > reading + 4)
        assert (state(slots, first), slots.graph.refs()) == (DoubtState.DOUBT, [(first, 1)])
        slots.skip(FENCE)
        await slots.begun(2)
        assert state(slots, first) is DoubtState.HELD
        slots.proven = True
        slots.skip(WINDOW)
        await ask(slots, first, "resend")
        await settled(pool)
        assert slots.graph.refs() == [(first, 1), (second, 1), (first, 2)]


@pytest.mark.parametrize("policy", ["hold", "resend"])
async def test_a_held_message_goes_again_once_surely_not_taken(
    settings: Settings, pool: asyncpg.Pool, policy: str
) -> None:
    """A former owner says so late; with a policy that sends again it needs no doubt-free past."""
    tries = {"hold": 1, "resend": 3}[policy]
    async with owning_cloud(settings, pool, cut, cloud_in_doubt=policy) as slots:
        message_id = slots.message()
        for number in range(1, tries + 1):
            await slots.begun(number)
            await doubted(slots, message_id, number)
            slots.end.pace.brake.took()  # as others are
            slots.skip(WINDOW)
        await soon(lambda: state(slots, message_id) is DoubtState.HELD)
        slots.graph.script = taken
        await say(slots, message_id, tries, InboxWord("not taken"))
        await slots.begun(tries + 1)
        await settled(pool)
        assert slots.graph.refs() == [(message_id, n) for n in range(1, tries + 2)]


async def test_a_held_message_stays_if_an_earlier_attempt_is_open(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    """And its policy forbids to send it again; the operator had, once."""
    async with owning_cloud(settings, pool, cut, cloud_in_doubt="hold") as slots:
        message_id = slots.message()
        await held(slots, message_id)
        await ask(slots, message_id)
        await slots.begun(2)
        await held(slots, message_id, 2)
        await say(slots, message_id, 2, InboxWord("not taken"))
        await soon(lambda: pool.fetchval("select count(*) = 0 from cloud_inbox"))
        await soon(lambda: pool.fetchval("select doubts = 1 from send_issue"))
        assert await issues(pool) == [(message_id, 2, 1, KEPT)]
        assert slots.graph.refs() == [(message_id, 1), (message_id, 2)]


async def test_a_held_message_fails_with_its_refusal(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    async with owning_cloud(settings, pool, cut, cloud_in_doubt="hold") as slots:
        message_id = slots.message()
        await held(slots, message_id)
        await say(slots, message_id, 1, InboxWord("refused", 470, "closed", "24 h"))
        await settled(pool)
        payload = await pool.fetchval("select payload from event")
        assert msgspec.json.decode(payload)["errors"][0]["code"] == 470


def state(slots: CloudSlots, message_id: bytes) -> DoubtState | None:
    """The state of a message now."""
    issue = slots.slot.issues.get(message_id)
    return issue.state if issue is not None else None


def left_its_lane(slots: CloudSlots, message_id: bytes) -> bool:
    """True once that is on disk."""
    return slots.slot.issues.on_disk(slots.slot.issues[message_id], slots.slot.recorded)


async def doubted(slots: CloudSlots, message_id: bytes, attempt: int = 1) -> None:
    """Wait until nobody knows of this attempt."""
    await soon(lambda: state(slots, message_id) is DoubtState.DOUBT)
    await soon(lambda: slots.slot.issues[message_id].attempt == attempt)


async def held(slots: CloudSlots, message_id: bytes, attempt: int = 1) -> None:
    """Wait until the window of this attempt is over, and an operator is asked."""
    await doubted(slots, message_id, attempt)
    slots.skip(WINDOW)
    await soon(lambda: state(slots, message_id) is DoubtState.HELD)


async def say(slots: CloudSlots, message_id: bytes, attempt: int, word: InboxWord) -> None:
    """A former owner has heard of an attempt."""
    place = SLOT, WORD, f"word:{message_id.hex()}:{attempt}", message_id, attempt
    await slots.journal.say(*place, None, msgspec.json.encode(word))


async def test_a_message_behind_a_doubt_fails_at_its_own_ttl(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    """No request of it began, so its client need not wait for the window to hear of it."""
    async with owning_cloud(settings, pool, cut) as slots:
        first, second, third = slots.message(), slots.message(ttl=4), slots.message()
        await soon(lambda: pool.fetchval("select count(*) = 3 from parked_message"))
        await soon(lambda: shown(pool, second))
        event = await pool.fetchval("select payload from event")
        [error] = msgspec.json.decode(event)["errors"]
        assert (error["code"], "unknown" in error["details"]) == (410, False)
        assert state(slots, first) is DoubtState.DOUBT
        assert slots.graph.refs() == [(first, 1)]
        slots.graph.script = taken
        await hear(pool, (first, 1))
        await settled(pool)
        assert slots.graph.refs() == [(first, 1), (third, 1)]


async def test_the_age_of_a_message_in_doubt_does_not_end_it_as_if_it_had_never_been_sent(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    async with owning_cloud(settings, pool, cut) as slots:
        first = slots.message(ttl=3)
        slots.message(ttl=4)
        await soon(lambda: pool.fetchval("select count(*) = 2 from event"))
        [said] = await pool.fetch(
            "select payload from event where starts_with(key, $1)", text_of(first)
        )
        [error] = msgspec.json.decode(said["payload"])["errors"]
        assert error["details"].startswith("outcome unknown")


async def test_evidence_ends_a_message_whose_age_is_being_looked_at(
    settings: Settings, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its row was read while it was in doubt: "expired" was shown after "delivered"."""
    async with owning_cloud(settings, pool, cut) as slots:
        first = slots.message(ttl=2)
        await soon(lambda: pool.fetchval("select count(*) = 1 from parked_message"))
        source, looked = slots.sender.backlog.parked.source, asyncio.Event()
        read = source.rows

        async def rows(*args: Any) -> Any:
            found = await read(*args)
            if not looked.is_set():
                await hear(pool, (first, 1))
                await soon(lambda: first not in slots.slot.issues)
                looked.set()
            return found

        async def none(_names: object) -> set[str]:
            return set()  # the event that comes with the evidence is not on disk yet

        monkeypatch.setattr(source, "rows", rows)
        monkeypatch.setattr(slots.journal, "with_status", none)
        monkeypatch.setattr(slots.sender.looks, "look_at", lambda *_: 0)
        await looked.wait()
        await settled(pool)
        slots.graph.script = taken
        second = slots.message()
        await slots.begun(2)  # its message is on disk
        await hear(pool, (second, 1))
        await soon(lambda: shown(pool, second))
        assert await shown(pool, first) == ["sent"]


async def test_two_messages_of_a_lane_may_be_in_doubt(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    """The first one had returned to the lane of the second. What opens it for one lets the other go
    no sooner.
    """
    async with owning_cloud(settings, pool, silent) as slots:
        first, second = slots.message(), slots.message()
        await slots.begun(1)
        await soon(lambda: pool.fetchval("select count(*) = 2 from message"))
    await pool.execute(
        "insert into send_issue (slot, seq, id, recipient, attempt, doubts, state, at, look_at)"
        " select slot, seq, id, recipient, 1, 1, 2, now() - interval '61 s', now()"
        "  from message where id = $1",
        second,
    )
    async with owning_cloud(settings, pool) as slots:
        epoch = slots.slot.epoch
        reading = slots.end.readings.begun()
        await soon(lambda: slots.end.readings.begun() > reading + 4)
        assert slots.graph.refs() == []
        slots.skip(WINDOW)
        await settled(pool)
        assert slots.graph.refs() == [(first, 2), (second, 2)]
        assert slots.slot.epoch == epoch
