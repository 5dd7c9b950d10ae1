"""The facts of a PostgreSQL, and the API's users in it. Pure."""

from __future__ import annotations

import msgspec


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes in bytes. None, or 0 for a count, is what this login may not read: see ``unseen``."""

    version: str
    password_encryption: str
    connections: int  # of all databases
    max_connections: int
    reserved: int  # of these, for others than us
    shared_buffers: int
    max_wal_size: int
    oldest_transaction_s: float
    oldest_transaction_by: str
    dangers: tuple[str, ...]  # a sentence each
    shards: int
    schema: int
    md5: tuple[str, ...] | None  # logins with sessions here whose password is stored as MD5
    default_passwords: tuple[str, ...] | None  # users of the API that never set another one
    unseen: tuple[str, ...]  # tables and functions
