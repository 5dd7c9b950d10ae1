"""The step of the app secrets: each must be the secret of the app that the token is for. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from warouter.upstream.cloud.check.step import CheckStep, StepResult, failed, ok, warning

NAME = "app secret"


def judge(app: str, right: Sequence[bool]) -> CheckStep:
    """``right`` says of each line whether it is the app's."""
    wrong = [str(number) for number, good in enumerate(right, 1) if not good]
    if not wrong:
        lines = "It is" if len(right) == 1 else f"All {len(right)} are"
        return ok(NAME, f"{lines} of app {app}.")
    if len(wrong) == len(right):
        return failed(
            NAME,
            f"It is not the secret of app {app}, so each webhook would be refused.",
            "Copy it from the app's dashboard (App settings, Basic) into"
            " WAROUTER_CLOUD_APP_SECRET or its file.",
        )
    lines = f"Line {wrong[0]} is" if len(wrong) == 1 else f"Lines {' and '.join(wrong)} are"
    return warning(
        NAME,
        f"{lines} not of app {app}; the others are.",
        "Take the old ones out once the app has changed its secret.",
    )


def unknown(words: str) -> CheckStep:
    """The step where nobody says which app it is, or Meta cannot be asked."""
    return CheckStep(NAME, StepResult.SKIPPED, f"Meta does not say whose it is ({words}).")
