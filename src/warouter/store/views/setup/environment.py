"""The variables that the processes of the cluster were started with, and where they differ.

Each process reports the harmless ones with their value, of any other only that it is set
(``node.reporter``). What a process did not set is at the default of its build.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from warouter import variables as groups
from warouter.config import Settings
from warouter.store.database import Source
from warouter.store.reports import FRESH_SECONDS

HIDDEN = "***"  # as the reporter writes it
_WEBAPP, _COREAPP, _MASTER = "webapp", "coreapp", "master"
CONSOLE = "console"  # it reports nothing: whoever reads in one adds what it knows itself
_ALL = frozenset({_WEBAPP, _COREAPP, _MASTER})
_MESSAGES = frozenset({_WEBAPP, _COREAPP})
# Whose value counts, by group; of one that is not here: all of them.
READERS = {
    groups.TLS: frozenset({_WEBAPP}),
    groups.API: frozenset({_WEBAPP}),
    groups.LIMITS: frozenset({_WEBAPP}),
    groups.WEBHOOK: _MESSAGES,
    groups.MEDIA: _MESSAGES,
    groups.RETENTION: frozenset({_COREAPP}),
    groups.CONSOLE: frozenset({CONSOLE}),
}
# Those of a host or of one process: that they differ is how it should be.
OWN = frozenset(
    [variable.name for variable in groups.ADDRESSES.variables]
    + [name for group in groups.GROUPS for name in group.private_keys]
    + [
        "WAROUTER_TLS_CERT",
        "WA_DB_SSL_CERT",
        "WAROUTER_WEBHOOK_CLIENT_CERT",
        "WAROUTER_CLOUD_LISTEN",
        "WAROUTER_CLOUD_TLS_CERT",
        "WAROUTER_LOG_LEVEL",
        "WAROUTER_MEDIA_SPOOL",
        "WA_DB_USERNAME",  # each role has a login of its own
        "WA_DB_PASSWORD",
        "WA_DB_PASSWORD_FILE",
        "WAROUTER_DB_PASSWORD_FILE",
    ]
)
_READ = """
select distinct on (r.node) r.node, r.role, n.started_at,
       case jsonb_typeof(r.body #> '{facts,env}') when 'array'
            then r.body #>> '{facts,env}' else '[]' end as env
  from report r left join node n using (incarnation)
 where r.at between clock_timestamp() - make_interval(secs => $1)
                and clock_timestamp() + make_interval(secs => $1)
 order by r.node, r.at desc"""


class ProcessEnvironment(msgspec.Struct, frozen=True):
    """One process that reports: what it was given, by name; HIDDEN for what is not shown."""

    node: str
    role: str
    given: dict[str, str]
    started_at: datetime | None = None


class Value(msgspec.Struct, frozen=True):
    """A value and who has it. ``source``: environment, default. ``hidden``: it is set, and only
    its process knows to what. ``since`` its youngest process started.
    """

    value: str
    source: str
    hidden: bool
    nodes: list[str]
    since: datetime | None = None


class VariableValues(msgspec.Struct, frozen=True):
    """One variable with the values that its readers have. ``differs``: those that should have the
    same do not. Of hidden ones it is known only that some have it and some do not.
    """

    name: str
    group: str
    meaning: str
    unit: str
    default: str
    secret: bool
    values: list[Value]
    differs: bool


class EnvironmentStatus(msgspec.Struct, frozen=True):
    processes: list[ProcessEnvironment]
    variables: list[VariableValues]

    @property
    def differing(self) -> list[VariableValues]:
        return [each for each in self.variables if each.differs]


async def read_environment(source: Source) -> EnvironmentStatus:
    """Every variable that there is, with what the processes say that report now."""
    rows = await source.fetch(_READ, FRESH_SECONDS)
    return compared([_process(row) for row in rows])


def compared(processes: Sequence[ProcessEnvironment]) -> EnvironmentStatus:
    """Compare the variables of these processes."""
    defaults = {field.encode_name: field.default for field in msgspec.structs.fields(Settings)}
    secrets = {name for group in groups.GROUPS for name in group.secrets}
    found = []
    for group in groups.GROUPS:
        readers = READERS.get(group, _ALL)
        mine = [each for each in processes if each.role in readers]
        for variable in group.variables:
            default = _text(defaults[variable.name])
            secret = variable.name in secrets
            values = _values(variable.name, default, mine, hidden=secret)
            found.append(
                VariableValues(
                    variable.name,
                    group.title,
                    variable.meaning,
                    variable.unit,
                    default,
                    secret,
                    values,
                    len(values) > 1 and variable.name not in OWN,
                )
            )
    return EnvironmentStatus(list(processes), found)


def _values(
    name: str, default: str, processes: Iterable[ProcessEnvironment], *, hidden: bool
) -> list[Value]:
    """The values of a variable, the commonest first; one set to its default equals an unset one."""
    nodes: dict[str, list[ProcessEnvironment]] = {}
    given: set[str] = set()
    for each in processes:
        value = each.given.get(name, "")
        if value and hidden:
            value = HIDDEN
        if value:
            given.add(value)
        nodes.setdefault(value or default, []).append(each)
    found = [
        Value(
            "" if value == HIDDEN else value,
            "environment" if value in given else "default",
            value == HIDDEN,
            sorted(each.node for each in those),
            max((each.started_at for each in those if each.started_at), default=None),
        )
        for value, those in nodes.items()
    ]
    return sorted(found, key=lambda value: (-len(value.nodes), value.value))


def _text(default: Any) -> str:
    """A default as an environment would say it."""
    if isinstance(default, bool):
        return "1" if default else "0"
    return f"{default:g}" if isinstance(default, float) else str(default)


def _process(row: Any) -> ProcessEnvironment:
    lines = msgspec.json.decode(row["env"], type=list[Any])
    pairs = [str(line).partition("=") for line in lines]
    given = {name: value for name, _, value in pairs if name and value}
    return ProcessEnvironment(row["node"], row["role"], given, row["started_at"])
