"""What Meta's webhooks and answers show to one of two numbers: the other neither sees nor loses it.

Numbers 1 and 2 are of one portfolio, number 3 is of another, and of another account.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from tests.harness.cloud_number import some_number
from tests.harness.journals import ME
from tests.harness.webhooks import ACCOUNT, NUMBER, Webhook, inbox_of, status, text, webhook
from warouter.config import Settings
from warouter.store.cloud.contacts import CloudContacts, KnownKey
from warouter.store.cloud.notices import read_notices
from warouter.store.journal import Journal
from warouter.store.views.number_status import read_number
from warouter.upstream.cloud.identity import alias_of

SECOND, THIRD = "2" * 15, "3" * 15
OTHER_ACCOUNT = "33"
ANN, USER = "15550001111", "US.1122334455"
HIDDEN = {"sender": "", "from_user_id": USER}


@pytest.fixture
async def hook(settings: Settings) -> AsyncIterator[Webhook]:
    of = some_number(id=2, name="two", phone_number_id=SECOND, waba_id=ACCOUNT)
    foreign = some_number(
        id=3, name="three", phone_number_id=THIRD, waba_id=OTHER_ACCOUNT, portfolio=2
    )
    made = Webhook(settings, others=(of, foreign))
    await made.open()
    yield made
    await made.close()


@pytest.fixture
async def journal(settings: Settings) -> AsyncIterator[Journal]:
    made = Journal(settings, ME, "test")
    yield made
    await made.close()


async def write(hook: Webhook, number: str, *messages: dict[str, Any]) -> None:
    assert await hook.post(webhook(number=number, messages=list(messages))) == 200


async def users(pool: asyncpg.Pool) -> list[tuple[Any, ...]]:
    columns = "portfolio, user_id, wa_id, alias, successor"
    rows = await pool.fetch(f"select {columns} from contact_identity order by 1, 2")
    return [tuple(row) for row in rows]


async def test_each_number_acknowledges_an_identity_for_itself(
    hook: Webhook, pool: asyncpg.Pool, journal: Journal
) -> None:
    contacts = CloudContacts(pool)
    for number, hash, at in ((NUMBER, "a", 1), (SECOND, "a", 1), (NUMBER, "b", 2)):
        said = {"timestamp": str(1764000000 + at), "recipient_identity_key_hash": hash}
        assert await hook.post(webhook(number=number, statuses=[status("w", **said)])) == 200
    assert await contacts.key(1, ANN) == KnownKey("b", 1764000002, acknowledged=False)
    assert await contacts.key(2, ANN) == KnownKey("a", 1764000001, acknowledged=True)
    assert await contacts.key(3, ANN) is None
    assert await contacts.acknowledge(2, ANN, "b") == await contacts.key(2, ANN)
    assert await contacts.acknowledge(1, ANN, "b") == KnownKey("b", 1764000002, acknowledged=True)
    asked = [(number, ANN) for number in (1, 2, 3)]
    assert await journal.keys_of(asked) == {(1, ANN): "b", (2, ANN): "a"}


async def test_whom_one_number_could_not_reach_another_may_write_to(
    pool: asyncpg.Pool, journal: Journal
) -> None:
    await journal.learn_unreachable([(2, ANN, 0)])
    contacts = CloudContacts(pool)
    assert [await contacts.unreachable(number, [ANN]) for number in (1, 2)] == [set(), {ANN}]


async def test_a_switch_is_one_numbers(pool: asyncpg.Pool) -> None:
    contacts = CloudContacts(pool)
    await contacts.tell(2, "check", True)
    await contacts.tell(1, "check", None)
    assert [await contacts.told(number, "check") for number in (1, 2, 3)] == [None, True, False]


async def test_two_portfolios_have_a_user_of_one_id_each(
    hook: Webhook, pool: asyncpg.Pool, journal: Journal
) -> None:
    """Its number, its alias and what that stands for are of a portfolio, too."""
    ours, theirs = alias_of(USER), alias_of(USER, portfolio=2)
    assert ours != theirs
    for number in (NUMBER, SECOND, THIRD):
        await write(hook, number, text("wamid.1", **HIDDEN))
    assert await users(pool) == [(1, USER, None, ours, None), (2, USER, None, theirs, None)]
    assert [(row["number"], row["recipient"]) for row in await inbox_of(pool)] == [
        (1, ours),
        (2, ours),
        (3, theirs),
    ]
    assert await journal.users_of(1, [ours, theirs]) == {ours: USER}
    assert await journal.users_of(2, [ours, theirs]) == {theirs: USER}
    await write(hook, THIRD, text("wamid.2", from_user_id=USER))
    await journal.learn([(1, "US.2", ANN)])
    assert await users(pool) == [
        (1, USER, None, ours, None),
        (1, "US.2", ANN, None, None),
        (2, USER, ANN, theirs, None),
    ]
    told = [row for row in await inbox_of(pool) if row["key"].startswith("w1.revealed.")]
    assert [(row["number"], row["recipient"]) for row in told] == [(3, theirs)]


async def test_a_user_gets_another_id_in_one_portfolio(hook: Webhook, pool: asyncpg.Pool) -> None:
    for number in (NUMBER, THIRD):
        await write(hook, number, text("wamid.1", **HIDDEN))
    system = {"type": "user_changed_user_id", "user_id": "US.77", "previous_user_id": USER}
    await write(hook, THIRD, text("wamid.2", type="system", system=system, **HIDDEN))
    alias = alias_of(USER, portfolio=2)
    assert await users(pool) == [
        (1, USER, None, alias_of(USER), None),
        (2, USER, None, None, "US.77"),
        (2, "US.77", None, alias, None),
    ]


async def test_equal_digits_are_two_aliases(pool: asyncpg.Pool) -> None:
    """Who goes on in one portfolio keeps its alias though it is given to somebody in the other."""
    digits = alias_of(ANN)
    await pool.execute("insert into contact_identity (user_id, alias) values ('US.0', $1)", digits)
    await pool.execute(
        "select learn_identities(array['US.0'], array['US.1'], array[1], array[2],"
        " array['US.9'], array[null], array[$1], array[null], array[null], array[null])",
        digits,
    )
    rows = await pool.fetch("select portfolio, user_id, alias from contact_identity order by 1, 2")
    assert [tuple(row) for row in rows] == [(1, "US.0", digits), (2, "US.9", digits)]


async def test_of_what_is_unreadable_each_app_keeps_its_newest_hundred(
    hook: Webhook, pool: asyncpg.Pool
) -> None:
    await hook.posts.keep(2, "a reason", b"of another")
    for number in range(101):
        await hook.posts.keep(1, "a reason", b"%d" % number)
    counted = await pool.fetch("select app, count(*) from cloud_quarantine group by 1 order by 1")
    assert [tuple(row) for row in counted] == [(1, 100), (2, 1)]


async def test_kept_elements_are_kept_for_each_number(hook: Webhook, pool: asyncpg.Pool) -> None:
    hook.now += 60 * 86_400.0  # and so both are too old
    for number in (NUMBER, SECOND):
        await write(hook, number, text("wamid.1"))
    kept = await pool.fetch("select key, number from cloud_kept order by number")
    assert [row["number"] for row in kept] == [1, 2]
    assert kept[0]["key"] == kept[1]["key"]


async def test_a_notice_is_of_the_numbers_of_its_account(hook: Webhook, pool: asyncpg.Pool) -> None:
    for account, said in ((ACCOUNT, "ours"), (OTHER_ACCOUNT, "theirs"), ("44", "nobodys")):
        body = webhook(field="account_update", account=account, event=said)
        assert await hook.post(body) == 200
    for number, event in ((1, "ours"), (2, "ours"), (3, "theirs")):
        last, notice = await read_notices(pool, number)
        assert (last.field, notice.field) == ("account_update of account 44", "account_update")
        assert event in notice.said


async def test_facts_are_shown_of_the_number_that_is_asked_for(pool: asyncpg.Pool) -> None:
    await pool.execute("update format set upstream = 'cloud:1'")
    await pool.execute("insert into cloud_number (number, level) values (1, 80), (2, 1000)")
    found = [await read_number(pool, number) for number in (1, 2)]
    assert [facts and facts.level for facts in found] == [80, 1000]
