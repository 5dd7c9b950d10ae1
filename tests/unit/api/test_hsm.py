"""A message of type `hsm` as a template, and that the result is a valid one."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from warouter.api.messages.hsm import as_template
from warouter.api.messages.validate import parse_message
from warouter.errors import ApiError, ParameterInvalid

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


def body_with(more: bytes, in_hsm: bytes = b"0") -> bytes:
    return (
        b'{"to":"250788123123","type":"hsm","more":%b,"hsm":{"namespace":"n","element_name":"e",'
        b'"language":{"code":"en"},"more":%b}}' % (more, in_hsm)
    )


@pytest.mark.parametrize(
    "more", [b"1e400", b"1" * 5000, b"1.00", b"-0", b'{"a":1,"a":2}', b'"\\u00e9"']
)
def test_other_fields_travel_as_they_came(more: bytes) -> None:
    body = body_with(more)
    parse_message(body)
    assert b'"more":%b,' % more in as_template(body)


@pytest.mark.parametrize("number", [b"1e400", b"1" * 5000])
def test_a_number_that_is_none_is_refused(number: bytes) -> None:
    body = body_with(b"0", number)
    parse_message(body)
    with pytest.raises(ParameterInvalid):
        as_template(body)


def of(kind: str, **content: Any) -> dict[str, Any]:
    return {"type": kind, kind: content}


@pytest.mark.parametrize(
    ("given", "parameter"),
    [
        ({"default": ""}, {"type": "text", "text": ""}),
        (
            {"default": "$1", "currency": {"currency_code": "USD", "amount_1000": 1000}},
            of("currency", fallback_value="$1", code="USD", amount_1000=1000),
        ),
        ({"default": "free", "currency": {}}, {"type": "text", "text": "free"}),
        (
            {"default": "d", "date_time": {"unix_epoch": {"timestamp": 1}}},
            of("date_time", fallback_value="d", unix_epoch={"timestamp": 1}),
        ),
        (
            {"default": "d", "date_time": {"component": {"year": 2026, "month": 1}}},
            of("date_time", fallback_value="d", component={"year": 2026, "month": 1}),
        ),
        ({"default": "d", "date_time": None}, {"type": "text", "text": "d"}),
    ],
)
def test_parameters(given: dict[str, Any], parameter: dict[str, Any]) -> None:
    (component,) = translated([given])["template"]["components"]
    assert component["parameters"] == [parameter]
    for nothing in (None, []):
        assert "components" not in translated(nothing)["template"]


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)  # fmt: skip
PARAMETER = st.fixed_dictionaries(
    {"default": st.text(max_size=5)},
    optional={
        "currency": st.none()
        | st.fixed_dictionaries(
            {}, optional={"code": ANYTHING, "currency_code": ANYTHING, "amount_1000": ANYTHING}
        ),
        "date_time": ANYTHING | st.dictionaries(st.text(max_size=5), ANYTHING),
    },
)


@given(st.lists(PARAMETER, max_size=3))
def test_a_valid_hsm_is_a_valid_template(parameters: list[dict[str, Any]]) -> None:
    hsm = {"namespace": "n", "element_name": "e", "language": LANGUAGE}
    hsm["localizable_params"] = parameters
    body = msgspec.json.encode({"to": "250788123123", "type": "hsm", "hsm": hsm})
    try:
        parse_message(body)
    except ApiError:
        return
    assert parse_message(as_template(body)).type == "template"
