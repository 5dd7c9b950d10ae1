"""Media: how much is kept, of what type, what waits, and what could not be fetched."""

from __future__ import annotations

from typing import Any

from warouter.console.context import ConsoleContext
from warouter.console.form import Form
from warouter.console.page import Act, Page
from warouter.console.visit import Done, ReadingKey, Visitor
from warouter.store.cached_reading import CachedReading
from warouter.store.views.setup.environment import EnvironmentStatus, read_environment
from warouter.store.views.setup.media_status import (
    MOST_COUNTED,
    Failed,
    MediaStatus,
    quota_of,
    read_media,
)

PATH = "/console/media"
KEPT, SECONDS = "media", 5.0  # it counts many rows: not each second
FULL, NEARLY_FULL = 0.95, 0.8
_BUCKET, _DIRECTORY = "WAROUTER_MEDIA_URL", "WAROUTER_MEDIA_DIR"


async def read(context: ConsoleContext, asked: ReadingKey) -> dict[str, Any]:
    media, environment = await _latest(context)
    quota = quota_of(environment)
    direction, node = asked.query.get("direction", ""), asked.query.get("node", "")
    return {
        "media": media,
        "quota": quota,
        "level": level_of(media.bytes, quota),
        "share": round(100 * media.bytes / quota) if quota else None,
        "places": places_of(environment),
        "counted": media.files,
        "more": media.files >= MOST_COUNTED,
        "failed": chosen(media.failed, direction, node),
        "nodes": sorted({each.node for each in media.failed}),
        "direction": direction,
        "node": node,
        "api": context.api.url,
    }


def level_of(used: int, quota: int) -> str:
    """How well that is, as ``ui.state`` names it."""
    if not quota or used < NEARLY_FULL * quota:
        return "good"
    return "bad" if used >= FULL * quota else "warn"


def chosen(failed: list[Failed], direction: str, node: str) -> list[Failed]:
    """Choose by the filters; an empty one leaves all."""
    return [
        each for each in failed if direction in ("", each.direction) and node in ("", each.node)
    ]


def places_of(environment: EnvironmentStatus) -> list[str]:
    """Where media is, in a few words; several if processes differ."""
    values = {each.name: each.values for each in environment.variables}
    bucket = {node for value in values[_BUCKET] if value.hidden for node in value.nodes}
    found = {value.value for value in values[_DIRECTORY] if not bucket.issuperset(value.nodes)}
    return [*(["a bucket (WAROUTER_MEDIA_URL)"] if bucket else []), *sorted(found)]


async def collect(context: ConsoleContext, visitor: Visitor, _form: Form) -> Done:
    """Have settled messages pruned, and media cleaned up, now."""
    await context.api.call(visitor, "PUT", "/v1/services/message/gc")
    context.kept.pop(KEPT, None)
    return Done("media, and messages that are settled")


async def _latest(context: ConsoleContext) -> tuple[MediaStatus, EnvironmentStatus]:
    """A reading that is at most ``SECONDS`` old."""

    async def reading() -> tuple[MediaStatus, EnvironmentStatus]:
        async with context.reading() as connection:
            return await read_media(connection), await read_environment(connection)

    kept = context.kept.setdefault(KEPT, CachedReading(reading, SECONDS, context.clock))
    found: tuple[MediaStatus, EnvironmentStatus] = await kept.get()
    return found


PAGES = (Page(PATH, "media", "Media", read),)
ACTS = (Act(f"{PATH}/collect", "collect garbage", collect, PATH),)
