"""Which statuses a message gets, when, and what they look like."""

from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from warouter.lab.simulator.faults import Faults
from warouter.lab.simulator.statuses import ALL, FAILED, TakenMessage, Timetable, drawn, payload

DELAYS = (0.02, 0.06, 0.15)


def taken(id: str, at: float, statuses: tuple[str, str, str] = ALL) -> TakenMessage:
    return TakenMessage(3, id, "491511234567", at, 1000.0 + at, statuses)


def names(due: list[tuple[str, TakenMessage]]) -> list[tuple[str, str]]:
    return [(status, message.id) for status, message in due]


def filled(*messages: TakenMessage) -> Timetable:
    table = Timetable()
    for message in messages:
        table.add(message)
    return table


def test_each_status_comes_at_its_delay() -> None:
    table = filled(taken("a", 10.0), taken("b", 10.1))
    assert names(table.due(10.019, DELAYS)) == []
    assert names(table.due(10.0201, DELAYS)) == [("sent", "a")]
    assert names(table.due(10.121, DELAYS)) == [("sent", "b"), ("delivered", "a")]
    assert names(table.due(11.0, DELAYS)) == [("delivered", "b"), ("read", "a"), ("read", "b")]
    assert names(table.due(99.0, DELAYS)) == []


def test_changed_delays_hold_for_what_is_under_way_and_a_late_tick_keeps_its_order() -> None:
    table = filled(taken("a", 10.0))
    assert names(table.due(10.02, (1.0, 1.0, 1.0))) == []
    assert names(table.due(10.02, (0.0, 0.01, 1.0))) == [("sent", "a"), ("delivered", "a")]


def test_empty_places_give_no_status() -> None:
    table = filled(taken("a", 10.0, FAILED), taken("b", 10.0, ("", "delivered", "")))
    assert names(table.due(99.0, DELAYS)) == [("failed", "a"), ("delivered", "b")]


@pytest.mark.parametrize(
    ("status", "timestamp"),
    [
        ("sent", 1010),
        ("delivered", 1011),
        ("read", 1012),
        ("failed", 1010),
        ("warning", 1010),
        ("deleted", 1012),
    ],
)
def test_the_timestamp_is_of_the_status_not_of_its_telling(status: str, timestamp: int) -> None:
    assert taken("a", 10.5).timestamp(status, (0.2, 0.6, 1.6)) == timestamp


@pytest.mark.parametrize("status", ["sent", "delivered", "read", "failed", "warning", "deleted"])
def test_payload_has_the_v1_form(status: str) -> None:
    made = msgspec.json.decode(payload(status, 'q"\\é', "491511234567", 1700000000))
    assert made["id"] == 'q"\\é'
    assert made["recipient_id"] == made["message"]["recipient_id"] == "491511234567"
    assert made["type"] == "message"
    assert made["status"] == status
    assert made["timestamp"] == "1700000000"
    priced = status in ("sent", "delivered")
    assert ("conversation" in made, "pricing" in made) == (priced, priced)
    assert ("errors" in made) == (status == "failed")
    if priced:
        assert made["conversation"]["expiration_timestamp"] == 1700086400
        assert made["conversation"]["origin"] == {"type": "business_initiated"}
        assert made["pricing"]["billable"] is True
    if status == "failed":
        assert set(made["errors"][0]) == {"code", "title", "details", "href"}
        assert made["errors"][0]["title"] == "Receiver Incapable"


def test_one_conversation_per_recipient() -> None:
    conversations = {
        (to, msgspec.json.decode(payload("sent", id, to, 1))["conversation"]["id"])
        for to in ("491511234567", "491511234568")
        for id in ("a", "b")
    }
    assert len(conversations) == len({id for _, id in conversations}) == 2


@given(st.integers())
def test_defaults_draw_everything_in_order(seed: int) -> None:
    assert drawn(Faults(), Random(seed)) == ALL


@pytest.mark.parametrize(
    ("faults", "allowed"),
    [
        (Faults(failed=1.0), {FAILED}),
        (Faults(sent=0.0), {("", "delivered", "read")}),
        (Faults(warning=1.0), {("warning", "delivered", "read")}),
        (Faults(deleted=1.0, failed=0.0), {("sent", "delivered", "deleted")}),
        (Faults(delivered=0.0, read=0.0), {("sent", "", "")}),
    ],
)
def test_ratios_of_one_and_zero(faults: Faults, allowed: set[tuple[str, str, str]]) -> None:
    random = Random(1)
    assert {drawn(faults, random) for _ in range(50)} == allowed


@given(st.integers())
def test_reorder_keeps_the_statuses_and_not_their_order(seed: int) -> None:
    order = drawn(Faults(reorder=1.0), Random(seed))
    assert sorted(order) == sorted(ALL)
    assert order != ALL


def test_ratios_in_between() -> None:
    random = Random(7)
    draws = [drawn(Faults(read=0.25, failed=0.1), random) for _ in range(4000)]
    assert 300 < draws.count(FAILED) < 500
    assert 750 < draws.count(ALL) < 1050
