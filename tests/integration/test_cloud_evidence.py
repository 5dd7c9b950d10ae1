"""Evidence that is rare: failures without a reference, statuses that come first, lost commits."""

from __future__ import annotations

from pathlib import Path

import asyncpg
import msgspec
import pytest

from tests.harness.cloud_owned import (
    SLOT,
    Request,
    Script,
    ask,
    cut,
    hear,
    issues,
    owning_cloud,
    refused,
    settled,
    shown,
    silent,
    taken,
)
from tests.harness.owned import RECIPIENT
from tests.harness.wait import soon
from warouter.config import Settings
from warouter.store.journal.issues import DOUBTED, KEPT, SAID
from warouter.upstream.cloud.graph.exchange import Exchanged, ExchangeOutcome

ROOT = Path(__file__).parents[2]


async def nobodys(pool: asyncpg.Pool, wamid: str) -> None:
    """A failure without a reference came, and nobody knew its id."""
    said = {"id": wamid, "status": "failed", "timestamp": "1764000000", "recipient_id": RECIPIENT}
    error = {"code": 131026, "title": "undeliverable"}
    await pool.execute(
        "insert into cloud_unmatched (wamid, key, recipient, payload) values ($1, $2, $3, $4)",
        *(wamid, f"{wamid}:failed:1764000000", RECIPIENT),
        msgspec.json.encode({**said, "errors": [error]}),
    )


