"""Reports of processes: each writes one row, and webapps read them."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from warouter.flow.posts import Sheet
from warouter.metrics import Sample
from warouter.store.bounded import Fetch, connection

READ_SECONDS = 2.0
REMOVE_SECONDS = 0.5
FRESH_SECONDS = 15.0  # a process that has been silent for longer is not shown
WEBHOOK = "webhook"  # the fact of a coreapp's report that holds an ``Outlook`` for each type

_WRITE = "select write_report($1, $2, $3, $4::jsonb)"
_WRITE_SHEET = "select write_webhook($1, $2::jsonb)"
_REMOVE = "delete from report where incarnation = $1"
# The last incarnation of a node: one that was restarted stands here twice for a moment.
_READ = """
select distinct on (node) incarnation, node, role, body::text,
       extract(epoch from clock_timestamp() - at)::float8 as age_s
  from report where at between clock_timestamp() - make_interval(secs => $1)
                          and clock_timestamp() + make_interval(secs => $1)
 order by node, at desc"""


class ReportBody(msgspec.Struct, frozen=True):
    """The content of a report; ``facts`` are of the process and its host: see ``node.reporter``."""

    samples: list[Sample]
    facts: dict[str, Any] = {}


class Report(msgspec.Struct, frozen=True):
    """The last report of one process. ``role``: webapp, coreapp, master."""

    incarnation: UUID
    node: str
    role: str
    age_s: float
    body: ReportBody


class ReportWriter:
    """Writes the row of one incarnation with ``fetch``.

    The table is unlogged, so that no commit waits for the disk.
    """

    def __init__(self, fetch: Fetch, incarnation: UUID, node: str, role: str) -> None:
        self._fetch = fetch
        self._who = (incarnation, node, role)

    async def write(self, body: ReportBody) -> None:
        """Write the row. Raises what ``fetch`` raises; the next report replaces this one."""
        await self._fetch(_WRITE, *self._who, msgspec.json.encode(body).decode())

    async def write_sheet(self, sheet: Sheet) -> None:
        """Write what a coreapp says beside its report, which keeps it until it says another.

        No page of the API reads it: it quotes what the webhook has answered.
        """
        await self._fetch(_WRITE_SHEET, self._who[0], msgspec.json.encode(sheet).decode())

    async def remove(self) -> None:
        """Delete the row because this process stops in order. Raises TimeoutError
        and what ``fetch`` raises if it could not; the row is forgotten later.
        """
        async with asyncio.timeout(REMOVE_SECONDS):
            await self._fetch(_REMOVE, self._who[0])


async def read_reports(pool: asyncpg.Pool) -> list[Report]:
    """The fresh reports, the newest of each node. Raises TimeoutError when the database hangs."""
    async with connection(pool, READ_SECONDS) as taken:
        rows = await taken.fetch(_READ, FRESH_SECONDS)
    return [
        Report(
            row["incarnation"],
            row["node"],
            row["role"],
            row["age_s"],
            msgspec.json.decode(row["body"], type=ReportBody),
        )
        for row in rows
    ]
