"""Rules of `warouter check`: certificates that have ended or will, or do not work. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from warouter.check.facts import InstallationFacts
from warouter.check.finding import Level, rule

DAYS = 14.0
_SKEW = 5 / 1440  # of clocks, in days


@rule(
    "certificate-ended",
    Level.CRITICAL,
    "certificates that have ended",
    "Renew it now: clients that verify it do not get through.",
)
def _ended(facts: InstallationFacts) -> Iterator[str]:
    for one in facts.host.certificates:
        if one.ends <= 0 and not one.problem:
            yield f"{one.name} ended {_days(-one.ends)} ago."


@rule(
    "certificate-ends",
    Level.WARNING,
    f"certificates that end within {DAYS:.0f} days",
    "Renew it, and see that what renews it by itself runs.",
)
def _ends(facts: InstallationFacts) -> Iterator[str]:
    for one in facts.host.certificates:
        if 0 < one.ends <= DAYS and not one.problem:
            yield f"{one.name} ends in {_days(one.ends)}."


@rule(
    "certificate-early",
    Level.CRITICAL,
    "certificates that are not valid yet",
    "Check the clock of this host, or issue it anew.",
)
def _early(facts: InstallationFacts) -> Iterator[str]:
    for one in facts.host.certificates:
        if one.begins > _SKEW and not one.problem:
            yield f"{one.name} is not valid for another {_days(one.begins)}."


@rule(
    "certificate-unfit",
    Level.CRITICAL,
    "certificates that cannot be used, or do not belong to their private key",
    "Give a PEM file with the certificate and its chain, and the private key that belongs to it.",
)
def _unfit(facts: InstallationFacts) -> Iterator[str]:
    for one in facts.host.certificates:
        if one.problem:
            yield f"{one.name} cannot be used: {one.problem}."


def _days(days: float) -> str:
    if days < 2:
        return f"{days * 24:.0f} hours"
    return f"{days:.0f} days"


RULES = (_ended, _ends, _early, _unfit)
