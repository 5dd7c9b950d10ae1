"""The lines of ``warouter status`` about the Cloud API: doubts, the number, limits, ends; and the
one about logins and encryption, of which ``warouter check`` has more.
"""

from __future__ import annotations

from datetime import UTC, date, datetime

from warouter.check.facts import listed
from warouter.store.journal.names import MOST_USERS
from warouter.store.views.doubts import CloudStatus, Stopped, age
from warouter.store.views.number_status import NumberFacts, NumberStatus
from warouter.store.views.sessions import DatabaseLogin, Trust
from warouter.upstream.cloud.graph.described import RETRY_SECONDS, retry_seconds

UNASKED = "not asked yet"
_BAD_TOKEN = (0, 190)


def cloud_facts(cloud: CloudStatus) -> dict[str, str]:
    """The lines about the Cloud API, by their name."""
    facts = {"cloud": _doubts(cloud)}
    if (number := cloud.number) is not None:
        facts["number"] = _number(number)
        facts["may send"] = UNASKED if number.facts is None else _may_send(number.facts)
        facts["webhooks"] = _webhooks(number)
        facts["token"] = _token(number.facts, cloud.stopped)
        facts["version"] = _version(number)
        facts["users"] = f"{_many(number.identities)} known, {_many(number.aliases)} with an alias"
    if cloud.notices:
        facts["account"] = "\n".join(str(notice) for notice in cloud.notices)
    return facts


def _many(users: int) -> str:
    """The number of users in words: nobody counts further than MOST_USERS."""
    return f"{users:,} or more" if users >= MOST_USERS else f"{users:,}"


def _doubts(cloud: CloudStatus) -> str:
    oldest = cloud.oldest_doubt_s
    since = "" if oldest is None else f" (the oldest for {age(oldest)})"
    words = f"{cloud.in_doubt:,} in doubt{since}, {cloud.held:,} held"
    if (stop := cloud.stopped) is None:
        return words
    return f"{words}; number stopped for {age(stop.age_s)} by code {stop.code}: {stop.details}"


def _number(number: NumberStatus) -> str:
    facts = number.facts
    status = facts.status or "status unknown" if facts is not None else "status unknown"
    level = f", level {facts.level:g}/s" if facts is not None and facts.level else ""
    return f"{number.phone_number_id} {status}{level}{_rates(number)}, {number.out:,} out"


def _rates(number: NumberStatus) -> str:
    if number.budget is None or number.rate is None:
        return ", no coreapp reports its rate"
    return (
        f", budget {number.budget:.1f}/s, rate {number.rate:.1f}/s of"
        f" {number.coreapps} coreapps, {number.throttled or 0:,} throttled,"
        f" {number.pair_waits or 0:,} pair waits"
    )


def _may_send(facts: NumberFacts) -> str:
    """The words of Meta's, and a line for each thing that limits it."""
    said = [facts.can_send or "unknown"]
    said += [f"quality {facts.quality}"] if facts.quality else []
    said += [f"name {facts.name_status}"] if facts.name_status else []
    asked = "about to be asked" if facts.read_age_s is None else f"{age(facts.read_age_s)} ago"
    return "\n".join([f"{', '.join(said)} ({asked})", *facts.warnings()])


def _webhooks(number: NumberStatus) -> str:
    if number.webhook_age_s is None:
        return "none came yet"
    words = f"the newest event is {age(number.webhook_age_s)} old"
    storage = number.facts.storage if number.facts is not None else ""
    if (seconds := retry_seconds(storage)) < RETRY_SECONDS:
        words += f"; No Storage: Meta repeats what fails for {age(seconds)} only"
    return words


def _token(facts: NumberFacts | None, stopped: Stopped | None) -> str:
    if stopped is not None and stopped.code in _BAD_TOKEN:
        return f"refused by Meta (code {stopped.code})"
    if facts is None or facts.token_expires_at is None:
        return "nobody knows when it ends"
    if facts.token_valid is False:
        return "not valid"
    if not facts.token_expires_at:
        return "never ends"
    end = datetime.fromtimestamp(facts.token_expires_at, UTC)
    return f"ends at {end:%Y-%m-%dT%H:%M:%SZ}{_left((end - datetime.now(UTC)).total_seconds())}"


def _version(number: NumberStatus) -> str:
    name = number.facts.version if number.facts is not None else ""
    if not name:
        return UNASKED
    if number.version_ends is None:
        return f"{name}, of whose end nothing is known"
    days = (date.fromisoformat(number.version_ends) - datetime.now(UTC).date()).days
    return f"{name} ends on {number.version_ends}{_left(days * 86_400.0)}"


def _left(seconds: float) -> str:
    return f" (in {age(seconds)})" if seconds > 0 else ": it has ended"


def trust_fact(trust: Trust) -> str:
    """The line about logins and encryption."""
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
