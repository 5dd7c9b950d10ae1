"""Issue rows, the ids of the Cloud API and its inbox, on a real PostgreSQL."""

from __future__ import annotations

import asyncio
import math
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from msgspec.structs import replace

from tests.harness.journals import ME, OTHER, OWNED, RECIPIENT, an_id, event, own, page_of, row
from tests.harness.wait import PATIENCE, soon
from warouter.config import Settings
from warouter.flow.progress import LogProgress, Park, Reopened, Stated, Took, Unissued, Unpark
from warouter.message_id import text_of
from warouter.store.bounded import fetcher
from warouter.store.history import prune_cloud
from warouter.store.journal import (
    FENCED,
    KNOWN,
    PROVEN,
    IssueRequest,
    Journal,
    SlotProgress,
    StoredIssue,
    sessions,
)
from warouter.store.journal import issues as issue_rows
from warouter.store.journal.inbox import Proof
from warouter.store.journal.issues import DOUBTED, ISSUED, KEPT, NOT_TAKEN
from warouter.store.journal.slots import Pruned

_NONE = LogProgress(0, [], [])


def request(seq: int, attempt: int = 1, doubts: int = 0, slot: int = 3) -> IssueRequest:
    return IssueRequest(slot, seq, an_id(seq, slot), RECIPIENT, attempt, doubts)


async def record(journal: Journal, *changes: Any, slot: int = 3) -> set[int]:
    progress = SlotProgress(slot, LogProgress(0, [], list(changes)), _NONE, _NONE)
    return await journal.record({slot: OWNED[slot]}, [progress])


async def states(pool: asyncpg.Pool) -> list[tuple[Any, ...]]:
    """Slot, seq, attempt, doubts and state of each issue row."""
    rows = await pool.fetch(
        "select slot, seq, attempt, doubts, state from send_issue order by slot, seq"
    )
    return [tuple(each) for each in rows]


async def told(pool: asyncpg.Pool, number: int, kind: int = 0, wamid: str | None = "w") -> None:
    """A row in the inbox that speaks of a message of slot 3."""
    await pool.execute(
        "insert into cloud_inbox (slot, kind, key, id, attempt, wamid, payload)"
        " values (3, $1, $2, $3, 1, $4, '{}')",
        *(kind, uuid4().hex, an_id(number), wamid),
    )


async def found_by_the_next(journal: Journal) -> list[StoredIssue]:
    """An owner opens the slots, and reads what is to be looked at."""
    await journal.open_issues(OWNED)
    return await journal.due_issues(dict.fromkeys(OWNED, 100))


async def test_a_message_is_appended_with_its_issue_row(
    journal: Journal, pool: asyncpg.Pool
) -> None:
    rows = [row(1), row(2), row(1, slot=5)]
    assert await journal.append_issued(OWNED, rows, rows[::2]) == ({}, True)
    assert await states(pool) == [(3, 1, 1, 0, ISSUED), (5, 1, 1, 0, ISSUED)]
    assert await pool.fetchval("select count(*) from message") == 3


async def test_where_one_is_known_none_is_issued(journal: Journal, pool: asyncpg.Pool) -> None:
    await journal.append(OWNED, [row(1)])
    rows = [row(2), row(3, number=1)]
    assert await journal.append_issued(OWNED, rows, rows[:1]) == ({1: KNOWN}, False)
    assert await states(pool) == []
    assert await pool.fetchval("select count(*) from message") == 2


async def test_a_row_that_cannot_be_stored_costs_the_others_no_more_than_their_issue(
    journal: Journal, pool: asyncpg.Pool
) -> None:
    rows = [row(1), row(2, recipient="no\0text")]
    exceptions, issued = await journal.append_issued(OWNED, rows, rows[:1])
    assert (list(exceptions), issued) == ([1], False)
    assert await states(pool) == []


async def test_a_former_owner_issues_nothing(journal: Journal, pool: asyncpg.Pool) -> None:
    await own(pool, 3, 11, OTHER)
    assert await journal.issue(OWNED, [request(1), request(1, slot=5)]) == {0: FENCED}
    assert await states(pool) == [(5, 1, 1, 0, ISSUED)]
    _, issued = await journal.append_issued(OWNED, [row(7)], [row(7)])
    assert not issued
    assert await states(pool) == [(5, 1, 1, 0, ISSUED)]


