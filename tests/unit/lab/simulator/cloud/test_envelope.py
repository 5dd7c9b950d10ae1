"""The bytes of a webhook: what is dealt where, escapes, signature."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from warouter.lab.simulator.cloud.webhooks.envelope import (
    WebhookElement,
    WebhookSubject,
    ascii_only,
    body,
    signature,
)

SENDER = WebhookSubject("1", "2", "15557770000")
VECTOR = (
    b'{"object":"whatsapp_business_account","entry":[{"id":"0","changes":[]}],'
    rb'"note":"\u00e4\ud83d\udc4d \/ <"}'
)
JSON = st.recursive(
    st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
)


def test_the_signature_of_the_vector() -> None:
    assert signature(VECTOR, "app-secret-1") == (
        "sha256=d0edaafcd3e754d23eb9534a689d6ea89f0a7adf1fcf0d46629ea696ca7b3355"
    )
    decoded = msgspec.json.encode(msgspec.json.decode(VECTOR))
    assert signature(decoded, "app-secret-1") != signature(VECTOR, "app-secret-1")


def test_the_vector_is_what_escaping_makes() -> None:
    plain = VECTOR[: VECTOR.index(rb"\u00e4")] + "\u00e4\U0001f44d / <".encode() + b'"}'
    assert ascii_only(plain) == VECTOR
    assert ascii_only(VECTOR) == VECTOR


@given(JSON)
def test_escaping_changes_no_value(value: object) -> None:
    escaped = ascii_only(msgspec.json.encode(value))
    assert escaped.isascii()
    assert msgspec.json.decode(escaped) == value


@pytest.mark.parametrize(("entries", "changes"), [(1, 1), (3, 1), (1, 4), (2, 3), (50, 50)])
def test_elements_are_dealt_and_none_is_lost(entries: int, changes: int) -> None:
    elements = [
        WebhookElement("statuses" if n % 3 else "messages", b'{"n":%d}' % n, b'{"c":%d}' % n)
        for n in range(20)
    ]
    elements.append(WebhookElement("", b'{"event":"X"}', b"", "account_update"))
    made = msgspec.json.decode(body(elements, SENDER, entries, changes, 9))
    assert made["object"] == "whatsapp_business_account"
    assert len(made["entry"]) == min(entries, 21)
    assert all((entry["id"], entry["time"]) == ("1", 9) for entry in made["entry"])
    values = [c["value"] for entry in made["entry"] for c in entry["changes"]]
    for kind, wanted in (("messages", 7), ("statuses", 13)):
        found = [v for v in values if kind in v]
        assert sum(len(v[kind]) for v in found) == wanted
        for value in found:
            assert {e["n"] for e in value[kind]} == {c["c"] for c in value["contacts"]}
            assert value["metadata"] == {
                "display_phone_number": "15557770000",
                "phone_number_id": "2",
            }
    others = [c for e in made["entry"] for c in e["changes"] if c["field"] == "account_update"]
    assert [c["value"] for c in others] == [{"event": "X"}]


def test_elements_of_a_change_keep_their_order() -> None:
    elements = [WebhookElement("statuses", b"%d" % n) for n in range(9)]
    made = msgspec.json.decode(body(elements, SENDER, 1, 1, 9))
    assert made["entry"][0]["changes"][0]["value"]["statuses"] == list(range(9))
