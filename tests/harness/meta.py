"""A cluster whose upstream is the Cloud door, and what Meta's side, logs and database say of it.

Tests of one file share a cluster: each has recipients of its own, and switches that end with it.
"""

from __future__ import annotations

import asyncio
import hmac
import itertools
import json
import signal
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.harness.business import Business
from tests.harness.facts import Facts
from tests.harness.wait import soon
from warouter._hash import slot_of
from warouter.local.cluster import Cluster
from warouter.local.process import Process
from warouter.message_id import parse

CLOUD = {"upstream": "cloud-simulator"}
UNLIMITED = {"level": 0, "pair_s": 0}
PULSE = "491580000000"
PULSE_SECONDS = 0.25

Sent = Mapping[str, Sequence[str]]
"""Ids by their recipient, in the order of their acks."""


class Scene:
    """A cluster, its business, its database, and the control port of Meta's side."""

    def __init__(self, cluster: Cluster, business: Business, facts: Facts) -> None:
        self.cluster = cluster
        self.business = business
        self.facts = facts
        self._numbers = itertools.count(1)

    # sending

    def recipients(self, count: int) -> list[str]:
        """So many that nobody has written to yet."""
        return [f"49160{next(self._numbers):07d}" for _ in range(count)]

    async def post(self, to: str, asks: Mapping[str, str] = {}, **fields: Any) -> str:
        """One message, a text unless told, with further headers; its id."""
        body = {"to": to, **(fields if "type" in fields else {"text": {"body": "x"}} | fields)}
        body.setdefault("type", "text")
        headers = {**self.business.headers, **asks}
        answer = await self.business.call("POST", "/v1/messages", json=body, headers=headers)
        message_id: str = answer["messages"][0]["id"]
        return message_id

    async def load(self, recipients: Iterable[str], each: int = 1, **more: Any) -> Sent:
        """Messages to all of them at once, to each one after the other."""
        chains = {to: self._chain(to, each, **more) for to in recipients}
        ids = await asyncio.gather(*chains.values())
        return dict(zip(chains, ids, strict=True))

    async def _chain(self, to: str, each: int, **more: Any) -> list[str]:
        return [await self.post(to, **more) for _ in range(each)]

    # Meta's side

    def secret_file(self, name: str) -> Path:
        """Where the processes read TOKEN, APP_SECRET or VERIFY_TOKEN from."""
        return Path(self.cluster.description()["environment"][f"WAROUTER_CLOUD_{name}_FILE"])

    def secret(self, name: str) -> str:
        return self.secret_file(name).read_text().strip()

    async def use(self, **switches: object) -> None:
        await self.business.faults(**switches)

    async def calm(self) -> None:
        async with self.business.http.delete(f"{self.cluster.control_url}/faults") as answer:
            assert answer.status == 200
        await self.use(**UNLIMITED)

    async def forget(self) -> None:
        """Meta's side starts a new record."""
        async with self.business.http.delete(f"{self.cluster.control_url}/record") as answer:
            assert answer.status == 200

    async def record(self, query: str = "ids=1") -> dict[str, Any]:
        return await self.business.record(query)

    async def requests(self, *ids: str) -> list[dict[str, Any]]:
        """Every request for these messages, in the order in which they began."""
        wanted, rows = set(ids), (await self.record("requests=1"))["requests"]
        return [row for row in rows if row["id"] in wanted]

    async def attempts(self, message_id: str) -> list[int]:
        return [row["attempt"] for row in await self.requests(message_id)]

    async def asked(self, *ids: str, times: int = 1) -> None:
        """Until so many requests for each of them have come."""

        async def all_asked() -> bool:
            rows = await self.requests(*ids)
            return all(sum(row["id"] == i for row in rows) >= times for i in ids)

        await soon(all_asked)

    async def accepted(self, message_id: str) -> None:
        """Until one request for it was taken."""

        async def taken() -> bool:
            return any(row["accepted"] for row in await self.requests(message_id))

        await soon(taken)

    async def tell(self, statuses: Iterable[str], *ids: str) -> None:
        """A webhook that says so, in this order, of each request for these that was taken."""
        rows = [row for row in await self.requests(*ids) if row["accepted"]]
        told = [status_of(row, status, time.time()) for status in statuses for row in rows]
        assert await self.webhook(told) == 200

    async def webhook(self, statuses: Sequence[Mapping[str, Any]], url: str = "") -> int:
        """POST these as Meta does, signed, to the listener there, else the first; its answer."""
        environment = self.cluster.description()["environment"]
        metadata = {"phone_number_id": environment["WAROUTER_CLOUD_PHONE_NUMBER_ID"]}
        value = {"messaging_product": "whatsapp", "metadata": metadata, "statuses": statuses}
        entry = {"id": "1", "changes": [{"field": "messages", "value": value}]}
        body = json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()
        signature = hmac.new(self.secret("APP_SECRET").encode(), body, "sha256").hexdigest()
        headers = {"X-Hub-Signature-256": f"sha256={signature}"}
        url = url or self.cluster.cloud_webhooks[0]
        async with self.business.http.post(url, data=body, headers=headers) as answer:
            return answer.status

    @asynccontextmanager
    async def pulse(self) -> AsyncIterator[None]:
        """Customers write all the while, so that the way of webhooks is proven."""
        beating = asyncio.create_task(self._beat())
        try:
            yield
        finally:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)

    async def _beat(self) -> None:
        while True:
            await self.business.come({"from": PULSE, "type": "text", "body": "pulse"})
            await asyncio.sleep(PULSE_SECONDS)

    # what is judged

    async def ended(self, *ids: str, status: str = "read") -> None:
        """Until each was called back so, and nothing of any is open in the database."""
        await self.business.called_back(status, *ids)
        await self.settled()

    async def settled(self) -> None:
        await self.facts.until_none("select count(*) from send_issue")

    async def once_in_order(self, sent: Sent) -> None:
        """All were read, and Meta accepted each once, those of a recipient in order."""
        await self.ended(*ids_of(sent))
        record = await self.record()
        accepted = {to: record["ids"].get(to) for to in sent}
        assert accepted == {to: [*ids] for to, ids in sent.items()}
        assert (record["same_reference"], record["inversions"]) == (0, 0)

    async def doubts(self, *ids: str) -> list[Any]:
        """The issue rows of these messages."""
        wanted = [parse(i) for i in ids]
        rows: list[Any] = await self.facts.connection.fetch(
            "select * from send_issue where id = any($1::bytea[]) order by slot, seq", wanted
        )
        return rows

    async def in_state(self, state: int, *ids: str) -> list[Any]:
        """The issue rows of these messages, once all are in this state."""

        async def found() -> list[Any] | None:
            rows = await self.doubts(*ids)
            right = len(rows) == len(ids) and all(row["state"] == state for row in rows)
            return rows if right else None

        rows: list[Any] = await soon(found)
        return rows

    def shown(self, message_id: str) -> tuple[str, ...]:
        """The statuses of a message as they were called back."""
        return self.business.history.statuses[message_id]

    def said(self, event: str, role: str = "coreapp") -> list[dict[str, Any]]:
        """The log lines of this event."""
        lines = [
            json.loads(line)
            for process in self.cluster.processes.values()
            if process.role == role
            for line in process.log.read_text().splitlines()
            if f'"event": "{event}"' in line
        ]
        return [line for line in lines if line["event"] == event]

    def said_of(self, event: str, ids: Iterable[str]) -> list[dict[str, Any]]:
        """Those that are about one of these messages."""
        wanted = set(ids)
        return [line for line in self.said(event) if line["id"] in wanted]

    async def metric(self, name: str, **labels: str) -> float:
        """The sum of what all processes report; they do every five seconds."""
        url = f"{self.cluster.url}/metrics?format=prometheus"
        async with self.business.http.get(url, headers=self.business.headers) as answer:
            lines = (await answer.text()).splitlines()
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        found = [line for line in lines if line.startswith((f"{name}{{", f"{name} "))]
        return sum(
            float(line.rsplit(" ", 1)[1]) for line in found if all(part in line for part in wanted)
        )

    # owners

    async def killed(self, recipient: str, number: signal.Signals = signal.SIGKILL) -> Process:
        """The owner of a recipient gets a signal; returns it once another owns the slot."""
        slot = slot_of(recipient)
        old = (await self.facts.map()).slots[slot].owner
        process = await self.facts.process_of(old)
        process.kill(number)
        await self.facts.until(lambda m: m.slots[slot].owner not in (None, old))
        return process


def status_of(row: Mapping[str, Any], status: str, timestamp: float) -> dict[str, Any]:
    """Meta's words for it, of a request that was taken."""
    return {
        "id": row["wamid"],
        "status": status,
        "timestamp": str(int(timestamp)),
        "recipient_id": row["recipient"],
        "biz_opaque_callback_data": row["reference"],
    }


def ids_of(sent: Sent) -> list[str]:
    return [i for ids in sent.values() for i in ids]


@asynccontextmanager
async def scene_of(cluster: Cluster, business: Business) -> AsyncIterator[Scene]:
    """The scene of a running cluster, without any limit of rate."""
    async with Facts(cluster) as facts:
        scene = Scene(cluster, business, facts)
        await scene.calm()
        yield scene
