"""The link address of a coreapp."""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID


class LinkAddress(NamedTuple):
    """Address of a coreapp's incarnation on the link, with its
    key and certificate, from its node row.
    """

    incarnation: UUID
    name: str
    host: str
    port: int
    link_key: bytes
    fingerprint: str | None
