"""Which storage the settings choose, and whether it can be used."""

from __future__ import annotations

import logging
from pathlib import Path

from warouter.config import Settings
from warouter.errors import MediaAway
from warouter.media.directory import MediaDirectory
from warouter.media.storage import Storage

log = logging.getLogger(__name__)


def storage_of(settings: Settings) -> Storage:
    """A bucket or a directory; ConfigError if it can be neither."""
    if settings.media_url:
        from warouter.media.bucket import Bucket  # which a directory need not load
        from warouter.media.objects import Objects

        return Bucket(Objects(settings), settings.media_spool)
    return MediaDirectory(Path(settings.media_dir))


async def try_out(storage: Storage) -> None:
    """Say at the start what is wrong. ConfigError if waiting does not help; messages without media
    need no storage, so that anything else only is logged.
    """
    try:
        await storage.check()
    except MediaAway as error:
        log.warning("media storage unavailable", extra={"error": str(error)})
