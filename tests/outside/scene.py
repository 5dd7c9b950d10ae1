"""A whole cluster at a Cloud door that keeps the bodies it is sent, and a business that uses it."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, NamedTuple

import msgspec

from tests.cluster.conftest import ONE, running
from tests.cluster.test_cloud import JPEG, picture
from tests.harness.business import Business
from tests.harness.patch import patched
from tests.harness.served import serving
from tests.harness.webhooks import text
from tests.outside.bodies import ALIAS, OURS, PICTURE, THEIRS, UPLOAD, filled
from warouter.lab.simulator.cloud.facts import CloudFacts
from warouter.lab.simulator.cloud.faults import CloudFaults
from warouter.lab.simulator.cloud.graph import messages_edge
from warouter.lab.simulator.cloud.message import AskedMessage, read
from warouter.lab.simulator.cloud.people import user_id
from warouter.lab.simulator.cloud.server import CloudSimulator
from warouter.local.cluster import Cluster
from warouter.local.options import CLOUD
from warouter.message_id import text_of
from warouter.upstream.cloud.reference import parse_reference
from warouter.upstream.cloud.signature import sign

FACTS = CloudFacts(token="token-1", number="15557770000")
Json = dict[str, Any]


class Scene(NamedTuple):
    """``bodies`` are those of all requests for messages and read marks, as they came."""

    cluster: Cluster
    business: Business
    graph: CloudSimulator
    bodies: list[bytes]
    given: dict[str, str]

    async def sent(self, bodies: dict[str, Json]) -> dict[str, Json]:
        """What the door was sent for each message of v1, once all have ended; of one that was
        refused or that failed there are the ``errors``.
        """
        ids, refused = {}, {}
        for n, (name, body) in enumerate(bodies.items()):
            to = self.given.get(body.get("to", ""), f"4916020{n:05d}")  # a pace of its own for each
            message = {"type": "text", **filled(body, self.given), "to": to}
            status, said = await self.business.try_call("POST", "/v1/messages", json=message)
            answer = msgspec.json.decode(said)
            if status == 201:
                ids[name] = answer["messages"][0]["id"]
            else:
                refused[name] = answer
        ended = self.business.receiver.ended
        await self.business.until(lambda: ended.issuperset(ids.values()))
        for name in [n for n, i in ids.items() if self._has_failed(i)]:
            refused[name] = {"errors": [self.business.failure(ids.pop(name))]}
        found = {self._id_of(body): body for body in map(msgspec.json.decode, self.bodies)}
        return refused | {name: found[id] for name, id in ids.items()}

    async def marked(self, message_id: str) -> Json:
        """What the door was sent for a read mark."""
        await self.business.call("PUT", f"/v1/messages/{message_id}", json={"status": "read"})

        def marks() -> list[Json]:
            bodies = map(msgspec.json.decode, self.bodies)
            return [body for body in bodies if body.get("message_id") == message_id]

        await self.business.until(marks)
        return marks()[-1]

    async def told(self, body: bytes, signature: str = "") -> int:
        """POST a webhook as Meta does, signed; the status of the answer."""
        (url,) = self.cluster.cloud_webhooks
        signature = signature or sign(body, FACTS.secret())
        headers = {"Content-Type": "application/json", "X-Hub-Signature-256": signature}
        async with self.business.http.post(url, data=body, headers=headers) as answer:
            return answer.status

    async def arrived(self, *ids: str) -> list[Json]:
        """These inbound messages as they were called back."""
        found = self.business.receiver.messages
        await self.business.until(lambda: found.keys() >= set(ids))
        return [found[one] for one in ids]

    def _has_failed(self, message_id: str) -> bool:
        return "failed" in self.business.receiver.names(message_id)

    def _id_of(self, body: Json) -> str:
        named = parse_reference(body.get("biz_opaque_callback_data", ""))
        return text_of(named[0]) if named else ""


@asynccontextmanager
async def scene() -> AsyncIterator[Scene]:
    """A cluster of one coreapp; its business has uploaded a picture, sent and got a message."""
    bodies: list[bytes] = []
    async with AsyncExitStack() as stack:
        stack.enter_context(patched([(messages_edge, "read", _keeping(bodies))]))
        graph = CloudSimulator(FACTS)
        address = await graph.start()
        stack.push_async_callback(graph.stop)
        graph.use(CloudFaults(level=0, pair_s=0, sent_ms=0, delivered_ms=0, read_ms=0))
        options = {"upstream": CLOUD, "environment": _environment(address.graph_url)}
        started = await stack.enter_async_context(running(**ONE, **options))
        graph.subscribe(started[0].cloud_webhooks)
        given = {PICTURE: f"{await stack.enter_async_context(serving(picture))}/x.jpg"}
        found = Scene(*started, graph, bodies, given)
        await _prepare(found)
        yield found


async def _prepare(found: Scene) -> None:
    business = found.business
    headers = {**business.headers, "Content-Type": "image/jpeg"}
    answer = await business.call("POST", "/v1/media", data=JPEG, headers=headers)
    found.given[UPLOAD] = answer["media"][0]["id"]
    found.given[OURS] = await business.message("491602100000")
    await business.called_back("read", found.given[OURS])
    found.given[THEIRS] = "wamid.HBgOfTheScene"
    assert await found.told(webhook(text(found.given[THEIRS], timestamp=now()))) == 200
    await found.arrived(found.given[THEIRS])
    hidden = text("wamid.HBgHidden", "", from_user_id=user_id("491602200000"), timestamp=now())
    assert await found.told(webhook(hidden)) == 200
    found.given[ALIAS] = (await found.arrived(hidden["id"]))[0]["from"]


def now() -> str:
    """The time as webhooks say it: what is older than 8 days is left out."""
    return str(int(time.time()))


def webhook(*of_messages: Json) -> bytes:
    """A webhook with these messages, each in an entry of its own."""
    return envelope([entry([one]) for one in of_messages])


def entry(of_messages: list[Json]) -> Json:
    metadata = {"display_phone_number": FACTS.number, "phone_number_id": FACTS.phone_number_id}
    value = {"messaging_product": "whatsapp", "metadata": metadata, "messages": of_messages}
    return {"id": FACTS.waba_id, "changes": [{"field": "messages", "value": value}]}


def envelope(entries: list[Json]) -> bytes:
    """The body of a POST, in ASCII as Meta writes it."""
    return json.dumps({"object": "whatsapp_business_account", "entry": entries}).encode()


def _keeping(bodies: list[bytes]) -> Callable[..., AskedMessage]:
    def keeping(body: bytes, **options: Any) -> AskedMessage:
        bodies.append(bytes(body))
        return read(body, **options)

    return keeping


def _environment(graph_url: str) -> dict[str, str]:
    return {
        "WAROUTER_CLOUD_PHONE_NUMBER_ID": FACTS.phone_number_id,
        "WAROUTER_CLOUD_WABA_ID": FACTS.waba_id,
        "WAROUTER_CLOUD_TOKEN": FACTS.token,
        "WAROUTER_CLOUD_APP_SECRET": FACTS.app_secret,
        "WAROUTER_CLOUD_VERIFY_TOKEN": FACTS.verify_token,
        "WAROUTER_CLOUD_BASE_URL": graph_url,
        "WAROUTER_CLOUD_RATE": "1000",
    }
