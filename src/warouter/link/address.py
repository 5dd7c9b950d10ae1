"""Where a coreapp is reached over the link."""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID


class Address(NamedTuple):
    """Where a coreapp's incarnation is reached, and what it must know: from its node row."""

    incarnation: UUID
    name: str
    host: str
    port: int
    link_key: bytes
    fingerprint: str | None
