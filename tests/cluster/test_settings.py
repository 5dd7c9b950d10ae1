"""Settings on a real cluster: from the API to what the business's receiver sees."""

from __future__ import annotations

from typing import Any

from aiohttp import web
from trustme import CA

from tests.cluster.conftest import Start
from tests.cluster.facts import OPEN_CURSORS, Facts, followed
from tests.harness.certificates import issued, text_of
from tests.harness.wait import soon
from warouter.tls import pem

HIDDEN = {
    "webhook_payload_conversation_pricingmodel_disabled": "true",
    "notify_user_change_number": False,
}


class Hook:
    """An https receiver that only its own CA vouches for."""

    def __init__(self) -> None:
        self.statuses: dict[tuple[str, str], dict[str, Any]] = {}
        self.messages: dict[str, dict[str, Any]] = {}

    async def start(self, root: CA) -> web.AppRunner:
        served = issued(root)
        app = web.Application()
        app.router.add_post("/", self._post)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        context = pem.server_context(served.pem + served.key)
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        self.url = f"https://localhost:{runner.addresses[0][1]}/"
        return runner

    async def _post(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.statuses |= {(s["id"], s["status"]): s for s in body.get("statuses", ())}
        self.messages |= {m["id"]: m for m in body.get("messages", ())}
        return web.Response()


async def test_from_the_api_to_the_receiver(start: Start) -> None:
    cluster, business = await start(coreapps=2, masters=1)
    root, hook = CA(), Hook()
    runner = await hook.start(root)

    async def send() -> str:
        message = {"to": "4915112345678", "text": {"body": "x"}}
        answer = await business.call("POST", "/v1/messages", json=message)
        return str(answer["messages"][0]["id"])

    async def inject(**fields: Any) -> str:
        url = f"{cluster.control_url}/inbound"
        async with business.http.post(url, json={"from": "4915112345678", **fields}) as answer:
            assert answer.status == 201, await answer.text()
            return str((await answer.json())["id"])

    async with Facts(cluster) as facts:
        await business.call(
            "PATCH", "/v1/settings/application", json={"webhooks": {"url": hook.url}}
        )
        first = await send()
        await facts.until_some("select 1 from parked_event where reason = 'webhook: tls'")
        await business.call("POST", "/v1/certificates/webhooks/ca", data=text_of(root))
        await soon(lambda: (first, "read") in hook.statuses)
        assert "pricing" in hook.statuses[first, "delivered"]

        await business.call("PATCH", "/v1/settings/application", json=HIDDEN)
        shown = await business.call("GET", "/v1/settings/application")
        assert shown["settings"]["application"]["webhooks"]["url"] == hook.url
        await followed(facts)
        second = await send()
        hidden = await inject(type="system", body="new number")
        text = await inject(type="text", body="hello")
        await soon(lambda: (second, "read") in hook.statuses and text in hook.messages)
        assert not {"pricing", "conversation"} & set(hook.statuses[second, "delivered"])
        assert hidden not in hook.messages

        # Old and settled: gone, from the journals of all owners. What is young stays.
        for table, column in (("message", "accepted_at"), ("event", "recorded_at")):
            aged = f"update {table} set {column} = {column} - interval '11 minutes'"
            await facts.connection.execute(aged)
        third = await send()
        await soon(lambda: (third, "read") in hook.statuses)
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
    await runner.cleanup()