async def test_the_next_attempt_is_issued_in_the_same_row(
    journal: Journal, pool: asyncpg.Pool
) -> None:
    await journal.issue(OWNED, [request(1)])
    assert await journal.issue(OWNED, [request(1, attempt=2, doubts=1)]) == {}
    assert await states(pool) == [(3, 1, 2, 1, ISSUED)]


async def test_no_attempt_is_issued_where_an_earlier_one_is_known_to_be_taken(
    journal: Journal, pool: asyncpg.Pool
) -> None:
    """A status in the inbox, a former owner's word, an id that a drain has kept."""
    await told(pool, 1)
    await told(pool, 2, kind=2)
    await told(pool, 3, kind=2, wamid=None)  # the word that it was not taken
    await journal.drained(OWNED, [], [Proof("w4", 3, an_id(4), 1)])
    again = [request(n, attempt=2, doubts=1) for n in (1, 2, 3, 4, 5)]
    assert await journal.issue(OWNED, again) == {0: PROVEN, 1: PROVEN, 3: PROVEN}
    assert [seq for _, seq, *_ in await states(pool)] == [3, 5]


async def test_a_first_attempt_asks_for_no_evidence(journal: Journal, pool: asyncpg.Pool) -> None:
    """There cannot be any, and the usual message shall not pay for the look."""
    await told(pool, 1)
    assert await journal.issue(OWNED, [request(1)]) == {}


async def test_a_look_for_evidence_reads_that_of_the_message_alone_before_anything_was_counted(
    journal: Journal, pool: asyncpg.Pool
) -> None:
    """All wamids were read from the last one down, for each row: no takeover came to its end."""
    await pool.execute("alter table upstream_id set (autovacuum_enabled = false)")
    await pool.execute(
        "insert into upstream_id (wamid, slot, id, attempt)"
        " select 'w' || n, 3, int8send(n), 1 from generate_series(1, 20000) n"
    )
    await journal.append_issued(OWNED, rows := [row(1)], rows)
    read = (
        "select coalesce(idx_tup_fetch, 0) + coalesce(seq_tup_read, 0)"
        " from pg_stat_xact_user_tables where relname = 'upstream_id'"
    )
    async with pool.acquire() as connection, connection.transaction():
        await connection.fetch("select open_issues($1, $2, $3)", ME, [*OWNED], [*OWNED.values()])
        assert len(await connection.fetch(issue_rows.DUE, [*OWNED], [10] * len(OWNED))) == 1
        assert await connection.fetchval(read) == 0


async def test_issued_requests_are_in_doubt_for_the_next_owner(
    journal: Journal, pool: asyncpg.Pool
) -> None:
    await journal.append_issued(OWNED, rows := [row(1), row(2)], rows)
    await record(journal, Stated(2, 1, KEPT, 1, None, 86_400_000))
    await pool.execute("update send_issue set at = at - interval '100 s'")
    [issued, kept] = await found_by_the_next(journal)
    assert (issued.state, issued.doubts, issued.cause) == (DOUBTED, 1, "takeover")
    assert issued.age < 50  # its time begins now
    assert (issued.fresh, kept.fresh) == (True, False)
    assert (kept.state, kept.doubts) == (KEPT, 1)
    assert kept.age > 99
    assert (issued.id, issued.stored, issued.kind, issued.wamid) == (an_id(1), True, 0, None)


async def test_a_message_is_read_with_its_issue_row_wherever_it_is(journal: Journal) -> None:
    await journal.append_issued(OWNED, rows := [row(1), row(2)], rows)
    await record(journal, Park(2, 0, 60_000, "in doubt"))
    await journal.append(OWNED, [row(3)])
    page = await page_of(journal, 3)
    assert [(each.seq, each.issue and each.issue.state) for each in page] == [
        (1, ISSUED),
        (2, ISSUED),
        (3, None),
    ]
    [parked] = await journal.parked_of(3, [rows[1].recipient], 10)
    of_page = page[1].issue
    assert of_page is not None
    ages = {"message_age": parked["age"], "age": parked["issue_age"]}
    assert issue_rows.issue_of(3, parked) == replace(of_page, **ages)


