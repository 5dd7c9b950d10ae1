"""``warouter audit --follow``: each row once and in order, whatever the database goes through."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import asyncpg
import msgspec
import pytest

from tests.harness import prepared
from tests.harness.audit import by_force
from tests.harness.postgres import own_server
from tests.harness.shell import refused
from tests.harness.wait import PATIENCE, Watch, soon
from warouter.cli.audit.follow import Follower, follow
from warouter.config import Settings, load
from warouter.errors import CommandError
from warouter.local.postgres import Postgres
from warouter.store.audit import DONE, Audit, record
from warouter.store.database import create_pool
from warouter.store.views.audit import read_ends
from warouter.store.views.chain import Chain, ChainBroken, ChainRow

MONITORING = Path(__file__).parents[2] / "docs" / "monitoring.md"
HERE = "203.0.113.9"


class Seen:
    """What a follower printed."""

    def __init__(self) -> None:
        self.rows: list[ChainRow] = []
        self.watch = Watch()
        self.task: asyncio.Task[None]

    def begin(self, settings: Settings, since: int | None) -> None:
        self.task = asyncio.create_task(follow(settings, since, self.show))
        self.task.add_done_callback(self.watch.notify)

    def show(self, row: ChainRow) -> None:
        self.rows.append(row)
        self.watch.notify()

    async def upto(self, number: int) -> list[int]:
        """The numbers that were printed, once this one was; raises what ended the follower."""
        await self.watch.until(
            lambda: self.task.done() or (self.rows and self.rows[-1].id >= number)
        )
        if self.task.done():
            await self.task
        return [row.id for row in self.rows]


@asynccontextmanager
async def following(settings: Settings, since: int | None) -> AsyncIterator[Seen]:
    seen = Seen()
    seen.begin(settings, since)
    try:
        yield seen
    finally:
        seen.task.cancel()
        with suppress(asyncio.CancelledError):
            await seen.task


@pytest.fixture
def server() -> Iterator[Postgres]:
    """A server of this test's own, which it may stop."""
    with own_server() as server:
        yield server


async def deeds(pool: asyncpg.Pool, most: int) -> None:
    audit = Audit(pool)
    for n in range(most):
        number = await audit.begin("admin", f"deed {n}", HERE)
        await audit.end(number, "", DONE)


