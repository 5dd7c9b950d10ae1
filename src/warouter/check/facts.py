"""The facts about this host and its PostgreSQL, for `warouter check`. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import cached_property
from typing import Any

import msgspec

from warouter.cloud_settings import is_loopback
from warouter.config import Settings
from warouter.store.views.server import Server
from warouter.store.views.sessions import Trust


class FileAccess(msgspec.Struct, frozen=True, kw_only=True):
    """A file or a folder, and what other accounts of this host may do with it.

    ``name`` is its variable, or what it is. ``problem`` is why it cannot be used.
    """

    name: str
    path: str
    readable: bool = False
    writable: bool = False
    problem: str = ""


class CertificateDates(msgspec.Struct, frozen=True, kw_only=True):
    """Days from now until it begins and ends. ``problem``: why it cannot be used, "" if it can."""

    name: str
    begins: float = -1.0
    ends: float = 365.0
    problem: str = ""


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """This host, as this process sees it. Sizes in bytes."""

    secrets: tuple[FileAccess, ...] = ()  # files with keys, passwords, tokens
    folders: tuple[FileAccess, ...] = ()  # data and media
    certificates: tuple[CertificateDates, ...] = ()
    api_keys: tuple[int, ...] = ()  # the characters of each
    simulator_open: tuple[str, ...] = ()  # addresses other than loopback where its port listens
    console_api_here: bool = False  # WAROUTER_CONSOLE_API leads to this host
    descriptors: int = 1 << 20  # the most that a process started like this one may open
    media_free: int = 1 << 50
    media_size: int = 1 << 50  # of the whole file system


class Database(msgspec.Struct, frozen=True, kw_only=True):
    """PostgreSQL. ``verified``: this session checked certificate and name; None without TLS."""

    trust: Trust
    server: Server
    verified: bool | None = True
    webhook: str | None = ""  # the URL; None if this login may not read it
    members: tuple[str, ...] = ()  # other logins that may do what the owner of the schema may
    rights: tuple[str, ...] = ()  # how logins differ from what they should be, a sentence each


class InstallationFacts(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """``database`` is None if it could not be asked; ``unfit`` says why its schema does not fit."""

    settings: Settings
    today: date
    version: str  # of this build
    schema: int  # the newest migration of this build
    host: Host = Host()
    database: Database | None = None
    unfit: str = ""

    @cached_property
    def values(self) -> Mapping[str, Any]:
        """The settings by the names of their variables."""
        return values_of(self.settings)

    @property
    def distant(self) -> list[str]:
        """The hosts of WA_DB_HOSTNAME that are reached over a network."""
        hosts = [host for host, _ in self.settings.db_servers]
        return [host for host in hosts if not host.startswith("/") and not is_loopback(host)]

    @property
    def known(self) -> Database:
        """The facts of the database, for rules that are called with them only."""
        assert self.database is not None
        return self.database


def values_of(settings: Settings) -> dict[str, Any]:
    """The settings by the names of their variables."""
    fields = msgspec.structs.fields(type(settings))
    return {field.encode_name: getattr(settings, field.name) for field in fields}


def listed(names: tuple[str, ...]) -> str:
    """Join texts as ``a, b and c``."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def several(names: list[str] | tuple[str, ...], most: int = 5) -> str:
    """Join the first texts as ``a, b and 3 more``."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
