"""A step and its result. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

import msgspec

from warouter.upstream.cloud.secret_text import SHORTEST_SECRET


class Result(StrEnum):
    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "not checked"


class Step(msgspec.Struct, frozen=True):
    """``found`` is what is there or what is wrong, ``todo`` what to do about it; sentences."""

    step: str
    result: Result
    found: str
    todo: str = ""

    @property
    def failed(self) -> bool:
        return self.result is Result.FAILED


def ok(step: str, found: str) -> Step:
    return Step(step, Result.OK, found)


def warning(step: str, found: str, todo: str = "") -> Step:
    return Step(step, Result.WARNING, found, todo)


def failed(step: str, found: str, todo: str) -> Step:
    return Step(step, Result.FAILED, found, todo)


def skipped(step: str, ground: str) -> Step:
    """The step where another one, which it needs, has failed."""
    return Step(step, Result.SKIPPED, f"It needs what failed above: {ground}.")


def ended(words: str) -> str:
    """Words of others as a sentence."""
    return words if words.endswith((".", "!", "?")) else f"{words}."


def shown(step: Step, secrets: Iterable[str]) -> Step:
    """The step as it may be printed: in one line, and without a secret that somebody repeated."""
    return msgspec.structs.replace(
        step, found=_printable(step.found, secrets), todo=_printable(step.todo, secrets)
    )


def _printable(words: str, secrets: Iterable[str]) -> str:
    for secret in secrets:
        if len(secret) >= SHORTEST_SECRET:
            words = words.replace(secret, "(secret)")
    return "".join(char if char.isprintable() else " " for char in words)
