"""The search for canaries finds them however they are written: each with what would show it."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

from tests.harness.canaries import CANARIES, OF_THE_URL, SETTINGS, WEBHOOK, found_in
from warouter.access import recorded_action
from warouter.errors import ParameterInvalid
from warouter.lab.simulator.cloud.wamid import Wamids

SENDER = CANARIES["sender"]
SECRETS = [(name, value.encode()) for name, value in CANARIES.items()]
ID = Wamids(7).incoming(SENDER, 3)
QUOTED = quote(ID, safe="").replace(".", "%2E")
KEY, PASSWORD = CANARIES["webhook URL's key"], CANARIES["webhook URL's password"]


@pytest.mark.parametrize(
    "said",
    [
        json.dumps({"event": "message stored", "id": ID}),
        f"<a href='/console/messages/{ID}'>",
        f"GET /console/messages/{QUOTED}?said=1",
        f"unknown id {ID[:40]}...",
    ],
    ids=["a line of the log", "a page", "a path", "cut off"],
)
def test_a_number_within_an_id_of_metas_is_found(said: str) -> None:
    assert SENDER not in said
    assert found_in({"a place": said.encode()}, SECRETS) == {("sender", "a place")}


def test_an_id_of_somebody_else_is_none_of_them() -> None:
    other = Wamids(7).incoming("15550001111", 3)
    assert found_in({"a place": other.encode()}, SECRETS) == set()


def test_a_credential_of_a_url_is_found_but_where_administrators_set_it() -> None:
    url = f"https://canary:{PASSWORD}@a.example/?k={KEY}".encode()
    shown = [f"{path} for {who}: 200" for path in (SETTINGS, WEBHOOK) for who in ("admin", "key")]
    found = found_in(dict.fromkeys([*shown, "a log"], url), SECRETS)
    assert {name for name, _ in found} == OF_THE_URL
    assert {where for _, where in found} == {shown[1], shown[3], "a log"}


class Rows:
    """What the audit log has kept."""

    def __init__(self) -> None:
        self.kept = b""

    async def begin(self, *_: str) -> int:
        return 1

    async def end(self, _number: int, subject: str, outcome: str) -> None:
        self.kept += f"{subject} {outcome}".encode()


@pytest.mark.parametrize("mutant", [False, True], ids=["the product", "outcomes that quote"])
async def test_an_outcome_that_quotes_is_found(
    mutant: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if mutant:
        monkeypatch.setattr(recorded_action, "without_values", lambda sentence: sentence)
    rows: Any = Rows()

    async def refused() -> None:
        async with recorded_action.recorded(rows, "anna", "PATCH", ""):
            raise ParameterInvalid(f"webhooks.url is 'https://a.example/?k={KEY}' now")

    with pytest.raises(ParameterInvalid):
        await refused()
    found = found_in({"table audit": rows.kept}, SECRETS)
    assert found == ({("webhook URL's key", "table audit")} if mutant else set())
