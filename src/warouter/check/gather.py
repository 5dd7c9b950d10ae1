"""Asks this host and PostgreSQL for what the rules judge."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
import msgspec

from warouter import __version__
from warouter.check import host, pairs
from warouter.check.facts import CertificateDates, Database, FileAccess, InstallationFacts
from warouter.cloud_number import FIRST
from warouter.config import Settings
from warouter.errors import CommandError, ConfigError, MediaAway
from warouter.media.objects import Objects
from warouter.store import migrate
from warouter.store.database import Connection, close_politely, first_connection
from warouter.store.migrations import migrations
from warouter.store.roles import catalogue, compare, grants
from warouter.store.views.exposure import StoredSettings, read_server, read_stored
from warouter.store.views.peer import peer_of
from warouter.store.views.permitted import permitted
from warouter.store.views.trust import read_trust

# Not "wa:...": those sessions are taken for a node's.
APPLICATION = "warouter check"
_LOGINS = "select kind, name::text from database_role"


class Gathered(NamedTuple):
    """``unreachable`` says why PostgreSQL could not be asked, "" if it was."""

    facts: InstallationFacts
    unreachable: str


async def gather(settings: Settings, data_dir: Path | None, etc: Path = host.ETC) -> Gathered:
    """All facts; without the database's where it does not answer, or has no schema that fits."""
    here = host.look(settings, data_dir, etc)
    database, found, unfit, unreachable = None, list[CertificateDates](), "", ""
    try:
        connection = await first_connection(settings, APPLICATION)
    except CommandError as error:
        unreachable = str(error)
    else:
        try:
            unfit = await _unfit(connection)
            if not unfit:
                database, found = await _ask(connection)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            unreachable = f"The database did not answer ({error or type(error).__name__})."
        finally:
            await close_politely(connection)
    facts = InstallationFacts(
        settings=settings,
        today=date.today(),
        version=__version__,
        schema=migrations()[-1].version,
        host=msgspec.structs.replace(
            here,
            certificates=(*here.certificates, *found),
            folders=(*here.folders, *await _bucket(settings)),
        ),
        database=database,
        unfit=unfit,
    )
    return Gathered(facts, unreachable)


async def _bucket(settings: Settings) -> list[FileAccess]:
    """The bucket of media, if there is one; it is only listed, for a check changes nothing."""
    if not settings.media_url:
        return []
    try:
        objects = Objects(settings)
        await anext(objects.list("shared", 1), None)
        problem = ""
    except (ConfigError, MediaAway) as error:
        problem = str(error).rstrip(".")
    return [FileAccess(name="WAROUTER_MEDIA_URL", path=settings.media_url, problem=problem)]


async def _unfit(connection: Connection) -> str:
    try:
        await migrate.check(connection)
    except CommandError as error:
        return str(error)
    return ""


async def _ask(connection: Connection) -> tuple[Database, list[CertificateDates]]:
    """PostgreSQL's facts, and the certificates that it showed or has."""
    peer = peer_of(connection)
    stored = await read_stored(connection, FIRST)
    database = Database(
        trust=await read_trust(connection),
        server=await read_server(connection),
        verified=None if peer is None else peer.verified,
        webhook=None if stored is None else _url(stored.application),
        **await _logins(connection),
    )
    found = [] if stored is None else _stored(stored)
    if peer is not None and peer.certificate:
        found.append(pairs.of_der("PostgreSQL's certificate", peer.certificate))
    return database, found


async def _logins(connection: Connection) -> dict[str, tuple[str, ...]]:
    """Read the logins, as fields of ``Database``."""
    rows = await permitted(connection, _LOGINS, table="database_role", columns="kind name")
    if not rows:  # one login does everything, or this one is not shown which there are
        return {}
    names = {row["kind"]: row["name"] for row in rows}
    found = await catalogue.read(connection, names)
    return {
        "members": tuple(await catalogue.members(connection, names[grants.OWNER])),
        "rights": tuple(each.said for each in compare.differences(names, found)),
    }


def _stored(stored: StoredSettings) -> list[CertificateDates]:
    return [
        *pairs.of_setting("The API's stored certificate", stored.certificate, "chain", "key"),
        *pairs.of_setting("The stored authorities of webhooks", stored.webhook_ca, "pem"),
    ]


def _url(application: Any) -> str:
    """The webhook of stored settings, which another build may have written."""
    webhooks = application.get("webhooks") if isinstance(application, Mapping) else None
    url = webhooks.get("url") if isinstance(webhooks, Mapping) else None
    return url if isinstance(url, str) else ""
