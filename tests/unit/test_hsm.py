"""A message of type `hsm` as a template, and that the result is a valid one."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from warouter.api.hsm import as_template
from warouter.api.validate import parse_message

LANGUAGE = {"policy": "fallback", "code": "en_US"}


def translated(parameters: Any, **rest: Any) -> dict[str, Any]:
    hsm = {"namespace": "ns", "element_name": "hello", "language": LANGUAGE}
    if parameters is not None:
        hsm["localizable_params"] = parameters
    body = msgspec.json.encode({"to": "+250788123123", "type": "hsm", "hsm": hsm, **rest})
    assert parse_message(body).type == "hsm"
    made = as_template(body)
    assert parse_message(made).type == "template"
    message: dict[str, Any] = msgspec.json.decode(made)
    return message


def test_names_and_the_rest_of_the_message() -> None:
    message = translated([{"default": "x"}], ttl="P4D", recipient_type="individual", more=[1.0])
    assert message == {
        "to": "+250788123123",
        "type": "template",
        "ttl": "P4D",
        "recipient_type": "individual",
        "more": [1.0],
        "template": {
            "namespace": "ns",
            "name": "hello",
            "language": LANGUAGE,
            "components": [{"type": "body", "parameters": [{"type": "text", "text": "x"}]}],
        },
    }


@pytest.mark.parametrize("parameters", [None, []])
def test_without_parameters(parameters: Any) -> None:
    assert "components" not in translated(parameters)["template"]


@pytest.mark.parametrize(
    ("given", "parameter"),
    [
        ({"default": ""}, {"type": "text", "text": ""}),
        (
            {"default": "$1", "currency": {"currency_code": "USD", "amount_1000": 1000}},
            {
                "type": "currency",
                "currency": {"fallback_value": "$1", "code": "USD", "amount_1000": 1000},
            },
        ),
        ({"default": "free", "currency": {}}, {"type": "text", "text": "free"}),
        (
            {"default": "d", "date_time": {"unix_epoch": {"timestamp": 1}}},
            {
                "type": "date_time",
                "date_time": {"fallback_value": "d", "unix_epoch": {"timestamp": 1}},
            },
        ),
        (
            {"default": "d", "date_time": {"component": {"year": 2026, "month": 1}}},
            {
                "type": "date_time",
                "date_time": {"fallback_value": "d", "component": {"year": 2026, "month": 1}},
            },
        ),
        ({"default": "d", "date_time": None}, {"type": "text", "text": "d"}),
    ],
)
def test_parameters(given: dict[str, Any], parameter: dict[str, Any]) -> None:
    (component,) = translated([given])["template"]["components"]
    assert component["parameters"] == [parameter]
