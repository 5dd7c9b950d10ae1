"""The settings of PostgreSQL that promises depend on: pinned for each session, and checked.

A session asks for the values of ``PINNED`` as it starts, which beats postgresql.conf, ALTER
DATABASE and ALTER ROLE. Right after that it looks at what it got: a pooler in between drops what it
does not know, and a few settings no session may choose for itself. docs/postgresql.md lists them.
Pure: ``store.database`` asks the server.
"""

from __future__ import annotations

from collections.abc import Mapping

# As PostgreSQL shows them, so that what a session got can be compared with what it asked for.
PINNED: Mapping[str, str] = {
    # The fence: its check must see what was committed while it waited for the slot's lock.
    "default_transaction_isolation": "read committed",
    "default_transaction_deferrable": "off",
    # A 201 says: on disk, and on the synchronous standby where there is one.
    "synchronous_commit": "on",
    # The warning that a commit was not replicated must arrive.
    "client_min_messages": "warning",
    # One failed statement must not end the session: its outcome would be unknown.
    "exit_on_error": "off",
    # Waits are bounded by who waits; a session that has a limit of its own says so.
    "lock_timeout": "0",
    "statement_timeout": "0",
    "idle_session_timeout": "0",
    "idle_in_transaction_session_timeout": "1s",
    # A statement whose client has gone must not go on holding its locks.
    "client_connection_check_interval": "500ms",
    # What the text of statements and functions means, and what their values look like.
    "standard_conforming_strings": "on",
    "transform_null_equals": "off",
    "array_nulls": "on",
    "bytea_output": "hex",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "extra_float_digits": "1",
    "xmlbinary": "base64",
    "xmloption": "content",
    "row_security": "on",
    "check_function_bodies": "on",
    "plpgsql.extra_errors": "none",
    "plpgsql.extra_warnings": "none",
    # Short statements, all alike.
    "jit": "off",
    "plan_cache_mode": "auto",
}
# Not compared: over a Unix socket they read 0.
TCP: Mapping[str, str] = {
    "tcp_keepalives_idle": "1",
    "tcp_keepalives_interval": "1",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "2500",
}
# As PINNED, on servers that know them; an older one ends a session that asks for them.
NEWER: Mapping[str, str] = {"transaction_timeout": "10s"}
NEWER_SINCE = 17  # PostgreSQL's major version
# Not compared either: of letters beyond ASCII PostgreSQL shows a spelling of its own.
_NAME = "application_name"

# What no session may choose: the one good value, and what another one breaks. Refused.
REFUSED: Mapping[str, tuple[str, str]] = {
    "session_replication_role": (
        "origin",
        "no trigger would run, so ended tokens and changed settings would go unnoticed:"
        " ALTER ROLE ... RESET session_replication_role",
    ),
}
# The same, where a database service may keep its promise by other means. A start warns.
WARNED: Mapping[str, tuple[str, str]] = {
    "fsync": ("on", "a crash of its machine loses acknowledged messages"),
    "full_page_writes": ("on", "a crash of its machine may tear pages, unless its disk cannot"),
    "data_sync_retry": ("off", "what a failed flush has lost would count as on disk"),
    "zero_damaged_pages": ("off", "damaged pages are emptied without an error"),
    "ignore_checksum_failure": ("off", "damaged pages are read without an error"),
}


def startup(application: str, schema: str, **own: str) -> dict[str, str]:
    """The settings that a session sets at its start; ``own`` are limits that PINNED lacks."""
    named = {_NAME: application, "search_path": f"{schema}, pg_temp"}
    return {**PINNED, **TCP, **NEWER, **named, **own}


def looked_at(asked: Mapping[str, str]) -> list[str]:
    """The settings whose values ``refusal`` and ``dangers`` need."""
    return [*(name for name in asked if name not in TCP and name != _NAME), *REFUSED, *WARNED]


def refusal(asked: Mapping[str, str], found: Mapping[str, str | None]) -> str:
    """A sentence on why a session with these values cannot be used; empty if it can.

    None stands for a setting that the server does not know.
    """
    for name, (good, why) in REFUSED.items():
        if (value := found.get(name)) not in (None, good):
            return f"PostgreSQL's {name} is {value!r}: {why}."
    for name, wanted in asked.items():
        if (value := found.get(name)) not in (None, wanted):
            return (
                f"PostgreSQL's {name} is {value!r} in a session that asked for {wanted!r}:"
                " connect to PostgreSQL itself, not to a pooler such as PgBouncer."
            )
    return ""


def dangers(found: Mapping[str, str | None]) -> list[str]:
    """A sentence for each server setting that puts messages at risk."""
    return [
        f"PostgreSQL's {name} is {value!r}: {why}; set it to {good}."
        for name, (good, why) in WARNED.items()
        if (value := found.get(name)) not in (None, good)
    ]
