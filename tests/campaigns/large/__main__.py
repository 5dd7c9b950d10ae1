"""Each statement on two million rows: python -m tests.campaigns.large [--rows N] [--only TABLE].

A PostgreSQL of its own; one table at a time, emptied again, so that 2 GiB of disk are enough. Each
is asked before the server has counted the rows, when plans are worst, and after.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import asyncpg

from tests.campaigns.large.statements import ME, Bench, Case
from tests.campaigns.large.tables import EPOCH, FILLS, JOURNALS, SLOT
from warouter.config import load
from warouter.errors import WarouterError
from warouter.local.postgres import Postgres
from warouter.store.database import create_pool
from warouter.store.migrate import migrate

ROWS = 2_000_000


def main() -> int:
    """The exit code: 1 when a statement took too long or failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns.large", description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--only", choices=FILLS, action="append", help="these tables")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="warouter-large-") as folder:
        Path(folder).chmod(0o755)
        server = Postgres(Path(folder) / "postgres", autovacuum="off", max_wal_size="1GB")
        server.start()
        try:
            return asyncio.run(_run(server, given.rows, given.only or list(FILLS)))
        finally:
            server.stop()


async def _run(server: Postgres, rows: int, tables: list[str]) -> int:
    settings = load(server.settings("large"))
    await migrate(settings)
    pool = await create_pool(settings, "large", 3)
    await pool.execute("update slot set owner = $1, epoch = $2 where slot = $3", ME, EPOCH, SLOT)
    # Without the limits that the product's sessions have.
    filler = await asyncpg.connect(
        server.dsn("large"), server_settings={"search_path": settings.db_schema}
    )
    # Its rows are made, not written: the audit log's would each wait for the one before.
    await filler.execute("set session_replication_role = replica")
    bench = Bench(settings, pool, rows)
    print(f"{'rows':>9}  {'table':15} {'statement':18} {'fresh':>8} {'counted':>8}  limit")
    slow = 0
    try:
        for table in tables:
            slow += await _table(
                bench, filler, table, [c for c in bench.cases() if c.table == table]
            )
    finally:
        await bench.close()
        await filler.close()
        pool.terminate()
    print(f"{slow} too slow" if slow else "all within their limits")
    return int(slow > 0)


async def _table(bench: Bench, filler: Any, table: str, cases: Iterable[Case]) -> int:
    filled = ", ".join(filter(None, (table, JOURNALS.get(table))))
    await filler.execute(f"truncate {filled}")
    await filler.execute(FILLS[table], bench.rows)
    await filler.execute("update send_cursor set mark = $1, ranges = '{}'", bench.rows // 2)
    await filler.execute("update event_cursor set mark = $1, ranges = '{}'", bench.rows // 2)
    fresh = {case.name: await _seconds(case) for case in cases}
    await filler.execute(f"vacuum analyze {filled}")
    slow = 0
    for case in cases:
        took = (fresh[case.name], await _seconds(case))
        late = max(took) > case.most
        slow += late
        said = "  <- too slow" if late else ""
        print(
            f"{bench.rows:9,}  {table:15} {case.name:18}"
            f" {took[0] * 1000:5.0f} ms {took[1] * 1000:5.0f} ms  {case.most:g} s{said}",
            flush=True,
        )
    await filler.execute(f"truncate {filled}")
    return slow


async def _seconds(case: Case) -> float:
    """How long it took; for ever, if it failed."""
    began = time.monotonic()
    try:
        await case.run()
    except (asyncpg.PostgresError, WarouterError, OSError) as error:
        print(f"{case.table}: {case.name} failed: {error!r}", flush=True)
        return float("inf")
    return time.monotonic() - began


if __name__ == "__main__":
    sys.exit(main())
