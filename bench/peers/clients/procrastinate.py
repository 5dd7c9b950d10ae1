"""procrastinate: ``defer_async`` of one job a call over its own psycopg pool of 16."""

from __future__ import annotations

import logging

import msgspec
import procrastinate

from bench.peers.clients import body

POOL = 16


class Procrastinate:
    def __init__(self, app: procrastinate.App) -> None:
        self._app = app
        self._task = app.task(name="message")(_message)

    async def put(self, number: int) -> None:
        await self._task.defer_async(**msgspec.json.decode(body(number)))

    async def count(self) -> int:
        query = "select count(*) as n from procrastinate_jobs"
        found = await self._app.connector.execute_query_one_async(query)
        return int(found["n"])

    async def close(self) -> None:
        await self._app.close_async()


async def connect(where: str) -> Procrastinate:
    """``where`` is the DSN of an empty database."""
    logging.getLogger("procrastinate").setLevel(logging.WARNING)  # it would make a record a job
    connector = procrastinate.PsycopgConnector(conninfo=where, min_size=POOL, max_size=POOL)
    app = procrastinate.App(connector=connector)
    await app.open_async()
    await app.schema_manager.apply_schema_async()
    return Procrastinate(app)


async def _message(**_message: object) -> None:
    """Never run: only the way in is compared."""
