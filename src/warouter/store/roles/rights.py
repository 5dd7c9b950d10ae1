"""A right that a login has, or should have: in words, and as the statement that gives or takes it.

Pure.
"""

from __future__ import annotations

from typing import NamedTuple

PUBLIC = "public"  # everybody; no login can have this name
# PostgreSQL's major version: a membership says what it is good for, and there are connections that
# can be reserved.
OPTIONS_SINCE = 16


class Right(NamedTuple):
    """``kind`` is table, sequence, function, schema or database; ``column`` is "" for all."""

    grantee: str
    privilege: str
    kind: str
    name: str
    column: str = ""


def words(right: Right) -> str:
    """The right as it is read: ``select (body) on table message``."""
    column = f" ({right.column})" if right.column else ""
    return f"{right.privilege}{column} on {right.kind} {right.name}"


def statement(right: Right, schema: str, *, give: bool) -> str:
    """GRANT, or REVOKE, for the right."""
    what = right.privilege + (f" ({quoted(right.column)})" if right.column else "")
    name = right.name if right.kind == "function" else quoted(right.name)
    if right.kind in ("table", "sequence"):
        name = f"{quoted(schema)}.{name}"
    who = right.grantee if right.grantee == PUBLIC else quoted(right.grantee)
    verb, to = ("grant", "to") if give else ("revoke", "from")
    return f"{verb} {what} on {right.kind} {name} {to} {who}"


def membership(group: str, role: str, *, options: bool) -> str:
    """The statement that makes the role a member of the group; ``options``: since OPTIONS_SINCE."""
    how = " with inherit true, set true" if options else ""
    return f"grant {quoted(group)} to {quoted(role)}{how}"


def quoted(name: str) -> str:
    """A name as PostgreSQL takes it, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Text as PostgreSQL takes it, with standard_conforming_strings."""
    return "'" + text.replace("'", "''") + "'"
