"""The function of deploy/aws: what it decides, what it asks, and its copy in the template."""

from __future__ import annotations

import json

import pytest

from tests.harness.inlined import FUNCTION, TEMPLATE, template
from tests.harness.loaded import loaded
from warouter.api.context import HealthReport, NodeState
from warouter.api.monitoring.health import _shown

SIZE = {"Machines": "3", "Each": "4"}


shards = loaded(FUNCTION)


def _asked(kind: str, direction: str, new: int, old: int | None = None) -> object:
    properties = {"Direction": direction, "Shards": str(new), **SIZE}
    return shards.wanted(kind, properties, {} if old is None else {"Shards": str(old)})


def test_the_template_has_the_function():
    text = TEMPLATE.read_text()
    assert template(text, FUNCTION.read_text()) == text, "run make docs"


@pytest.mark.parametrize(
    ("kind", "new", "old", "before", "after"),
    [
        # A new stack: once the machines are there.
        ("Create", 8, None, None, (8, 9, True)),
        # Up: after the machines came. The first of the two acts only if they are there already.
        ("Update", 8, 2, (8, 9, False), (8, 9, True)),
        # Down: before machines go.
        ("Update", 2, 8, (2, 0, False), None),
        # Something else of the stack.
        ("Update", 8, 8, None, None),
        ("Delete", 8, None, None, None),
        # No more coreapps than the group will have.
        ("Create", 32, None, None, (32, 12, True)),
    ],
)
def test_a_shrinking_stack_acts_before_and_a_growing_one_after(kind, new, old, before, after):
    assert _asked(kind, "down", new, old) == before
    assert _asked(kind, "up", new, old) == after


class Api:
    """In place of the cluster: so many coreapps, one answer to set-shards."""

    def __init__(self, coreapps: list[int], status: int, answer: object) -> None:
        self._coreapps, self._answer = coreapps, (status, answer)
        self.bodies: list[object] = []

    def login(self, login: object) -> None:
        assert login == LOGIN

    def coreapps(self) -> int:
        return self._coreapps.pop(0) if len(self._coreapps) > 1 else self._coreapps[0]

    def ask(self, method: str, path: str, body: object) -> tuple[int, object]:
        assert (method, path) == ("POST", "/v1/account/shards")
        self.bodies.append(body)
        return self._answer


LOGIN = {"username": "admin", "password": "secret", "pin": "123456"}
PROPERTIES = {"Secret": "arn", "CountryCode": "1", "PhoneNumber": "6315550000"}


def _carried_out(monkeypatch, api: Api, task: object, seconds: float = 60.0) -> str:
    clock = [0.0]
    monkeypatch.setattr(shards, "Api", lambda new, end: api)
    monkeypatch.setattr(shards, "secret", lambda arn: LOGIN)
    monkeypatch.setattr(shards.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(shards.time, "sleep", lambda s: clock.__setitem__(0, clock[0] + s))
    said: str = shards.carry_out(task, PROPERTIES, seconds)
    return said


def test_set_shards_waits_for_coreapps_and_shows_the_pin(monkeypatch):
    api = Api([3, 5, 9], 201, {})
    assert _carried_out(monkeypatch, api, (8, 9, True)) == "8 shards."
    body = {"cc": "1", "phone_number": "6315550000", "shards": 8, "pin": "123456"}
    assert api.bodies == [body]


def test_coreapps_that_never_come_fail_the_update(monkeypatch):
    api = Api([3], 201, {})
    with pytest.raises(RuntimeError, match="there are 3 coreapps, and 8 shards want 9"):
        _carried_out(monkeypatch, api, (8, 9, True))
    assert api.bodies == []


def test_a_rollback_without_machines_leaves_the_shards(monkeypatch):
    api = Api([3], 201, {})
    assert "stay as they are" in _carried_out(monkeypatch, api, (8, 9, False))
    assert api.bodies == []


def test_a_number_that_is_not_registered_fails_nothing(monkeypatch):
    api = Api([9], 404, {"errors": [{"details": "no number is registered"}]})
    assert "No number is registered yet" in _carried_out(monkeypatch, api, (8, 9, True))


def test_a_refusal_has_the_words_of_the_api(monkeypatch):
    api = Api([9], 400, {"errors": [{"details": "the pin is wrong"}]})
    with pytest.raises(RuntimeError, match="8 shards were refused with 400: the pin is wrong"):
        _carried_out(monkeypatch, api, (8, 9, True))


def test_spares_live_and_dead_coreapps_do_not(monkeypatch):
    health = HealthReport(
        [
            NodeState("a:coreapp-1", "connected", "coreapp"),
            NodeState("a:coreapp-2", "disconnected", "coreapp"),
            NodeState("b:coreapp-1", "disconnected", "coreapp", "the node does not answer"),
            NodeState(
                "b:coreapp-2", "disconnected", "coreapp", "the number is stopped by code 190"
            ),
            NodeState("a:master-1", "disconnected", "secondary_master"),
        ],
        [],
        None,
    )
    shown = {"health": {state.name: _shown(state) for state in health.nodes}}
    api = shards.Api({"Host": "balancer", "Name": "api"}, 0.0)
    monkeypatch.setattr(api, "must", lambda method, path: shown)
    assert api.coreapps() == 3


class Context:
    def get_remaining_time_in_millis(self) -> int:
        return 900_000


@pytest.mark.parametrize("fails", [False, True])
def test_cloudformation_hears_how_it_went(monkeypatch, fails):
    sent = []

    def carry_out(task: object, new: object, end: float) -> str:
        if fails:
            raise OSError("no route to host")
        return "8 shards."

    class Answer:
        def close(self) -> None:
            pass

    monkeypatch.setattr(shards, "carry_out", carry_out)
    monkeypatch.setattr(
        shards.urllib.request, "urlopen", lambda request, timeout: sent.append(request) or Answer()
    )
    event = {
        "RequestType": "Create",
        "StackId": "stack",
        "RequestId": "request",
        "LogicalResourceId": "ShardsAfter",
        "ResponseURL": "https://cloudformation.example/answer",
        "ResourceProperties": {"Direction": "up", "Shards": "8", **SIZE},
    }
    shards.handler(event, Context())
    answer = json.loads(sent[0].data)
    assert sent[0].get_method() == "PUT"
    assert answer["PhysicalResourceId"] == "ShardsAfter"
    if fails:
        assert (answer["Status"], answer["Reason"]) == ("FAILED", "OSError: no route to host")
    else:
        assert (answer["Status"], answer["Data"]) == ("SUCCESS", {"Said": "8 shards."})
