"""One POST's share of the callback leg: a batch taken, its body made, the batch settled."""

import pytest

from warouter.flow.event import EventRow
from warouter.kinds import INBOUND, STATUS
from warouter.webhook.queue import Delivery, body

BATCH = 50
BYTES = 256 * 1024
PAYLOAD = {
    STATUS: b'{"id":"AAECAwQFBgcICQoLDA0ODxAREhM","recipient_id":"491701234567",'
    b'"message":{"recipient_id":"+491701234567"},"type":"message","status":"delivered",'
    b'"timestamp":"1770000000"}',
    INBOUND: b'{"from":"491701234567","id":"AAECAwQFBgcICQoLDA0ODxAREhM",'
    b'"timestamp":"1770000000","type":"text","text":{"body":"Good morning"}}',
}
CONTACT = {STATUS: None, INBOUND: b'{"profile":{"name":"Ada"},"wa_id":"491701234567"}'}


def event(seq: int, kind: int, recipient: int) -> EventRow:
    slot = recipient % 32
    return EventRow(slot, seq, kind, "", str(recipient), PAYLOAD[kind], CONTACT[kind])


@pytest.mark.parametrize("recipients", [50, 7], ids=["50 recipients", "7 recipients"])
@pytest.mark.parametrize("kind", [STATUS, INBOUND], ids=["statuses", "inbound"])
@pytest.mark.benchmark(group="delivery: take and body, batches of 50")
def test_take_and_body(benchmark, kind, recipients):
    items = [event(n, kind, n % recipients) for n in range(20 * BATCH)]

    def queued():
        delivery = Delivery()
        for item in items:
            delivery.add([item])
        return (delivery,), {}

    def drain(delivery):
        made = 0
        while batch := delivery.take(BATCH, BYTES):
            made += len(body(batch))
            delivery.delivered(batch)
        return made

    made = benchmark.pedantic(drain, setup=queued, rounds=50)
    assert made > sum(len(item.payload) for item in items)
    benchmark.extra_info["events"] = len(items)


@pytest.mark.benchmark(group="delivery: body of 50")
@pytest.mark.parametrize("kind", [STATUS, INBOUND], ids=["statuses", "inbound"])
def test_body(benchmark, kind):
    batch = [event(n, kind, 1) for n in range(BATCH)]
    assert benchmark(body, batch).count(PAYLOAD[kind]) == BATCH
