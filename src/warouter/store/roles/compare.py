"""How the logins of a database differ from what they should be. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from warouter.store.roles import grants
from warouter.store.roles.found import Catalogue, Function
from warouter.store.roles.rights import PUBLIC, Right, quoted, statement, words

# It asks what its caller may: as its owner it would ask of nobody else.
AS_CALLER = "unwritable"
# What a login may be given beside its rights: it sees more of the statistics, or finds a connection
# kept for it.
ALLOWED_GROUPS = ("pg_read_all_stats", "pg_use_reserved_connections")


# What the owner of the schema can mend by itself.
OBJECTS = frozenset(("table", "sequence", "function"))


class Difference(NamedTuple):
    """A sentence, and the statements that mend it, if any does; ``kind`` is that of a right."""

    said: str
    mends: tuple[str, ...] = ()
    kind: str = ""


def declared(
    names: Mapping[str, str], schema: str, database: str, functions: Sequence[Function]
) -> frozenset[Right]:
    """The rights of ``store.roles.grants``; ``names`` are the logins by kind: not all are there
    if an older build made them.
    """
    found = []
    for kind in grants.KINDS:
        if kind not in names:
            continue
        login = names[kind]
        found.append(Right(login, "connect", "database", database))
        found.append(Right(login, "usage", "schema", schema))
        for privilege, tables in grants.WHOLE.items():
            found += [Right(login, privilege, "table", t) for t in tables.get(kind, "").split()]
        for privilege, columns in grants.COLUMNS.items():
            for table, some in columns.get(kind, {}).items():
                found += [Right(login, privilege, "table", table, one) for one in some.split()]
        mine = {*grants.EXECUTE[kind].split()}
        found += [
            Right(login, "execute", "function", each.signature)
            for each in functions
            if each.name in mine
        ]
    return frozenset(found)


def differences(names: Mapping[str, str], found: Catalogue) -> list[Difference]:
    """All that is wrong; ``names`` are the roles by kind, the owner among them."""
    return [
        *_roles(names, found),
        *_owners(names[grants.OWNER], found),
        *_functions(found),
        *_rights(names, found),
        *_others(names, found),
    ]


def missing(names: Mapping[str, str], found: Catalogue) -> list[Difference]:
    """The rights to tables and functions that the logins lack."""
    return [
        each
        for each in _rights(names, found)
        if each.kind in OBJECTS and each.mends[0].startswith("grant")
    ]


def public(found: Catalogue) -> list[Difference]:
    """The rights of everybody to tables and functions, each of which is too much."""
    surplus = [r for r in found.rights if r.grantee == PUBLIC and r.kind in OBJECTS]
    return list(_surplus(surplus, found))


def _rights(names: Mapping[str, str], found: Catalogue) -> Iterator[Difference]:
    wanted = {
        right
        for right in declared(names, found.schema, found.database, found.functions)
        if right.grantee in found.roles
    }
    known = {PUBLIC, *names.values()}
    held = {right for right in found.rights if right.grantee in known}
    for right in sorted(wanted - held):
        said = f"{right.grantee} lacks the right to {words(right)}."
        yield Difference(said, (statement(right, found.schema, give=True),), right.kind)
    yield from _surplus(held - wanted, found)


def _surplus(rights: list[Right] | set[Right], found: Catalogue) -> Iterator[Difference]:
    for right in sorted(rights):
        who = "Everybody" if right.grantee == PUBLIC else right.grantee
        said = f"{who} has the right to {words(right)}, and needs none."
        yield Difference(said, (statement(right, found.schema, give=False),), right.kind)


def _others(names: Mapping[str, str], found: Catalogue) -> Iterator[Difference]:
    """Name roles that may do more than read, and are none of the logins.

    Nothing is taken from them here: processes may run under a login that was made by hand.
    """
    known = {PUBLIC, *names.values()}
    counts = Counter(
        right.grantee
        for right in found.rights
        if right.grantee not in known and right.kind in OBJECTS and right.privilege != "select"
    )
    for who, count in sorted(counts.items()):
        yield Difference(
            f"{who} is none of the logins, and has {count} rights to write tables or to execute"
            " functions: revoke them once no process uses it."
        )


def _roles(names: Mapping[str, str], found: Catalogue) -> Iterator[Difference]:
    for kind in grants.KINDS:
        if kind not in names:
            yield Difference(
                f"There is no login for the kind {kind} yet: `warouter migrate --roles` makes it."
            )
    for kind, name in names.items():
        role = found.roles.get(name)
        if role is None:
            yield Difference(f"There is no role {name}, which is to be that of the {kind}.")
            continue
        if role.login != (kind != grants.OWNER):
            yield Difference(f"{name} may {'' if role.login else 'not '}log in.")
        for power in role.powers:
            yield Difference(f"{name} has the attribute {power}, and needs none.")
        processes = {names[each] for each in grants.PROCESSES} if kind == grants.OWNER else set()
        for group in sorted(set(role.member_of) - processes - {*ALLOWED_GROUPS}):
            yield Difference(f"{name} is a member of {group}, and so may do what that may.")
        for group in sorted(processes - set(role.member_of)):
            said = f"{name} is no member of {group}, whose sessions masters may have to end."
            yield Difference(said)


def _owners(owner: str, found: Catalogue) -> Iterator[Difference]:
    if found.stranger:
        yield Difference(
            f"Database {found.database} belongs to {found.stranger}, who can drop it:"
            f" `alter database {quoted(found.database)} owner to {quoted(owner)}` as a superuser."
        )
    if found.owner != owner:
        yield Difference(f"Schema {found.schema} belongs to {found.owner}, not to {owner}.")
    for table, who in found.tables.items():
        if who != owner:
            yield Difference(f"Table {table} belongs to {who}, not to {owner}.")
    for each in found.functions:
        if each.owner != owner:
            yield Difference(f"Function {each.signature} belongs to {each.owner}, not to {owner}.")


def _functions(found: Catalogue) -> Iterator[Difference]:
    path = f"search_path={found.schema}, pg_temp"
    for each in found.functions:
        definer = each.name != AS_CALLER
        if each.definer != definer:
            whose = "the caller" if definer else "its owner"
            said = f"Function {each.signature} runs with the rights of {whose}."
            how = "definer" if definer else "invoker"
            yield Difference(said, (f"alter function {each.signature} security {how}",), "function")
        if path not in each.settings:
            said = f"Function {each.signature} does not look for its tables in {found.schema} only."
            mend = f"alter function {each.signature} set search_path from current"
            yield Difference(said, (mend,), "function")
