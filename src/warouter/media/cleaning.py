"""Clean-up of media: old files, files without a row, and unfinished files.

One coreapp does it (the owner of slot 0), in small steps and without a lock: everything here may
be done twice. Old media goes only with its number's ``garbagecollector_enable.media``, as in the
product; what has no row goes whosever it was.
"""

from __future__ import annotations

import asyncio

from warouter.media.library import Library

STEP = 200  # rows or files at a time
PAUSE_SECONDS = 0.05
# Nothing younger is taken for a leftover: an upload may still be on its way to its row.
YOUNG_SECONDS = 3600.0
# What has not grown for so long is of a process that died. It counts for the quota until it goes.
UNFINISHED_SECONDS = 900.0


async def expire(library: Library, number: int, days: float) -> int:
    """Remove the number's media older than this many days; returns how many."""
    gone = 0
    while ids := await library.rows.expire(number, days, STEP):
        for media_id in ids:
            await library.storage.remove(media_id)
        gone += len(ids)
        await asyncio.sleep(PAUSE_SECONDS)
    return gone


async def sweep(library: Library, young: float = YOUNG_SECONDS) -> int:
    """Remove unfinished files, and complete ones without a row; returns how many."""
    gone = await library.storage.leftovers(min(young, UNFINISHED_SECONDS))
    async for ids in library.storage.names(young, STEP):
        orphans = set(ids) - await library.rows.known(ids)
        for media_id in orphans:
            await library.storage.remove(media_id)
        gone += len(orphans)
        await asyncio.sleep(PAUSE_SECONDS)
    return gone
