"""The two storages of media from behind: what somebody else does to a directory or a bucket."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from uuid import UUID

from tests.harness.bucket import BucketServer
from warouter.config import load
from warouter.media.choice import storage_of
from warouter.media.storage import Storage

PREFIX = "wa/media"


class DirectoryShelf:
    """A folder; ``path`` is its own."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def environment(self) -> dict[str, str]:
        return {"WAROUTER_MEDIA_DIR": str(self.path)}

    def whole(self) -> set[str]:
        """The names of everything that lies there, finished or not."""
        return {path.name for path in self.path.rglob("*") if path.is_file()}

    def put(self, name: str, content: bytes, age: float) -> None:
        path = self.path / "shared" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        self.age(name, age)

    def age(self, name: UUID | str, seconds: float) -> None:
        then = time.time() - seconds
        os.utime(self.path / "shared" / str(name), (then, then))

    def hide(self, media_id: UUID) -> Callable[[], object]:
        """Take one away; the call that is returned brings it back."""
        path = self.path / "shared" / str(media_id)
        return partial(path.rename(path.with_suffix(".hidden")).rename, path)

    def take_away(self) -> Callable[[], object]:
        """Take all away, as a volume that is not mounted; the call brings it back."""
        shared = self.path / "shared"
        return partial(shared.rename(self.path / "unmounted").rename, shared)


class BucketShelf:
    """A bucket on a server of its own."""

    def __init__(self, server: BucketServer) -> None:
        self.server = server

    @property
    def environment(self) -> dict[str, str]:
        return self.server.environment(PREFIX)

    def whole(self) -> set[str]:
        return {key.rpartition("/")[2] for key in self.server.objects}

    def put(self, name: str, content: bytes, age: float) -> None:
        self.server.put(self._key(name), content, age)

    def age(self, name: UUID | str, seconds: float) -> None:
        self.server.age(self._key(name), seconds)

    def hide(self, media_id: UUID) -> Callable[[], object]:
        key = self._key(media_id)
        stored = self.server.objects.pop(key)
        return partial(self.server.objects.__setitem__, key, stored)

    def take_away(self) -> Callable[[], object]:
        name, self.server.name = self.server.name, "another"
        return partial(setattr, self.server, "name", name)

    def _key(self, name: UUID | str) -> str:
        return f"{PREFIX}/shared/{name}"


Shelf = DirectoryShelf | BucketShelf


def storage(shelf: Shelf) -> Storage:
    """A process's view of it."""
    return storage_of(load(shelf.environment))
