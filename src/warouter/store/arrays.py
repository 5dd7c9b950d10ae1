"""Encodes and decodes PostgreSQL arrays as whole columns
with ``_arrays``, which is faster than asyncpg.

A commit has one array for each column, so an element of one counts as a row does.
"""

from __future__ import annotations

import logging

import asyncpg

from warouter.log import Outage
from warouter.store._arrays import ArrayCodec

log = logging.getLogger(__name__)

_closed = Outage()  # the way to a connection's codecs
_PROTOCOL = "_protocol"  # asyncpg's name for where a connection's codecs are

# The oid of each array type, which are the same in every PostgreSQL (pg_type.dat).
_CODECS = {
    1005: ("_int2", ArrayCodec("int2")),
    1016: ("_int8", ArrayCodec("int8")),
    1009: ("_text", ArrayCodec("text")),
    1001: ("_bytea", ArrayCodec("bytea")),
}


def encode_at_once(connection: asyncpg.Connection) -> None:
    """Use our array codecs on this connection. Queries and results stay the same.

    ``set_type_codec`` of asyncpg refuses arrays, so this goes past it, and does without if that way
    is closed one day (a test holds asyncpg to it): then only the time of a commit changes.
    """
    try:
        settings = getattr(connection, _PROTOCOL).get_settings()
        for oid, (name, codec) in _CODECS.items():
            settings.add_python_codec(
                oid, name, "pg_catalog", [], "scalar", codec.encode, codec.decode, "binary"
            )
    except (AttributeError, TypeError) as error:
        if _closed.begins():
            log.warning("fast array encoding failed", extra={"error": str(error)})
