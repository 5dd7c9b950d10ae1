"""Settings on a real cluster: from the API to what the business's receiver sees."""

from __future__ import annotations

from typing import Any

from trustme import CA

from tests.cluster.conftest import Start
from tests.harness.certificates import issued, text_of
from tests.harness.facts import OPEN_CURSORS, Facts, followed
from tests.harness.receiver import Receiver
from warouter.tls import pem

TO = "4915112345678"
HIDDEN = {
    "webhook_payload_conversation_pricingmodel_disabled": "true",
    "notify_user_change_number": False,
}


async def test_from_the_api_to_the_receiver(start: Start) -> None:
    cluster, business = await start(coreapps=2, masters=1)
    root = CA()
    served = issued(root)
    hook = Receiver(tls=pem.server_context(served.pem + served.key))  # only its own CA knows it

    def status(message_id: str, name: str) -> Any:
        return next((s for s in hook.statuses[message_id] if s["status"] == name), None)

    async def inject(**fields: Any) -> str:
        return (await business.come({"from": TO, **fields}))[0]

    async with Facts(cluster) as facts, hook:
        await business.settings(webhooks={"url": hook.url})
        first = await business.message(TO)
        await facts.until_some("select 1 from parked_event where reason = 'webhook: tls'")
        await business.call("POST", "/v1/certificates/webhooks/ca", data=text_of(root))
        await hook.status(first, "read")
        assert "pricing" in status(first, "delivered")

        await business.settings(**HIDDEN)
        shown = await business.call("GET", "/v1/settings/application")
        assert shown["settings"]["application"]["webhooks"]["url"] == hook.url
        await followed(facts)
        second = await business.message(TO)
        hidden = await inject(type="system", body="new number")
        text = await inject(type="text", body="hello")
        await hook.until(lambda: status(second, "read") and text in hook.messages)
        assert not {"pricing", "conversation"} & set(status(second, "delivered"))
        assert hidden not in hook.messages

        # Old and settled: gone, from the journals of all owners. What is young stays.
        for table, column in (("message", "accepted_at"), ("event", "recorded_at")):
            aged = f"update {table} set {column} = {column} - interval '11 minutes'"
            await facts.connection.execute(aged)
        third = await business.message(TO)
        await hook.status(third, "read")
        await facts.until_none(OPEN_CURSORS)  # what is not settled on disk is not collected
        answer = await business.call("PUT", "/v1/services/message/gc")
        assert set(answer) == {"meta"}
        await facts.until_none(
            "select count(*) from message where accepted_at < now() - interval '10 minutes'"
        )
        await facts.until_none(
            "select count(*) from event where recorded_at < now() - interval '10 minutes'"
        )
        assert await facts.connection.fetchval("select count(*) from message") == 1
