"""A step and its result. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

import msgspec

from warouter.upstream.cloud.secret_text import SHORTEST_SECRET


class StepResult(StrEnum):
    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "not checked"


class CheckStep(msgspec.Struct, frozen=True):
    """``found`` is what is there or what is wrong, ``todo`` what to do about it; sentences."""

    step: str
    result: StepResult
    found: str
    todo: str = ""

    @property
    def failed(self) -> bool:
        return self.result is StepResult.FAILED


def ok(step: str, found: str) -> CheckStep:
    return CheckStep(step, StepResult.OK, found)


def warning(step: str, found: str, todo: str = "") -> CheckStep:
    return CheckStep(step, StepResult.WARNING, found, todo)


def failed(step: str, found: str, todo: str) -> CheckStep:
    return CheckStep(step, StepResult.FAILED, found, todo)


def skipped(step: str, ground: str) -> CheckStep:
    """The step where another one, which it needs, has failed."""
    return CheckStep(step, StepResult.SKIPPED, f"It needs what failed above: {ground}.")


def ended(words: str) -> str:
    """Words of others as a sentence."""
    return words if words.endswith((".", "!", "?")) else f"{words}."


def shown(step: CheckStep, secrets: Iterable[str]) -> CheckStep:
    """The step as it may be printed: in one line, and without a secret that somebody repeated."""
    return msgspec.structs.replace(
        step, found=_printable(step.found, secrets), todo=_printable(step.todo, secrets)
    )


def _printable(words: str, secrets: Iterable[str]) -> str:
    for secret in secrets:
        if len(secret) >= SHORTEST_SECRET:
            words = words.replace(secret, "(secret)")
    return "".join(char if char.isprintable() else " " for char in words)
