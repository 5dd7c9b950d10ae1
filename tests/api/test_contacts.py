"""POST /v1/contacts (C35, C36; rules 4 and 5)."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.harness.api import Answer, Api


async def check(api: Api, body: Any, path: str = "/v1/contacts", **options: Any) -> Answer:
    return await api.call("POST", path, body, token=api.user, **options)


async def test_c35_ten_thousand_long_numbers_take_no_time(api: Api) -> None:
    numbers = [f"+49 (0)171 {n:07}" + " " * 20 for n in range(10_000)]
    began = time.process_time()
    answer = await check(api, {"blocking": "wait", "contacts": numbers})
    assert time.process_time() - began < 5.0
    assert [c["wa_id"] for c in answer.json["contacts"]] == [f"49171{n:07}" for n in range(10_000)]


@pytest.mark.parametrize("path", ["/v1/contacts", "/v1/contacts/"])
@pytest.mark.parametrize(
    "rest", [{}, {"blocking": None}, {"blocking": "no_wait"}, {"force_check": "false"}, {"x": 1}]
)
async def test_c36_without_blocking(api: Api, path: str, rest: dict[str, Any]) -> None:
    answer = await check(api, {"contacts": ["16315551000"], **rest}, path)
    assert answer.status == 200
    assert answer.json["contacts"][0]["status"] == "valid"


async def test_inputs_are_echoed_as_they_came(api: Api) -> None:
    spellings = [
        "+1 (631) 555-1004",
        "1-631-555-1004",
        "0016315551004",
        " 1631555 1004 ",
        "1.631.555.1004",
        "tel:+1-631-555-1004",
        "+1\u00a0631\u2013555\u20111004",
    ]
    others = ["", "bob", "12", "1234567890123456", "☎ 16315551004", "a\r\nb", "+", "0171 1234567"]
    answer = await check(api, {"contacts": [*spellings, *others, spellings[0]]})
    shown = answer.json["contacts"]
    assert [c["input"] for c in shown] == [*spellings, *others, spellings[0]]
    assert {c["wa_id"] for c in shown[: len(spellings)]} == {"16315551004"}
    for contact in shown[len(spellings) : -1]:
        assert contact == {"input": contact["input"], "status": "invalid"}
    assert shown[-1] == shown[0]


async def test_national_spellings_are_of_the_country_of_the_registered_number(api: Api) -> None:
    spelt = {"contacts": ["0171 1234567", "+49 (0)171 1234567", "+49 171 1234567"]}
    before = (await check(api, spelt)).json["contacts"]
    assert [c["status"] for c in before] == ["invalid", "valid", "valid"]
    await api.context.accounts.save_account("49", "30123456", None, None)
    after = (await check(api, spelt)).json["contacts"]
    assert {c["wa_id"] for c in after} == {"491711234567"}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, 1008),
        ({"contacts": []}, 1009),
        ({"contacts": "16315551000"}, 1009),
        ({"contacts": [16315551000]}, 1009),
        ({"contacts": [None]}, 1009),
        ({"contacts": ["16315551000"], "blocking": "maybe"}, 1009),
        ({"contacts": ["1\0"]}, 1009),
        ([], 1009),
    ],
)
async def test_refusals(api: Api, body: object, code: int) -> None:
    (await check(api, body)).refused(400, code)


async def test_more_than_the_limit(api: Api) -> None:
    limit = api.context.config.contacts_limit
    (await check(api, None, data=b" " * (limit + 1))).refused(413, 1009)