async def test_rows_come_once_and_in_order_while_many_write(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    await deeds(pool, 2)
    async with following(settings, 0) as all_of_it, following(settings, 3) as behind:
        await asyncio.gather(*(deeds(pool, 10) for _ in range(5)))
        assert await all_of_it.upto(104) == list(range(1, 105))
        assert await behind.upto(104) == list(range(4, 105))
        # What was printed can be verified by itself, wherever it is kept.
        ends = await read_ends(pool)
        assert ends is not None
        kept = msgspec.json.decode(msgspec.json.encode(all_of_it.rows), type=list[ChainRow])
        chain = Chain(ends.tail_id, ends.tail_hash)
        for row in kept:
            chain.add(row)
        chain.end(ends)
        lines = [msgspec.json.encode(row) for row in kept]
        assert await documented(lines) == (0, "")
        changed = lines[7].replace(b'"admin"', b'"nobody"')
        without = (1, "row 9 does not continue the one before\n")
        assert await documented([*lines[:7], *lines[8:]]) == without
        assert (await documented([*lines[:7], changed, *lines[8:]]))[0] == 1


async def test_a_server_that_restarts_loses_and_repeats_none(
    server: Postgres, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = load(server.settings(prepared.DATABASE))
    async with following(settings, 0) as seen:
        for restart in range(1, 3):
            pool = await create_pool(settings, "test", 4)
            await asyncio.gather(*(deeds(pool, 5) for _ in range(3)))
            if restart == 1:
                await seen.upto(30)
            pool.terminate()
            await asyncio.to_thread(server.stop)
            if restart == 2:
                await soon(lambda: "It is tried again until" in capsys.readouterr().err)
            await asyncio.to_thread(server.start)
        assert await seen.upto(60) == list(range(1, 61))


async def test_sessions_that_are_ended_lose_and_repeat_none(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    """In whatever state of a statement: the driver has an error of its own for some."""
    end = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1"
    await deeds(pool, 1)
    async with following(settings, 0) as seen:
        await seen.upto(2)  # its first session must not fail
        for n in range(1, 6):
            writing = asyncio.create_task(deeds(pool, 5))
            await pool.execute(end, "warouter audit")
            await writing
            await seen.upto(10 * n + 2)
        assert [row.id for row in seen.rows] == list(range(1, 53))


async def test_a_break_in_the_chain_ends_the_follower(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    """As a standby that was promoted without the last rows, or a database that was restored."""
    await deeds(pool, 2)
    seen = Seen()
    seen.begin(settings, 0)
    await seen.upto(4)
    lost = seen.rows[-1].hash
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("set local session_replication_role = replica")
        await connection.execute(
            "update audit_chain c set head_id = a.id, head_hash = a.hash from audit a where id = 3"
        )
        await connection.execute("delete from audit where id = 4")
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(CommandError, match="ends with row 3, and row 4 was there"):
            await seen.task
    await deeds(pool, 1)
    follower = Follower(settings, seen.show)
    await follower.begin(4)
    # It had seen the row 4 that was lost, and another one came in its place.
    follower._chain = Chain(4, lost)
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(ChainBroken, match=r"row 5, of .* does not fit its hash"):
            await follower.run()
    await follower.close()


async def test_rows_that_retention_took_are_named(
    settings: Settings, pool: asyncpg.Pool, capsys: pytest.CaptureFixture[str]
) -> None:
    await deeds(pool, 2)
    await by_force(pool, "update audit set at = now() - interval '9 days' where id <= 3")
    assert await pool.fetchval("select prune_audit(5)") == 3
    async with following(settings, 2) as seen:
        assert await seen.upto(4) == [4]
    assert capsys.readouterr().err == "Row 3 is no longer kept.\n"
    assert "has no row 9, it ends with row 4" in await refused(
        settings, "audit", "--follow", "--since", "9"
    )


async def documented(lines: list[bytes]) -> tuple[int | None, str]:
    """What the program of docs/monitoring.md makes of kept lines."""
    text = MONITORING.read_text("utf-8").partition("## The audit log")[2]
    program = text.partition("```python\n")[2].partition("```")[0]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program),
        stdin=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await process.communicate(b"\n".join(lines))
    return process.returncode, said.decode()


def environment(settings: Settings) -> dict[str, str]:
    return os.environ | {
        "WA_DB_HOSTNAME": settings.db_hostname,
        "WA_DB_PORT": str(settings.db_port),
        "WA_DB_USERNAME": settings.db_username,
        "WAROUTER_DB_NAME": settings.database,
    }


@pytest.mark.parametrize("as_json", [True, False])
async def test_ctrl_c_and_a_reader_that_went_away_end_it_without_a_word(
    settings: Settings, pool: asyncpg.Pool, as_json: bool
) -> None:
    await deeds(pool, 1)
    for ctrl_c in (True, False):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "warouter", "audit", "--follow", "--since", "0"),
            *(["--json"] if as_json else []),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment(settings),
        )
        assert process.stdout is not None
        assert process.stderr is not None
        async with asyncio.timeout(PATIENCE):
            line = await process.stdout.readline()
            assert line.startswith(b'{"id":1,') if as_json else line.startswith(b"1  20"), line
            if ctrl_c:
                process.send_signal(signal.SIGINT)
            else:
                process.stdout._transport.close()  # type: ignore[attr-defined]
                async with pool.acquire() as connection:
                    while process.returncode is None:
                        await record(connection, "admin", "deed", "", HERE)
                        with suppress(TimeoutError):
                            await asyncio.wait_for(asyncio.shield(process.wait()), 0.2)
            assert await process.wait() == (130 if ctrl_c else 1)
            assert (await process.stderr.read()).strip() == b""
