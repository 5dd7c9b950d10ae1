"""The line of ``warouter status`` about logins and encryption; ``warouter check`` has them all."""

from __future__ import annotations

from warouter.check.facts import listed
from warouter.store.views.sessions import DatabaseLogin, Trust


def fact_of(trust: Trust) -> str:
    """The line of the summary."""
    parts = [
        _logins(trust),
        f"database TLS {trust.database_tls}",
        _sessions(trust),
        _links(trust),
        "run warouter check",
    ]
    return " · ".join(part for part in parts if part)


def _logins(trust: Trust) -> str:
    if trust.shared is not None:
        return f"one login for all ({_named(trust.shared)})"
    used = [login for login in trust.logins if login.kinds]
    if used and all(len(login.kinds) == 1 and _named(login) == login.name for login in used):
        return "a login for each kind of process"
    said = ", ".join(f"{_named(login)} of {listed(login.kinds)}" for login in used)
    return f"logins {said}" if said else ""


def _named(login: DatabaseLogin) -> str:
    if login.superuser:
        return f"{login.name}, a superuser"
    return f"{login.name}, the schema's owner" if login.owner else login.name


def _sessions(trust: Trust) -> str:
    if trust.clear:
        return f"{trust.clear} of {trust.sessions} sessions without TLS"
    if trust.unseen:
        return f"{trust.unseen} of {trust.sessions} sessions not shown to {trust.login}"
    return "all sessions in TLS or local"


def _links(trust: Trust) -> str:
    if not any(node.role == "coreapp" for node in trust.nodes):
        return ""
    if any(node.pinned is None for node in trust.distant):
        return f"links not shown to {trust.login}"
    bare = sum(not node.pinned for node in trust.distant)
    if bare:
        return f"{bare} link{'s' if bare > 1 else ''} without TLS"
    return "links TLS pinned" if trust.distant else "links on this host"