async def test_a_status_that_came_before_its_id_was_known_finds_its_message(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    async with owning_cloud(settings, pool, silent) as me:
        message = me.message()
        [request] = await me.begun(1)
        await nobodys(pool, request.wamid)
        request.answer.set_result(taken(request))
        await settled(pool)
        await soon(lambda: shown(pool, message))
        assert await shown(pool, message) == ["failed"]


@pytest.mark.parametrize("policy", ["resend", "fail", "hold"])
async def test_a_failure_that_names_no_message_ends_no_doubt(
    settings: Settings, pool: asyncpg.Pool, policy: str
) -> None:
    """The message waits for its window, and ends by its policy."""
    async with owning_cloud(settings, pool, cut, cloud_in_doubt=policy) as me:
        message = me.message()
        await soon(lambda: pool.fetchval("select state = $1 from send_issue", DOUBTED))
        await nobodys(pool, "wamid.unknown")
        me.skip(61.0)
        if policy == "resend":
            await me.begun(2)
            assert me.graph.refs() == [(message, 1), (message, 2)]
        elif policy == "fail":
            await settled(pool)
            assert await shown(pool, message) == ["failed"]
        else:
            await soon(lambda: pool.fetchval("select state = $1 from send_issue", KEPT))
        assert await pool.fetchval("select count(*) from cloud_unmatched") == 1


async def test_after_lost_commits_the_heads_of_lanes_are_in_doubt(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    async with owning_cloud(settings, pool, silent) as me:
        first, second, other = me.message(), me.message(), me.message("4915100000001")
        await me.begun(2)
    await pool.execute("delete from send_issue")  # as if a standby had not heard of them
    await pool.execute("update slot set unsure = true where slot = $1", SLOT)
    async with owning_cloud(settings, pool) as me:
        assert {(i[0], i[3]) for i in await issues(pool)} == {(first, DOUBTED), (other, DOUBTED)}
        assert me.graph.refs() == []
        await hear(pool, (first, 1))
        await hear(pool, (other, 1))
        await me.begun(1)
        assert me.graph.refs() == [(second, 1)]
        await settled(pool)
        assert not await pool.fetchval("select unsure from slot where slot = $1", SLOT)


async def test_after_lost_commits_what_has_an_issue_row_is_in_doubt(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    """A later request of it may be out, under a number that is not used again; and so may be the
    next message behind a held one.
    """
    async with owning_cloud(settings, pool, silent) as me:
        held, behind, refused = me.message(), me.message(), me.message("4915100000001")
        await me.begun(2)
    await pool.execute("update send_issue set state = 3, doubts = 1 where id = $1", held)
    await pool.execute("update send_issue set state = 4 where id = $1", refused)
    await pool.execute(
        "update send_cursor set ranges = (select array[seq, seq] from message where id = $2)"
        " where slot = $1",
        *(SLOT, held),
    )
    await pool.execute("update slot set unsure = true where slot = $1", SLOT)
    async with owning_cloud(settings, pool) as me:
        found = {i[0]: (i[1], i[2], i[3]) for i in await issues(pool)}
        assert found == {
            held: (101, 1, KEPT),
            behind: (100, 1, DOUBTED),
            refused: (101, 1, DOUBTED),
        }
        assert me.graph.refs() == []


async def test_a_message_told_as_failed_keeps_its_lane_shut_under_the_next_owner(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    """Its request might still be taken, and is not sent again."""
    async with owning_cloud(settings, pool, cut) as me:
        told = me.message(ttl=2)
        await soon(lambda: pool.fetchval("select state = $1 from send_issue", DOUBTED))
        me.skip(3.0)
        await soon(lambda: pool.fetchval("select state = $1 from send_issue", SAID))
        assert await shown(pool, told) == ["failed"]
    async with owning_cloud(settings, pool) as me:
        behind, other = me.message(), me.message("4915100000001")
        await me.begun(1)
        assert me.graph.refs() == [(other, 1)]
        assert [i[3] for i in await issues(pool) if i[0] == told] == [SAID]
        me.skip(40.0)
        await me.begun(2)
        assert me.graph.refs() == [(other, 1), (behind, 1)]
        await settled(pool)


_WRITERS = """
create table writer (what text, slot smallint, tx bigint);
create function note_writer() returns trigger language plpgsql as $$
begin
    insert into writer values (tg_table_name, coalesce(new.slot, old.slot), txid_current());
    return null;
end $$;
create trigger told after insert on event for each row execute function note_writer();
create trigger settled after update on send_cursor for each row execute function note_writer();
create trigger over after update or delete on send_issue for each row execute function note_writer()
"""


@pytest.mark.parametrize("answer", [refused(131026), cut])
async def test_the_status_the_settlement_and_the_end_of_an_issue_are_one_commit(
    settings: Settings, pool: asyncpg.Pool, answer: Script
) -> None:
    """Else an owner that dies between them leaves a message that is told as failed and sent."""
    await pool.execute(_WRITERS)
    async with owning_cloud(settings, pool, answer) as me:
        message = me.message(ttl=2)
        await me.begun(1)
        me.skip(3.0)
        await soon(lambda: pool.fetchval("select exists (select from event)"))
        assert await shown(pool, message) == ["failed"]
    [told] = await pool.fetch("select slot, tx from writer where what = 'event'")
    same = await pool.fetch("select what from writer where slot = $1 and tx = $2", *told)
    assert {row["what"] for row in same} == {"event", "send_cursor", "send_issue"}


async def test_an_answer_tells_who_has_which_number(settings: Settings, pool: asyncpg.Pool) -> None:
    def script(_request: Request) -> Exchanged:
        contact = {"input": RECIPIENT, "wa_id": RECIPIENT, "user_id": "US.1"}
        said = {"messages": [{"id": "wamid.1"}], "contacts": [contact]}
        return Exchanged(ExchangeOutcome.ANSWERED, 200, msgspec.json.encode(said))

    async with owning_cloud(settings, pool, script) as me:
        me.message()
        await settled(pool)
        await me.end._learned._write()
        rows = await pool.fetch("select user_id, wa_id, alias from contact_identity")
        assert [tuple(row) for row in rows] == [("US.1", RECIPIENT, None)]


@pytest.mark.parametrize("late", [False, True])
async def test_late_success_is_shown_where_that_is_asked_for(
    settings: Settings, pool: asyncpg.Pool, *, late: bool
) -> None:
    async with owning_cloud(settings, pool, cloud_late_success=late) as me:
        message = me.message()
        await me.begun(1)
        await hear(pool, (message, 1), "failed")
        await soon(lambda: shown(pool, message))
        await hear(pool, (message, 1), "delivered")
        await soon(lambda: pool.fetchval("select count(*) = 0 from cloud_inbox"))
        assert await shown(pool, message) == (["failed", "delivered"] if late else ["failed"])
        assert me.end.drain.rows.contradictions == 1


async def test_a_template_that_meta_holds_back_waits_long_for_the_next_owner_too(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    """The next one sees no answer of before; and what is held has no status, which is no gap."""
    template = {"name": "news", "language": {"code": "en", "policy": "deterministic"}}
    body = {"to": RECIPIENT, "type": "template", "template": template}

    def script(request: Request) -> Exchanged:
        message = {"id": request.wamid, "message_status": "held_for_quality_assessment"}
        said = {"messages": [message], "contacts": [{"wa_id": RECIPIENT}]}
        return Exchanged(ExchangeOutcome.ANSWERED, 200, msgspec.json.encode(said))

    async with owning_cloud(settings, pool, script) as me:
        vars(me.end._templates)["_fetch"] = me.journal._cloud_read
        me.message(body=body)
        await settled(pool)
        await soon(lambda: pool.fetchval("select template = 'news' from cloud_held"))
        assert await pool.fetchval("select held from upstream_id")
        found = await me.journal.way(1.0, 30.0)
        assert found.cohort.answered == 0
    async with owning_cloud(settings, pool, silent) as me:
        vars(me.session)["fetch"] = me.journal._cloud_read
        await me.end.number._once()
        rules = me.end._rules
        assert rules.of(rules.treatment(0, msgspec.json.encode(body))).window > 3_600


async def test_the_documented_statement_holds_unsent_messages_of_a_backup(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    page = (ROOT / "docs" / "backup.md").read_text()
    [statement] = [part for part in page.split("```sql\n") if "'restored'" in part]
    async with owning_cloud(settings, pool) as me:
        sent = me.message()
        await settled(pool)
        me.graph.script = silent
        out, behind, other = me.message(), me.message(), me.message("4915100000001")
        await me.begun(3)
    await pool.execute("delete from send_issue")  # as the backup was made before
    await pool.execute(statement.split("```")[0].replace("warouter.", ""))
    async with owning_cloud(settings, pool) as me:
        after = me.message("4915100000002")
        await me.begun(1)
        held = {i[0] for i in await issues(pool) if i[3] == KEPT}
        assert held == {out, behind, other}
        assert me.graph.refs() == [(after, 1)]
        await hear(pool, (out, 1))
        await ask(me, other)
        await me.begun(2)
        assert me.graph.refs() == [(after, 1), (other, 101)]
        await soon(lambda: pool.fetchval("select count(*) = 1 from send_issue"))
        assert [i[0] for i in await issues(pool)] == [behind]
        assert await shown(pool, sent) == []
