"""What no refused request may change, and what it may not cost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import asyncpg

from tests.harness.integration import Integration

# Whole tables, row by row; and those that only grow.
COMPARED = (
    "user_account",
    "token",
    "setting",
    "account",
    "shard_map",
    "sticker_pack",
    "sticker",
    "profile_photo",
)
COUNTED = ("message", "event where kind = 1")  # statuses come later, of what was accepted


class State:
    """Reads the cluster's database."""

    def __init__(self, site: Integration) -> None:
        self._site = site

    async def __aenter__(self) -> State:
        d = self._site.cluster.description()
        schema = self._site.cluster.settings.db_schema
        self._connection = await asyncpg.connect(
            d["database"]["dsn"], server_settings={"search_path": schema}
        )
        known = await self._connection.fetch(
            "select relname from pg_class where relnamespace = $1::regnamespace", schema
        )
        names = {row["relname"] for row in known}
        row = "(to_jsonb(t) - 'used_at')::text"  # a refused request uses its token too
        rows = f"select md5(coalesce(string_agg({row}, '|' order by {row}), '')) from {{}} t"
        self._queries = {t: rows.format(t) for t in COMPARED if t in names}
        self._queries |= {t: f"select count(*) from {t}" for t in COUNTED}
        assert {"user_account", "setting", "account", "message"} <= set(self._queries)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._connection.close()

    async def read(self) -> dict[str, Any]:
        """By table: a digest of its rows, or their number."""
        return {name: await self._connection.fetchval(q) for name, q in self._queries.items()}


def memory(site: Integration) -> dict[int, int]:
    """Resident KiB by process id of each webapp; a restarted one has another id."""
    found = {}
    for process in site.cluster.processes.values():
        if process.role == "webapp" and process.pid is not None:
            status = Path(f"/proc/{process.pid}/status").read_text()
            line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
            found[process.pid] = int(line.split()[1])
    return found
