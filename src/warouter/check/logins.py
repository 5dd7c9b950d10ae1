"""Rules of `warouter check`: logins of PostgreSQL, passwords of the API. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from warouter.check.facts import InstallationFacts, listed, several
from warouter.check.finding import Level, rule

_KEY_CHARS = 20
_ROLES = "Run `warouter migrate --roles`, and give each kind of process its own login."


@rule(
    "login-superuser",
    Level.WARNING,
    "processes whose login is a superuser of PostgreSQL",
    _ROLES,
    database=True,
)
def _superuser(facts: InstallationFacts) -> Iterator[str]:
    for login in facts.known.trust.logins:
        if login.superuser and login.kinds:
            yield (
                f"The login {login.name} of {listed(login.kinds)} is a superuser of"
                " PostgreSQL: who takes such a process over has the server."
            )


@rule("login-owner", Level.NOTE, "processes whose login owns the schema", _ROLES, database=True)
def _owner(facts: InstallationFacts) -> Iterator[str]:
    for login in facts.known.trust.logins:
        if login.owner and login.kinds:
            yield (
                f"The login {login.name} of {listed(login.kinds)} owns the schema: no fence"
                " holds against it, nor is the audit log safe from it."
            )


@rule(
    "login-shared",
    Level.NOTE,
    "logins that all kinds of processes share",
    f"Leave it so on a small installation. Otherwise: {_ROLES[0].lower()}{_ROLES[1:]}",
    database=True,
)
def _shared(facts: InstallationFacts) -> Iterator[str]:
    login = facts.known.trust.shared
    if login is not None:
        yield f"{listed(login.kinds).capitalize()} share the login {login.name}."


@rule(
    "login-member",
    Level.NOTE,
    "logins, superusers aside, that are members of the owner of the schema",
    "Unless it administers: `warouter migrate --revoke-role NAME`.",
    database=True,
)
def _members(facts: InstallationFacts) -> Iterator[str]:
    for login in facts.known.members:
        yield f"The login {login} may do everything that the owner of the schema may."


@rule(
    "login-rights",
    Level.WARNING,
    "logins, or an owner of the schema, that may do more or less than they should",
    "Run `warouter migrate --roles`; `--check-roles` names what it cannot mend.",
    database=True,
)
def _rights(facts: InstallationFacts) -> Iterator[str]:
    yield from facts.known.rights


@rule(
    "password-md5",
    Level.WARNING,
    "passwords of PostgreSQL that are stored as MD5",
    "Set password_encryption to scram-sha-256, set these passwords anew, and let pg_hba.conf"
    " ask for scram-sha-256.",
    database=True,
)
def _md5(facts: InstallationFacts) -> Iterator[str]:
    server = facts.known.server
    if server.md5:
        yield f"The passwords of {several(server.md5)} are stored as MD5."
    if server.password_encryption == "md5":
        yield "PostgreSQL's password_encryption is md5: new passwords are stored as MD5."


@rule(
    "password-default",
    Level.CRITICAL,
    "users of the API with the default password",
    "Set another password now: `warouter user set-password NAME`.",
    database=True,
)
def _default_password(facts: InstallationFacts) -> Iterator[str]:
    users = facts.known.server.default_passwords
    if users:
        yield f"The user {several(users)} of the API still has the default password."


@rule(
    "api-key-short",
    Level.NOTE,
    f"API keys with less than {_KEY_CHARS} characters",
    "Draw a longer one: openssl rand -hex 16.",
)
def _short_key(facts: InstallationFacts) -> Iterator[str]:
    for characters in facts.host.api_keys:
        if characters < _KEY_CHARS:
            yield f"{facts.settings.api_key_name} has a key of {characters} characters."


RULES = (_superuser, _owner, _shared, _members, _rights, _md5, _default_password, _short_key)