async def test_a_shut_lane_is_due_once_it_is_reopened(journal: Journal) -> None:
    await journal.append(OWNED, rows := [row(1), row(2)])
    await record(journal, Park(1, 0, None, "in doubt"))
    [lane] = await journal.parked([3], 86_400.0, 10)
    assert lane["due_in"] == math.inf
    await record(journal, Reopened(rows[0].recipient))
    [lane] = await journal.parked([3], 86_400.0, 10)
    assert lane["due_in"] <= 0.0


async def test_a_doubt_keeps_its_time_through_takeovers(
    journal: Journal, pool: asyncpg.Pool
) -> None:
    await journal.append_issued(OWNED, rows := [row(1)], rows)
    await found_by_the_next(journal)
    await pool.execute("update send_issue set at = at - interval '100 s'")
    for _ in range(2):
        [found] = await found_by_the_next(journal)
        assert found.age > 99
        assert found.doubts == 1


async def test_the_next_owner_finds_what_is_known_to_be_taken(
    journal: Journal, pool: asyncpg.Pool
) -> None:
    await journal.append_issued(OWNED, rows := [row(1)], rows)
    await journal.drained(OWNED, [], [Proof("w1", 3, an_id(1), 1)])
    [found] = await found_by_the_next(journal)
    assert found.wamid == "w1"


async def test_a_message_that_was_taken_loses_its_row_and_has_an_id(
    journal: Journal, pool: asyncpg.Pool
) -> None:
    await journal.issue(OWNED, [request(1)])
    assert await record(journal, Took(1, an_id(1).hex(), 1, "w1", "4915", None)) == {3}
    assert await states(pool) == []
    [kept] = await pool.fetch("select wamid, slot, id, attempt, wa_id, user_id from upstream_id")
    assert tuple(kept) == ("w1", 3, an_id(1), 1, "4915", None)
    assert await journal.wamids_of([(1, an_id(1)), (1, an_id(2))]) == {(1, an_id(1)): "w1"}
    assert await journal.ids_of([(1, "w1"), (1, "w2")]) == {(1, "w1"): an_id(1)}


async def test_a_record_of_an_attempt_says_nothing_of_a_later_one(
    journal: Journal, pool: asyncpg.Pool
) -> None:
    """The next attempt may be issued before the record of the last one is on disk."""
    await journal.issue(OWNED, [request(1, attempt=2, doubts=1)])
    await record(journal, Stated(1, 1, NOT_TAKEN, 0), Unissued(1, 1))
    assert await states(pool) == [(3, 1, 2, 1, ISSUED)]
    await record(journal, Stated(1, 2, NOT_TAKEN, 1))
    assert await states(pool) == [(3, 1, 2, 1, NOT_TAKEN)]
    await record(journal, Unissued(1))
    assert await states(pool) == []


async def test_a_former_owner_records_nothing(journal: Journal, pool: asyncpg.Pool) -> None:
    await journal.issue(OWNED, [request(1)])
    await own(pool, 3, 11, OTHER)
    assert await record(journal, Took(1, an_id(1).hex(), 1, "w1"), Unissued(1)) == set()
    assert await states(pool) == [(3, 1, 1, 0, ISSUED)]
    assert await pool.fetchval("select count(*) from upstream_id") == 0


async def test_the_inbox_is_read_with_what_is_known_of_the_message(
    journal: Journal, pool: asyncpg.Pool
) -> None:
    await journal.append(OWNED, [row(1)])
    await journal.append_events(OWNED, [event(1, f"{text_of(an_id(1))}:sent:5")])
    await told(pool, 1)
    await told(pool, 2)
    [known, foreign] = await journal.inbox([3], [], 10)
    assert (known.id, known.sent_to, known.stored) == (an_id(1), RECIPIENT, ["sent"])
    assert (foreign.sent_to, foreign.stored) == (None, None)
    assert await journal.inbox([5], [], 10) == []
    assert [found.n for found in await journal.inbox([3], [known.n], 10)] == [foreign.n]
    assert [found.n for found in await journal.inbox([3], [], 1)] == [known.n]


