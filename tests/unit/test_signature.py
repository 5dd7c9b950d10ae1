"""Signatures against the official library, S15."""

import base64
import json
import random
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from warouter.signature import key_of, signed

NOW = 1_790_000_000


def secret(n: int, size: int = 24) -> str:
    return "whsec_" + base64.b64encode(random.Random(n).randbytes(size)).decode()


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """The library refuses what is older than five minutes by its own clock."""
    monkeypatch.setattr(Webhook, "_Webhook__verify_timestamp", lambda self, text: _time(text))


def _time(text):
    assert int(text) == NOW
    return datetime.fromtimestamp(int(text), UTC)


@given(st.text(), st.integers(24, 64))
def test_the_library_verifies_any_text(text: str, size: int) -> None:
    body = json.dumps({"statuses": [{"id": text}]}, ensure_ascii=False).encode(
        "utf-8", "backslashreplace"
    )
    one = secret(1, size)
    Webhook(one).verify(body, signed(body, [one], NOW), json_parse=False)  # must not raise


def test_another_secret_or_body_is_refused() -> None:
    assert signed(b"{}", [], NOW) == {}
    headers = signed(b"{}", [secret(1)], NOW)
    for webhook, body in ((Webhook(secret(2)), b"{}"), (Webhook(secret(1)), b"{ }")):
        with pytest.raises(WebhookVerificationError):
            webhook.verify(body, headers)


def test_each_of_two_secrets_is_enough() -> None:
    old, new = secret(1), secret(2)
    headers = signed(b"{}", [new, old], NOW)
    assert headers["webhook-signature"].count("v1,") == 2
    for known in (old, new):
        Webhook(known).verify(b"{}", headers)


def test_the_id_is_that_of_the_body() -> None:
    first, again = signed(b"a", [secret(1)], NOW), signed(b"a", [secret(2)], NOW + 60)
    assert first["webhook-id"] == again["webhook-id"]
    assert signed(b"b", [secret(1)], NOW)["webhook-id"] != first["webhook-id"]


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "whsec_",
        "whsec_short",
        secret(1, 23),
        secret(1, 65),
        secret(1).removeprefix("whsec_"),
        secret(1) + "!",
        "whsec_" + "é" * 40,
    ],
)
def test_a_bad_secret_is_refused_without_showing_it(wrong: str) -> None:
    with pytest.raises(ValueError, match="24 to 64") as caught:
        key_of(wrong)
    assert len(wrong) < 8 or wrong not in str(caught.value)
