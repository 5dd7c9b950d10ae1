"""Rules of `warouter check`: what is too small, and settings that put messages at risk. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from warouter.check.facts import InstallationFacts
from warouter.check.finding import Level, rule
from warouter.sizing.costs import COSTS

_MIB, _GIB = 1 << 20, 1 << 30
_USED = 0.8  # of the connections
_OTHERS = 10  # connections of operators, backups and monitoring
_FILES = 256  # descriptors of a webapp besides those of clients
_FREE, _LEAST = 0.05, _GIB  # of a disk
_BUFFERS, _WAL = 128 * _MIB, 4 * _GIB
_TRANSACTION_SECONDS = 600.0


@rule(
    "database-unsafe",
    Level.CRITICAL,
    "settings of PostgreSQL that put messages at risk",
    "Change it in postgresql.conf.",
    database=True,
)
def _unsafe(facts: InstallationFacts) -> Iterator[str]:
    yield from facts.known.server.dangers


@rule(
    "connections-few",
    Level.WARNING,
    "servers with too few connections for the processes that run",
    "Raise PostgreSQL's max_connections; `warouter sizing` says what a rate needs.",
    database=True,
)
def _connections(facts: InstallationFacts) -> Iterator[str]:
    server = facts.known.server
    room = server.max_connections - server.reserved
    needed = _OTHERS + sum(_needs(node.role) for node in facts.known.trust.nodes)
    if needed > room:
        yield (
            f"PostgreSQL has {room} connections ({server.max_connections}, {server.reserved} of"
            f" them reserved), and the processes that run now may want {needed}."
        )
    elif server.connections > room * _USED:
        yield f"{server.connections} of {room} connections of PostgreSQL are in use."


def _needs(role: str) -> int:
    return {
        "webapp": COSTS.webapp_connections,
        "coreapp": COSTS.coreapp_connections,
        "master": COSTS.master_connections,
    }.get(role, 0)


@rule(
    "descriptors-few",
    Level.WARNING,
    "limits of open files below what a webapp needs",
    "Raise LimitNOFILE of the unit (ulimit -Hn of a shell), or lower WAROUTER_CONNECTIONS.",
)
def _descriptors(facts: InstallationFacts) -> Iterator[str]:
    wanted = facts.settings.connections + _FILES
    if facts.host.descriptors < wanted:
        yield (
            f"A process may open {facts.host.descriptors:,} files here, and a webapp with"
            f" WAROUTER_CONNECTIONS {facts.settings.connections:,} wants {wanted:,}."
        )


@rule(
    "disk-full",
    Level.WARNING,
    "disks of media that are nearly full",
    "Free some of it, or give media a larger one.",
)
def _disk(facts: InstallationFacts) -> Iterator[str]:
    host = facts.host
    if host.media_free < max(_LEAST, host.media_size * _FREE):
        yield f"The disk of {facts.settings.media_dir} has {_size(host.media_free)} left."


@rule(
    "quota-wide",
    Level.NOTE,
    "quotas of media above the size of their disk",
    "Set WAROUTER_MEDIA_QUOTA below the size of the disk, so that uploads end before that.",
)
def _quota(facts: InstallationFacts) -> Iterator[str]:
    if facts.settings.media_url:
        return  # a bucket has no size
    quota, size = facts.settings.media_quota, facts.host.media_size
    if not quota or quota > size:
        said = _size(quota) if quota else "no limit"
        yield f"WAROUTER_MEDIA_QUOTA is {said}, and the disk of media has {_size(size)}."


@rule(
    "database-small",
    Level.NOTE,
    "settings of PostgreSQL that are small for a busy cluster",
    "Raise it where thousands of messages a second go, see docs/postgresql.md.",
    database=True,
)
def _slow(facts: InstallationFacts) -> Iterator[str]:
    server = facts.known.server
    if server.shared_buffers < _BUFFERS:
        yield f"PostgreSQL's shared_buffers is {_size(server.shared_buffers)}."
    if server.max_wal_size < _WAL:
        yield f"PostgreSQL's max_wal_size is {_size(server.max_wal_size)}."


@rule(
    "transaction-old",
    Level.WARNING,
    f"transactions that are open for more than {_TRANSACTION_SECONDS / 60:.0f} minutes",
    "Let it end, or end it with pg_terminate_backend.",
    database=True,
)
def _transaction(facts: InstallationFacts) -> Iterator[str]:
    server = facts.known.server
    if server.oldest_transaction_s > _TRANSACTION_SECONDS:
        yield (
            f"{server.oldest_transaction_by} has had a transaction open for"
            f" {server.oldest_transaction_s / 60:.0f} min: what was replaced since is kept."
        )


@rule(
    "coreapps-few",
    Level.WARNING,
    "shards without a coreapp of their own",
    "Start coreapps until there are as many as shards, and a spare.",
    database=True,
)
def _coreapps(facts: InstallationFacts) -> Iterator[str]:
    shards, found = facts.known.server.shards, _running(facts, "coreapp")
    if found < shards:
        yield f"{found} coreapps run for {shards} shards."


@rule(
    "coreapps-no-spare",
    Level.NOTE,
    "clusters without a spare coreapp",
    "Start one more coreapp.",
    database=True,
)
def _spares(facts: InstallationFacts) -> Iterator[str]:
    shards = facts.known.server.shards
    if shards and _running(facts, "coreapp") == shards:
        yield f"{shards} coreapps run for {shards} shards: none is a spare."


@rule(
    "masters-few",
    Level.NOTE,
    "clusters without a second master",
    "Start another master on another host.",
    database=True,
)
def _masters(facts: InstallationFacts) -> Iterator[str]:
    found = _running(facts, "master")
    if found < 2:
        yield f"{'One master' if found else 'No master'} runs: nobody takes over from it."


def _running(facts: InstallationFacts, role: str) -> int:
    return len({node.name for node in facts.known.trust.nodes if node.role == role})


@rule(
    "unseen",
    Level.NOTE,
    "facts that this login is not shown",
    "Give the check a login that is a member of pg_read_all_stats and may read these tables.",
    database=True,
)
def _unseen(facts: InstallationFacts) -> Iterator[str]:
    database = facts.known
    if database.trust.unseen:
        yield (
            f"The login {database.trust.login} is not shown where {database.trust.unseen} of"
            f" {database.trust.sessions} sessions come from, and whether in TLS."
        )
    hidden = [
        *database.server.unseen,
        *(["setting"] if database.webhook is None else []),
        *(["node.fingerprint"] if any(n.pinned is None for n in database.trust.distant) else []),
    ]
    if hidden:
        yield f"The login {database.trust.login} may not read {', '.join(hidden)}."


def _size(size: int) -> str:
    return f"{size / _GIB:.1f} GiB" if size >= _GIB else f"{size / _MIB:.0f} MiB"


RULES = (
    _unsafe,
    _connections,
    _descriptors,
    _disk,
    _quota,
    _slow,
    _transaction,
    _coreapps,
    _spares,
    _masters,
    _unseen,
)
