"""The schema and its roles as they are. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from warouter.store.roles.rights import Right


class Function(NamedTuple):
    """``signature`` as PostgreSQL writes it; ``settings`` are those that it sets for itself."""

    signature: str
    name: str
    arguments: int
    owner: str
    definer: bool
    settings: tuple[str, ...]


class Role(NamedTuple):
    """A role of the server; ``member_of`` are those that it was given."""

    name: str
    login: bool
    superuser: bool
    createrole: bool
    createdb: bool
    replication: bool
    bypassrls: bool
    member_of: tuple[str, ...]

    @property
    def powers(self) -> list[str]:
        """Attributes that no role of ours needs."""
        names = ("superuser", "createrole", "createdb", "replication", "bypassrls")
        return [name for name in names if getattr(self, name)]


class Catalogue(NamedTuple):
    """The schema as it is."""

    database: str
    schema: str
    owner: str  # of the schema
    tables: Mapping[str, str]  # their owners by name
    functions: tuple[Function, ...]
    rights: frozenset[Right]
    roles: Mapping[str, Role]
    stranger: str = ""  # the owner of the database, if it is no member of the owner of the schema
