"""How an action ended is kept for ever, and so quotes nothing."""

from __future__ import annotations

from typing import Any

import pytest

from warouter.access.recorded_action import recorded, without_values
from warouter.errors import ParameterInvalid


@pytest.mark.parametrize(
    ("sentence", "kept"),
    [
        ("done", "done"),
        ("400/1009 log_level is no level: 'canary'", "400/1009 log_level is no level: …"),
        ('the name "canary" is taken', "the name … is taken"),
        ("it is 'https://me:canary@a.example/?k=canary' now.", "it is … now."),
        (
            "no answer of https://me:canary@a.example/b?k=canary: 404",
            "no answer of https://a.example/b 404",
        ),
        ("Meta's token and the app's secret", "Meta's token and the app's secret"),
        ("'can', then 'ary'", "…, then …"),
        ("What differs? Nothing.", "What differs? Nothing."),
    ],
)
def test_an_outcome_has_no_value_in_it(sentence: str, kept: str) -> None:
    assert without_values(sentence) == kept


class Rows:
    def __init__(self) -> None:
        self.ended: list[tuple[int, str, str]] = []

    async def begin(self, _actor: str, _action: str, _source: str) -> int:
        return 7

    async def end(self, number: int, subject: str, outcome: str) -> None:
        self.ended.append((number, subject, outcome))


async def test_a_refused_action_is_recorded_without_its_body() -> None:
    rows: Any = Rows()

    async def refused() -> None:
        async with recorded(rows, "anna", "PATCH /v1/settings/application", "127.0.0.1") as action:
            action.subject = "log_level"
            raise ParameterInvalid("log_level must be one of these, not 'canary'")

    with pytest.raises(ParameterInvalid):
        await refused()
    assert rows.ended == [(7, "log_level", "400/1009 log_level must be one of these, not …")]
