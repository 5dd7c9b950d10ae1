"""The link address of a coreapp."""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID


class LinkAddress(NamedTuple):
    """A coreapp's address on the link, its key and its fingerprint, as its node row has them."""

    incarnation: UUID
    name: str
    host: str
    port: int
    link_key: bytes
    fingerprint: str | None
