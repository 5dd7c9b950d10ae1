"""What the simulator refuses for good, switch by switch, with the codes and titles of the API."""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec
import pytest

from warouter import codes
from warouter._hash import slot_of
from warouter.lab.simulator.faults import Faults
from warouter.lab.simulator.identity import Identities
from warouter.lab.simulator.intake import Intake
from warouter.lab.simulator.record import Record
from warouter.lab.simulator.refusals import DAY_S
from warouter.lab.simulator.statuses import Timetable
from warouter.owner.receipts import failed_status
from warouter.upstream.protocol import Answer, Send

TO, OTHER, THIRD = "491511234567", "491511234568", "491511234569"
WALL = 1_700_000_000.0


class World:
    def __init__(self, **switches: Any) -> None:
        self.identities = Identities()
        self.record = Record()
        self.intake = Intake(self.record, Timetable(), self.identities, Random(5))
        self.now = 100.0
        self._sent = 0
        self.faults(**switches)

    def faults(self, **switches: Any) -> None:
        self.intake.use(Faults().changed(switches))

    def answer(self, to: str = TO, template: str | None = None, body: bytes = b"") -> Answer:
        self._sent += 1
        text: dict[str, Any] = {"to": to, "text": {"body": "x"}}
        if template is not None:
            text = {"to": to, "type": "template", "template": {"name": template}}
        content = memoryview(body or msgspec.json.encode(text))
        send = Send(slot_of(to), 1, self._sent, f"m{self._sent}", to, "message", content)
        return self.intake.answer(send, self.now, WALL + self.now)

    def code(self, to: str = TO, template: str | None = None) -> int:
        return self.answer(to, template).code


@pytest.mark.parametrize(
    ("switches", "template", "code", "title"),
    [
        ({"unknown": [TO]}, None, 470, "Re-engagement message"),
        ({"unknown": [TO]}, "hello", 1013, "User is not valid"),
        ({"blocked": [TO]}, None, 1007, "Recipient blocked to receive message"),
        ({"experiment": [TO]}, None, 472, "User's number is part of an experiment"),
        ({"incapable": [TO]}, None, 1026, "Receiver Incapable"),
        ({"templates": {"promo": 2000}}, "promo", 2000, "Number of parameters does not match"),
        ({"templates": {"promo": 2001}}, "promo", 2001, "Template does not exist"),
        ({"templates": {"promo": 2061}}, "promo", 2061, "Template paused"),
        ({"window": True}, None, 470, "Re-engagement message"),
        ({"spam": 1}, None, 471, "Spam rate limit hit"),
        ({"no_payment": True}, None, 402, "Business eligibility \u2014 payment issue"),
        ({"uncertified": True}, None, 430, "Unsigned certificate"),
        ({"locked": True}, "hello", 1031, "Account locked"),
    ],
)
def test_each_switch_refuses_for_good(
    switches: dict[str, Any], template: str | None, code: int, title: str
) -> None:
    world = World(**switches)
    answer = world.answer(template=template)
    assert (answer.code, answer.title, answer.retry_ms) == (code, title, -1)
    payload = msgspec.json.decode(failed_status(answer, TO, 1).payload)
    (error,) = payload["errors"]
    assert error == {
        "code": code,
        "title": title,
        "details": codes.details(code),
        "href": codes.href(code),
    }
    assert payload["status"] == "failed"
    assert world.record.counters.rejected == 1
    world.faults()
    assert world.code(template=template) == 0


def test_numbers_and_templates_that_are_not_named_pass() -> None:
    world = World(unknown=[TO], blocked=[OTHER], templates={"promo": 2061})
    assert [world.code(THIRD, name) for name in (None, "hello", "promo")] == [0, 0, 2061]


def test_the_window_opens_for_a_day_when_the_customer_writes() -> None:
    world = World(window=True)
    assert (world.code(), world.code(template="hello")) == (470, 0)
    world.intake.refusals.wrote(TO, world.now)
    assert (world.code(), world.code(OTHER)) == (0, 470)
    world.now += DAY_S - 1
    assert world.code() == 0
    world.now += 1
    assert world.code() == 470


def test_c38_the_tier_counts_recipients_of_a_day() -> None:
    world = World(tier=2)
    assert [world.code(to) for to in (TO, OTHER, THIRD, TO, OTHER)] == [0, 0, 471, 0, 0]
    world.intake.refusals.wrote(THIRD, world.now)
    assert world.code(THIRD) == 0  # who writes is answered, whatever the tier
    world.now += DAY_S
    assert [world.code(to) for to in (THIRD, TO, OTHER)] == [0, 0, 471]


def test_refused_messages_count_for_no_tier() -> None:
    world = World(tier=1, blocked=[TO])
    assert [world.code(to) for to in (TO, OTHER, THIRD)] == [1007, 0, 471]


@pytest.mark.parametrize("body", [b"{}", b"no json", b"[]", b'{"type":"template"}', b"\xff"])
def test_a_body_of_any_form_is_judged(body: bytes) -> None:
    assert World(unknown=[TO]).answer(body=body).code == 470
