"""Rules of `warouter check`: logins of PostgreSQL, passwords of the API. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from warouter.check.facts import InstallationFacts, listed, several
from warouter.check.finding import CheckRule, Level

_KEY_CHARS = 20


def _superuser(facts: InstallationFacts) -> Iterator[str]:
    for login in facts.known.trust.logins:
        if login.superuser and login.kinds:
            yield (
                f"The login {login.name} of {listed(login.kinds)} is a superuser of"
                " PostgreSQL: who takes such a process over has the server."
            )


def _owner(facts: InstallationFacts) -> Iterator[str]:
    for login in facts.known.trust.logins:
        if login.owner and login.kinds:
            yield (
                f"The login {login.name} of {listed(login.kinds)} owns the schema: no fence"
                " holds against it, nor is the audit log safe from it."
            )


def _shared(facts: InstallationFacts) -> Iterator[str]:
    login = facts.known.trust.shared
    if login is not None:
        yield f"{listed(login.kinds).capitalize()} share the login {login.name}."


def _members(facts: InstallationFacts) -> Iterator[str]:
    for login in facts.known.members:
        yield f"The login {login} may do everything that the owner of the schema may."


def _rights(facts: InstallationFacts) -> Iterator[str]:
    yield from facts.known.rights


def _md5(facts: InstallationFacts) -> Iterator[str]:
    server = facts.known.server
    if server.md5:
        yield f"The passwords of {several(server.md5)} are stored as MD5."
    if server.password_encryption == "md5":
        yield "PostgreSQL's password_encryption is md5: new passwords are stored as MD5."


def _default_password(facts: InstallationFacts) -> Iterator[str]:
    users = facts.known.server.default_passwords
    if users:
        yield f"The user {several(users)} of the API still has the default password."


def _short_key(facts: InstallationFacts) -> Iterator[str]:
    for characters in facts.host.api_keys:
        if characters < _KEY_CHARS:
            yield f"{facts.settings.api_key_name} has a key of {characters} characters."


_ROLES = "Run `warouter migrate --roles`, and give each kind of process its own login."

RULES = (
    CheckRule(
        "login-superuser",
        Level.WARNING,
        "processes whose login is a superuser of PostgreSQL",
        _ROLES,
        _superuser,
        database=True,
    ),
    CheckRule(
        "login-owner",
        Level.NOTE,
        "processes whose login owns the schema",
        _ROLES,
        _owner,
        database=True,
    ),
    CheckRule(
        "login-shared",
        Level.NOTE,
        "logins that all kinds of processes share",
        f"Leave it so on a small installation. Otherwise: {_ROLES[0].lower()}{_ROLES[1:]}",
        _shared,
        database=True,
    ),
    CheckRule(
        "login-member",
        Level.NOTE,
        "logins, superusers aside, that are members of the owner of the schema",
        "Unless it administers: `warouter migrate --revoke-role NAME`.",
        _members,
        database=True,
    ),
    CheckRule(
        "login-rights",
        Level.WARNING,
        "logins, or an owner of the schema, that may do more or less than they should",
        "Run `warouter migrate --roles`; `--check-roles` names what it cannot mend.",
        _rights,
        database=True,
    ),
    CheckRule(
        "password-md5",
        Level.WARNING,
        "passwords of PostgreSQL that are stored as MD5",
        "Set password_encryption to scram-sha-256, set these passwords anew, and let pg_hba.conf"
        " ask for scram-sha-256.",
        _md5,
        database=True,
    ),
    CheckRule(
        "password-default",
        Level.CRITICAL,
        "users of the API with the default password",
        "Set another password now: `warouter user set-password NAME`.",
        _default_password,
        database=True,
    ),
    CheckRule(
        "api-key-short",
        Level.NOTE,
        f"API keys with less than {_KEY_CHARS} characters",
        "Draw a longer one: openssl rand -hex 16.",
        _short_key,
    ),
)
