"""The settings of a number that the API changes, each with where it comes from and since when.

Secrets never leave the database: see settings_shown. Since when is what the audit log still knows:
the last request of the API that named the field and succeeded, and never from before retention.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from warouter.app_settings import APPLICATION, ApplicationSettings, effective, shown
from warouter.store.audit import DONE
from warouter.store.database import Source
from warouter.stored import decoded

MOST_CHANGES = 200
SECRETS = "webhooks.secrets"
HIDDEN = "\N{BULLET}" * 5  # stands in a URL for its credentials, see url_shown
_SHOWN = "select name, value::text as value from settings_shown($1)"
_CHANGES = """
select b.at, b.actor, b.action, e.subject
  from audit b join audit e on e.of = b.id
 where b.of is null and b.action = any ($1) and e.outcome = $2 and b.id > $3
   and e.id > $3 order by b.id desc limit $4"""
_NEWEST = "select coalesce(max(id), 0) from audit"
LOOKED_THROUGH = 20_000  # rows of the audit log
CHANGED, RESET = "PATCH /v1/settings/application", "DELETE /v1/settings/application"
ROTATED = ("add webhook secret", "delete older webhook secret")
REGISTERED = ("POST /v1/configs/webhook", "DELETE /v1/configs/webhook")


class Field(msgspec.Struct, frozen=True):
    """One setting by its path, as ``webhooks.url``. ``set``: a client set it; else it is at its
    default. ``value`` of a secret is how many there are. ``since`` is UTC, None if nobody knows.
    """

    name: str
    value: Any
    default: Any
    set: bool
    secret: bool = False
    since: datetime | None = None
    by: str | None = None


class ApplicationStatus(msgspec.Struct, frozen=True):
    """``others`` are the names of what else is stored, as ``webhook_ca``."""

    fields: list[Field]
    others: list[str]


class Change(NamedTuple):
    """A request that changed these fields; all of them were ``reset`` if it names none."""

    at: datetime
    by: str
    fields: frozenset[str]
    reset: bool


async def read_application(source: Source, number: int) -> ApplicationStatus:
    stored = {row["name"]: row["value"] for row in await source.fetch(_SHOWN, number)}
    text = stored.pop(APPLICATION, None)
    found = {} if text is None else decoded(text)
    changes = await _changes(source)
    return ApplicationStatus(
        fields_of(found if isinstance(found, dict) else {}, changes), sorted(stored)
    )


def fields_of(stored: Mapping[str, Any], changes: list[Change]) -> list[Field]:
    """Each setting; ``stored`` is as settings_shown has it, ``changes`` have the newest first."""
    count = stored.get("webhooks_secrets_count", 0)
    given = {name: value for name, value in stored.items() if name != "webhooks_secrets_count"}
    try:
        now = effective(given)
    except msgspec.ValidationError:  # of a build with other values: what is set is not in force
        now, given = ApplicationSettings(), {}
    defaults = dict(_flat(shown(ApplicationSettings())))
    mine = dict(_flat(given))
    found = [
        Field(name, value, defaults[name], name in mine, False, *_since(name, changes))
        for name, value in _flat(shown(now))
    ]
    found.append(Field(SECRETS, count, 0, bool(count), True, *_since(SECRETS, changes)))
    return sorted(found, key=lambda field: field.name)


def _flat(fields: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in fields.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{path}{name}.")
        else:
            yield path + name, list(value) if isinstance(value, tuple) else value


def _since(name: str, changes: list[Change]) -> tuple[datetime, str] | tuple[None, None]:
    """When the setting was changed last, and by whom."""
    known = ((each.at, each.by) for each in changes if each.reset or name in each.fields)
    return next(known, (None, None))


async def _changes(source: Source) -> list[Change]:
    newest: int = await source.fetchval(_NEWEST)
    rows = await source.fetch(
        _CHANGES,
        [CHANGED, *ROTATED, *REGISTERED, RESET],
        DONE,
        newest - LOOKED_THROUGH,
        MOST_CHANGES,
    )
    return [
        Change(
            row["at"], row["actor"], frozenset(row["subject"].split(", ")), row["action"] == RESET
        )
        for row in rows
    ]
