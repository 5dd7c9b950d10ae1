"""Rules of `warouter check`: secrets and data that others of this host can read. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from warouter.check.facts import FileAccess, InstallationFacts
from warouter.check.finding import Level, rule
from warouter.config import SECRETS


@rule(
    "secret-readable",
    Level.CRITICAL,
    "files with secrets or private keys that every account of this host can read",
    "chmod 600 it, and take what was in it for known: renew it.",
)
def _readable(facts: InstallationFacts) -> Iterator[str]:
    for place in facts.host.secrets:
        if place.readable:
            yield f"{_named(place)} can be read by every account of this host."


@rule(
    "file-writable",
    Level.CRITICAL,
    "files with secrets, or folders of data, that every account of this host can write",
    "chmod o-w it, and look at what is in it.",
)
def _writable(facts: InstallationFacts) -> Iterator[str]:
    for place in (*facts.host.secrets, *facts.host.folders):
        if place.writable:
            yield f"{_named(place)} can be written by every account of this host."


@rule(
    "folder-readable",
    Level.WARNING,
    "folders of data or media that every account of this host can list",
    "chmod 700 it, or 750 where a group shares it.",
)
def _folder_open(facts: InstallationFacts) -> Iterator[str]:
    for place in facts.host.folders:
        if place.readable:
            yield f"{_named(place)} can be listed by every account of this host."


@rule(
    "file-unread",
    Level.WARNING,
    "files and folders that are named by variables and cannot be used",
    "Correct file or path, or run the check as the account of the processes or as root.",
)
def _unread(facts: InstallationFacts) -> Iterator[str]:
    for place in (*facts.host.secrets, *facts.host.folders):
        if place.problem:
            yield f"{_named(place)} cannot be used: {place.problem}."


@rule(
    "secret-in-environment",
    Level.NOTE,
    "secrets given by value that could be given as a file",
    "Write it to a file of mode 0600, and name that in the variable with _FILE at its end.",
)
def _in_environment(facts: InstallationFacts) -> Iterator[str]:
    for name in SECRETS:
        if facts.values[name]:
            yield f"{name} is in the environment, which child processes and crash reports may show."


def _named(place: FileAccess) -> str:
    return f"{place.path} ({place.name})"


RULES = (_readable, _writable, _folder_open, _unread, _in_environment)