async def test_a_drained_row_goes_and_what_it_proves_stays(
    journal: Journal, pool: asyncpg.Pool
) -> None:
    await told(pool, 1)
    [found] = await journal.inbox([3], [], 10)
    assert await journal.drained(OWNED, [found.n], [Proof("w1", 3, an_id(1), 1)]) == []
    assert await journal.inbox([3], [], 10) == []
    [twice] = await journal.drained(OWNED, [], [Proof("w2", 3, an_id(1), 2)])
    assert (twice.id, twice.attempt, twice.wamid) == (an_id(1), 2, "w2")


async def test_an_owner_may_ask_again_what_was_taken_twice(
    journal: Journal, pool: asyncpg.Pool
) -> None:
    """The outcome of a commit may be unknown; the next owner is not told of it once more."""
    three = [Proof(f"w{n}", 3, an_id(1), n) for n in (1, 2, 3)]
    told_first = await journal.drained(OWNED, [], three)
    assert {twice.wamid for twice in told_first} == {"w2", "w3"}
    await own(pool, 3, 11, OTHER)
    assert await journal.drained(OWNED, [], three) == told_first
    await pool.execute("update upstream_id set twice = $1 where wamid = 'w2'", OTHER)
    assert [twice.wamid for twice in await journal.drained(OWNED, [], three)] == ["w3"]


async def test_an_answer_that_is_recorded_beside_a_status_is_told_with_the_next_one(
    journal: Journal, pool: asyncpg.Pool
) -> None:
    await journal.drained(OWNED, [], [Proof("w1", 3, an_id(1), 1)])
    await record(journal, Took(1, an_id(1).hex(), 2, "w2"))
    [twice] = await journal.drained(OWNED, [], [Proof("w1", 3, an_id(1), 1)])
    assert twice.wamid == "w2"


async def test_a_failure_is_read_with_the_ends_of_all_attempts(
    journal: Journal, pool: asyncpg.Pool
) -> None:
    await journal.drained(
        OWNED, [], [Proof("w1", 3, an_id(1), 1, failed=True), Proof("w2", 3, an_id(1), 2)]
    )
    await told(pool, 1)
    await pool.execute("update cloud_inbox set key = 'w1:failed:1764000000'")
    [found] = await journal.inbox([3], [], 10)
    assert (sorted(found.taken or ()), found.failed) == ([1, 2], [1])


async def test_a_former_owner_drains_nothing(journal: Journal, pool: asyncpg.Pool) -> None:
    await told(pool, 1)
    [found] = await journal.inbox([3], [], 10)
    await own(pool, 3, 11, OTHER)
    assert await journal.drained(OWNED, [found.n], [Proof("w1", 3, an_id(1), 1)]) == []
    assert [left.n for left in await journal.inbox([3], [], 10)] == [found.n]
    assert await pool.fetchval("select count(*) from upstream_id") == 0


@pytest.mark.parametrize("points", ["issue", "parked", "inbox"])
async def test_retention_spares_a_message_that_something_points_to(
    journal: Journal, pool: asyncpg.Pool, points: str
) -> None:
    """It is passed over, and its ids with it: the messages behind it go."""
    await journal.append(OWNED, [row(1), row(2), row(3)])
    await journal.drained(OWNED, [], [Proof(f"w{n}", 3, an_id(n), 1) for n in (1, 2)])
    if points == "issue":
        await journal.issue(OWNED, [request(1)])
    elif points == "parked":
        await record(journal, Park(1, 0, 60_000, "pair rate"))
    else:
        await told(pool, 1)
    await pool.execute("update message set accepted_at = now() - interval '11 minutes'")
    await pool.execute("update upstream_id set at = now() - interval '31 days'")
    await pool.execute("update send_cursor set mark = 3 where slot = 3")
    assert await journal.prune(OWNED, 0.0, 1) == Pruned(0, (1, None, None))
    assert await journal.prune(OWNED, 0.0, 9) == Pruned(2, None)
    assert await pool.fetchval("select array_agg(seq) from message") == [1]
    assert await prune_cloud(fetcher(pool), 0.0, 9) == 1
    assert await pool.fetchval("select array_agg(wamid) from upstream_id") == ["w1"]


