"""What an instance of AWS tries again, and what it does not (deploy/aws/instance.py)."""

from __future__ import annotations

import io
import urllib.error
import urllib.request
from email.message import Message
from pathlib import Path
from types import ModuleType

import pytest

from tests.harness.loaded import loaded

PATH = Path(__file__).parents[2] / "deploy" / "aws" / "instance.py"
URL = "https://elasticloadbalancing.eu-central-1.amazonaws.com/"


@pytest.fixture
def instance(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = loaded(PATH)
    monkeypatch.setattr(module.time, "sleep", lambda seconds: None)
    return module


def _answers(monkeypatch: pytest.MonkeyPatch, *refusals: tuple[int, str]) -> list[tuple[int, str]]:
    """These are answered, one after the other, then 200; returns what was left of them."""
    left = list(refusals)

    def urlopen(request: urllib.request.Request, timeout: float) -> io.BytesIO:
        if not left:
            return io.BytesIO(b"found")
        code, text = left.pop(0)
        body = io.BytesIO(text.encode())
        raise urllib.error.HTTPError(request.full_url, code, "", Message(), body)

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    return left


@pytest.mark.parametrize(
    "refused",
    [
        (400, "<Error><Code>Throttling</Code><Message>Rate exceeded</Message></Error>"),
        (400, '{"__type": "ThrottlingException"}'),
        (400, '{"__type": "AccessDeniedException"}'),  # rights that are not everywhere yet
        (403, "<Error><Code>AccessDenied</Code></Error>"),
        (404, "not found"),  # the role, in the metadata of an instance that has just begun
        (500, "internal"),
    ],
)
def test_transient_errors_are_tried_again(instance, monkeypatch, refused):
    _answers(monkeypatch, refused, refused)
    assert instance.ask(urllib.request.Request(URL)) == b"found"


def test_a_stack_that_waits_for_no_signal_is_asked_once(instance, monkeypatch):
    refused = (400, "<Error><Code>ValidationError</Code></Error>")
    left = _answers(monkeypatch, refused, refused)
    with pytest.raises(SystemExit, match="ValidationError"):
        instance.ask(urllib.request.Request(URL))
    assert len(left) == 1


def test_the_balancer_is_polled_with_pauses_until_healthy(instance, monkeypatch):
    waited: list[float] = []
    said = ["<State>initial</State>", "<State>unhealthy</State>", "<State>healthy</State>"]
    monkeypatch.setattr(instance.time, "sleep", waited.append)
    monkeypatch.setattr(instance, "metadata", lambda path: "i-0")
    monkeypatch.setattr(instance, "query", lambda *told: said.pop(0))
    instance.target("arn")
    assert said == []
    assert waited == [instance.POLL_SECONDS] * 2
