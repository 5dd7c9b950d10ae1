"""The body of a POST: payloads byte for byte, contacts once, statuses and messages apart."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from warouter.flow.event import EventRow
from warouter.kinds import INBOUND, STATUS
from warouter.webhook.queue import body


def message(seq: int, payload: bytes, contact: bytes | None = None) -> EventRow:
    return EventRow(0, seq, INBOUND, "", "1", payload, contact)


class TestBody:
    def test_statuses(self) -> None:
        items = [EventRow(0, n, STATUS, "", "1", b'{"id":"%d"}' % n) for n in (1, 2)]
        assert body(items) == b'{"statuses":[{"id":"1"},{"id":"2"}]}'

    def test_messages_with_each_contact_once_in_order(self) -> None:
        contacts = [b'{"wa_id":"2"}', b'{"wa_id":"1"}', b'{"wa_id":"2"}', None]
        items = [message(n, b'{"id":"%d"}' % n, c) for n, c in enumerate(contacts)]
        assert json.loads(body(items)) == {
            "contacts": [{"wa_id": "2"}, {"wa_id": "1"}],
            "messages": [{"id": "0"}, {"id": "1"}, {"id": "2"}, {"id": "3"}],
        }

    def test_an_event_of_no_number_is_an_error(self) -> None:
        error = EventRow(0, 1, INBOUND, "", "", b'{"code":1}')
        whole = message(2, b'{"id":"2"}', b'{"wa_id":"1"}')
        assert body([error]) == b'{"errors":[{"code":1}]}'
        assert json.loads(body([error, whole])) == {
            "contacts": [{"wa_id": "1"}],
            "messages": [{"id": "2"}],
            "errors": [{"code": 1}],
        }

    @given(st.lists(st.text(), min_size=1))
    def test_payloads_travel_byte_for_byte(self, texts: list[str]) -> None:
        payloads = [json.dumps({"body": text}, ensure_ascii=False).encode() for text in texts]
        made = body([message(1, payload) for payload in payloads])
        assert all(payload in made for payload in payloads)
        assert json.loads(made) == {"messages": [{"body": text} for text in texts]}