async def test_a_message_parked_beyond_retention_is_whole_for_its_next_owner(
    journal: Journal, pool: asyncpg.Pool
) -> None:
    """Issued after a collection it had no body there, and was dropped without a word."""
    await journal.append(OWNED, [row(1)])
    await record(journal, Park(1, 0, 1, "pair rate"))
    await pool.execute("update message set accepted_at = now() - interval '11 minutes'")
    await pool.execute("update send_cursor set mark = 1 where slot = 3")
    await journal.prune(OWNED, 0.0, 100)
    await journal.issue(OWNED, [request(1)])
    await record(journal, Unpark(1))
    await journal.prune(OWNED, 0.0, 100)
    [found] = await found_by_the_next(journal)
    assert found.stored


async def test_with_the_cloud_api_events_are_kept_for_eight_days(
    journal: Journal, pool: asyncpg.Pool
) -> None:
    """Webhooks come again for seven: their keys must be known so long."""
    await journal.append_events(OWNED, [event(1, "a"), event(2, "b")])
    await pool.execute("update event_cursor set mark = 2 where slot = 3")
    await pool.execute(
        "update event set recorded_at = now() - case key when 'a' then interval '9 days'"
        " else interval '7 days' end"
    )
    await pool.execute("update format set upstream = 'cloud:1'")
    assert await journal.prune(OWNED, 0.0, 100) == Pruned(1, None)
    assert await pool.fetchval("select key from event") == "b"
    await pool.execute("update format set upstream = 'simulator'")
    assert await journal.prune(OWNED, 0.0, 100) == Pruned(1, None)


async def test_a_look_up_that_takes_long_does_not_hold_up_issue_rows(
    settings: Settings, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "WRITE_SECONDS", PATIENCE)
    unlimited = {"lock_timeout": "0", "statement_timeout": "0"}
    monkeypatch.setattr(sessions, "_LIMITS", sessions._LIMITS | unlimited)
    await own(pool, 3, OWNED[3])
    journal = Journal(settings, ME, "test")
    async with pool.acquire() as other, other.transaction():
        await other.execute("lock table cloud_path")
        proof = asyncio.create_task(journal.way(60.0, 30.0))
        await soon(lambda: pool.fetchval("select count(*) from pg_locks where not granted"))
        assert await journal.issue({3: OWNED[3]}, [request(1)]) == {}
        assert not proof.done()
    await proof
    await journal.close()


async def test_an_id_is_found_however_long_ago_it_was_recorded(
    journal: Journal, pool: asyncpg.Pool
) -> None:
    """A search through all ids, or through all of two hours, would read more rows."""
    await pool.execute("alter table upstream_id set (autovacuum_enabled = false)")
    await pool.execute(
        "insert into upstream_id (wamid, slot, id, attempt, at)"
        " select 'w' || n, 3, int8send(n), 1, now() - n * interval '26 s'"
        " from generate_series(0, 99999) n"
    )
    asked = {(1, f"w{n}"): n.to_bytes(8, "big") for n in (0, 1, 139, 50_000, 99_999)}
    assert await journal.ids_of([*asked, (1, "w100000")]) == asked
    read = (
        "select coalesce(idx_tup_fetch, 0) + coalesce(seq_tup_read, 0)"
        " from pg_stat_xact_user_tables where relname = 'upstream_id'"
    )
    async with pool.acquire() as connection, connection.transaction():
        wamids = [wamid for _, wamid in asked] + ["w100000"]
        sql = (
            "select * from ids_of_wamids($1::text[], array_fill(1, array[cardinality($1::text[])]))"
        )
        await connection.fetch(sql, wamids)
        assert await connection.fetchval(read) <= len(asked) + 2  # the oldest and the newest


async def test_an_id_is_kept_once_whenever_it_is_told_again(
    journal: Journal, pool: asyncpg.Pool
) -> None:
    await journal.drained(OWNED, [], [Proof("w1", 3, an_id(1), 1)])
    await pool.execute("update upstream_id set at = now() - interval '29 days'")
    await record(journal, Took(1, an_id(1).hex(), 1, "w1"))
    assert await journal.drained(OWNED, [], [Proof("w1", 3, an_id(1), 1, failed=True)]) == []
    [kept] = await pool.fetch(
        "select failed, at < now() - interval '28 days' as old from upstream_id"
    )
    assert tuple(kept) == (True, True)
