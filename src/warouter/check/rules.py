"""All rules of `warouter check`, and what they say of the facts. Pure."""

from __future__ import annotations

from warouter.check import certificates, encryption, files, logins, releases, sizes, verification
from warouter.check.facts import InstallationFacts
from warouter.check.finding import CheckRule, Finding, Level, findings

UNREACHABLE = "database-unreachable"
RULES: tuple[CheckRule, ...] = (
    *encryption.RULES,
    *verification.RULES,
    *logins.RULES,
    *files.RULES,
    *certificates.RULES,
    *releases.RULES,
    *sizes.RULES,
)
_WORST_FIRST = (Level.CRITICAL, Level.UNKNOWN, Level.WARNING, Level.NOTE, Level.OK)


def judged(facts: InstallationFacts) -> list[Finding]:
    """A finding for each thing that is wrong and each rule that found nothing, the worst first.

    Without the facts of PostgreSQL the rules that need them say nothing.
    """
    found = [
        finding
        for rule in RULES
        if not rule.database or facts.database is not None
        for finding in findings(rule, facts)
    ]
    return worst_first(found)


def unreachable(sentence: str) -> Finding:
    """PostgreSQL could not be asked; ``sentence`` says why, and what to do."""
    return Finding(UNREACHABLE, Level.UNKNOWN, sentence)


def worst_first(found: list[Finding]) -> list[Finding]:
    """Sort findings by their levels, and by the order of the rules within a level."""
    return sorted(found, key=lambda finding: _WORST_FIRST.index(finding.level))
