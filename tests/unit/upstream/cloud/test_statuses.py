"""Statuses of the Cloud API in the v1 form."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from tests.unit.upstream.cloud.samples import DELIVERED, FAILED, OUR_ID, dumped
from warouter.message_id import text_of
from warouter.upstream.checks import problem
from warouter.upstream.cloud.statuses import NAMES, billed, to_v1
from warouter.upstream.protocol import Event

ID = text_of(OUR_ID)
TO = "15550001112"  # as we know the number, a digit away from what Meta says


def v1(status: dict[str, Any]) -> dict[str, Any]:
    made = to_v1(dumped(status), ID, TO)
    assert made is not None
    key = f"{ID}:{made.status}:{made.timestamp}"
    assert problem(Event(7, 1, "status", key, TO, made.payload)) is None
    found: dict[str, Any] = json.loads(made.payload)
    assert (found["status"], found["timestamp"]) == (made.status, str(made.timestamp))
    return found


ERROR = {
    "code": 1013,
    "title": "User is not valid",
    "details": "Message Undeliverable.",
    "href": "/v1/errors#1013",
}


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (DELIVERED, {"timestamp": "1764000000", "pricing": DELIVERED["pricing"]}),
        (FAILED, {"timestamp": "1764000002", "errors": [ERROR]}),
    ],
    ids=["delivered", "failed"],
)
def test_a_status_has_our_id_our_number_twice_and_its_own_part(given: Any, shown: Any) -> None:
    assert v1(given) == shown | {
        "id": ID,
        "recipient_id": TO,
        "message": {"recipient_id": TO},
        "type": "message",
        "status": given["status"],
    }


@pytest.mark.parametrize("name", ["sent", "delivered", "read", "failed", "deleted", "warning"])
def test_statuses_v1_has_are_shown(name: str) -> None:
    assert v1(DELIVERED | {"status": name})["status"] == name
    assert name in NAMES


@pytest.mark.parametrize("name", ["played", "sending", "", "Sent", None, 5, ["sent"]])
def test_statuses_v1_lacks_are_not_shown(name: Any) -> None:
    assert to_v1(dumped(DELIVERED | {"status": name}), ID, TO) is None


def test_conversation_and_pricing_pass() -> None:
    conversation = {
        "id": "5f2c",
        "expiration_timestamp": "1764086400",
        "origin": {"type": "referral_conversion"},
    }
    pricing = {"billable": False, "pricing_model": "CBP", "category": "service", "of": 10**30}
    found = v1(DELIVERED | {"conversation": conversation, "pricing": pricing})
    assert (found["conversation"], found["pricing"]) == (conversation, pricing)


@pytest.mark.parametrize("bad", [None, 5, "x", [], True])
def test_a_status_that_is_no_object_is_dropped(bad: Any) -> None:
    found = v1(DELIVERED | {"conversation": bad, "pricing": bad, "errors": bad})
    assert not {"conversation", "pricing", "errors"} & found.keys()


def test_errors_of_other_statuses_pass() -> None:
    """A warning has some."""
    (error,) = v1(DELIVERED | {"status": "warning", "errors": FAILED["errors"]})["errors"]
    assert error["code"] == 1013


@pytest.mark.parametrize("errors", [None, [], {}, [5], "x"])
def test_a_failed_status_always_says_why(errors: Any) -> None:
    (error,) = v1(FAILED | {"errors": errors})["errors"]
    assert error["code"] == 500
    assert error["title"]


@pytest.mark.parametrize(
    ("error", "code", "details"),
    [
        ({"code": 131047, "title": "Re-engagement message"}, 470, "Re-engagement message"),
        ({"code": 131047, "message": "More than 24 hours"}, 470, "More than 24 hours"),
        ({"code": 131026, "title": "T", "error_data": {"details": "D"}}, 1013, "D"),
        ({"code": 131026, "title": "T", "error_data": "D"}, 1013, "T"),
        ({"code": 131026, "title": "T", "error_data": {"details": "D" * 9000}}, 1013, "D" * 2000),
        ({"code": 131026, "title": "T", "error_data": {"details": "D\x00D"}}, 1013, "DD"),
        ({"code": 131026, "title": "T", "message": "M" * 9000}, 1013, "M" * 2000),
        ({"code": 131026, "title": "T", "message": "M", "details": "D"}, 1013, "D"),
        ({"code": 123456789, "title": "of next year"}, 1014, "of next year"),
        ({"code": 10**40, "title": "T"}, 1014, "T"),
        ({"code": "131026", "title": "T"}, 1014, "T"),
        ({"code": True, "title": "T"}, 1014, "T"),
        ({"title": "T"}, 1014, "T"),
    ],
)
def test_errors_are_mapped(error: dict[str, Any], code: int, details: str) -> None:
    (found,) = v1(FAILED | {"errors": [error]})["errors"]
    assert (found["code"], found["details"]) == (code, details)
    assert found.keys() == {"code", "title", "details", "href"}


@pytest.mark.parametrize("raw", [b"", b"[]", b"{", b"5", b"\xff", b"{}"])
def test_an_unknown_status_is_none(raw: bytes) -> None:
    assert to_v1(raw, ID, TO) is None


def _priced(status: str, **price: Any) -> bytes:
    return msgspec.json.encode({"id": "wamid.1", "status": status, "pricing": price})


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (_priced("delivered", billable=True, category="utility", type="regular"), True),
        (_priced("read", billable=True, category="utility", type="regular"), True),
        (_priced("sent", billable=True, category="utility", type="regular"), False),
        (_priced("delivered", billable=False, category="utility", type="regular"), False),
        (_priced("delivered", billable=True, category=5, type=None), False),
        (b'{"status":"delivered","pricing":5}', False),
        (b'{"status":"delivered","pricing"', False),
        (b'{"status":"delivered"}', False),
    ],
)
def test_each_message_is_charged_once(raw: bytes, *, said: bool) -> None:
    assert billed(raw) == (("utility", "regular") if said else None)
