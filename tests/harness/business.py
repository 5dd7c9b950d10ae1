"""The business: it sends over the real API, listens at its webhook, and keeps a history of both.

Each recipient has one chain: a message after the other, so that the order of its acks is the order
of its messages. With several webapps a refused connect is tried once more at another of them, as
clients do; a request whose connection dies counts as unknown, and is accounted for by the token in
its text.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from base64 import b64encode
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, Self

import aiohttp
import msgspec

from tests.harness.history import History
from tests.harness.receiver import Given, Post, Receiver, Reply
from tests.harness.wait import PATIENCE
from warouter._hash import slot_of
from warouter.background import wait_for
from warouter.local.cluster import Cluster

RECIPIENTS = 40
OF_EACH_SHARD = 16  # so many numbers that each of eight shards has one
ANSWER_SECONDS = 30.0
STOP_SECONDS = 60.0
SOON = 0.1  # of the mean pause, between two messages of a burst
BACKOFF = {"callback_backoff_delay_ms": 200}


class Business:
    """``rate`` messages a second in all, spread over the recipients; 0: one after the other."""

    def __init__(
        self,
        cluster: Cluster,
        urls: Sequence[str] = (),
        *,
        host: str = "127.0.0.1",
        rate: float = 0.0,
        seed: int = 0,
        keeps: bool = True,
        burst: int = 1,
        tls: ssl.SSLContext | bool = True,
        patience: float = ANSWER_SECONDS,
        idle: float = 1.0,
    ) -> None:
        """``keeps``: whole callbacks; the history has what counts of them anyway. ``burst``: about
        so many messages to a recipient come soon after each other, then none for as much longer.
        ``tls`` is what it trusts at https, ``patience`` how long it waits for an answer,
        ``idle`` how long it keeps a connection that it does not use.
        """
        self.cluster = cluster
        self.history = History()
        self.receiver = Receiver(self._answer, host=host, note=self._note, keeps=keeps)
        self.refuse = 0.0  # ratio of callbacks that the webhook answers 500
        self.reset = 0.0  # ratio of callbacks whose connection dies after they were processed
        self.headers: dict[str, str] = {}
        self.urls = list(urls) or [cluster.url]  # one that is taken out is asked no more
        self._tls = tls
        self._patience, self._idle = patience, idle
        self._rate = rate
        self._burst = burst
        self._random = Random(seed)
        self._tokens = 0
        self._stop = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        await self.receiver.start()
        self.http = aiohttp.ClientSession(
            # An idle connection that its webapp closes just now would swallow a request.
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=self._idle, ssl=self._tls),
            timeout=aiohttp.ClientTimeout(total=self._patience),
        )
        pair = f"{self.cluster.user}:{self.cluster.password}".encode()
        basic = {"Authorization": "Basic " + b64encode(pair).decode()}
        login = await self.call("POST", "/v1/users/login", headers=basic)
        self.headers = {"Authorization": f"Bearer {login['users'][0]['token']}"}
        hook = {"url": self.receiver.url, "message": {"sent": True}}
        await self.settings(**BACKOFF, webhooks=hook)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.end()
        if self._tasks:
            # A request that is cancelled while it connects would leave its socket open.
            await asyncio.wait(self._tasks, timeout=ANSWER_SECONDS)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.http.close()
        await self.receiver.stop()

    async def call(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        """One call that must succeed."""
        status, body = await self.try_call(method, path, **more)
        answer: dict[str, Any] = msgspec.json.decode(body)
        assert status < 300, (method, path, status, answer)
        return answer

    async def try_call(self, method: str, path: str, **more: Any) -> tuple[int, bytes]:
        """One call whatever its answer."""
        more.setdefault("headers", self.headers)
        at = self._random.randrange(len(self.urls)) if len(self.urls) > 1 else 0
        try:
            return await self._ask(method, self.urls[at] + path, **more)
        except aiohttp.ClientConnectorError:
            if len(self.urls) == 1:
                raise
            self.history.retried += 1
        return await self._ask(method, self.urls[(at + 1) % len(self.urls)] + path, **more)

    async def settings(self, **fields: Any) -> None:
        await self.call("PATCH", "/v1/settings/application", json=fields)

    async def message(
        self, to: str, *, headers: Mapping[str, str] | None = None, **fields: Any
    ) -> str:
        """One message that must be accepted, a text unless told; its id. No history keeps it.

        The first field names its type, unless ``type`` does. ``headers`` are more of them.
        """
        fields = fields or {"text": {"body": "x"}}
        body = {"to": to, "type": next(iter(fields)), **fields}
        more = self.headers | dict(headers or {})
        answer = await self.call("POST", "/v1/messages", json=body, headers=more)
        message_id: str = answer["messages"][0]["id"]
        return message_id

    async def uploaded(self, content: Any, mime: str = "image/jpeg") -> str:
        """The id of media that must be taken."""
        headers = {**self.headers, "Content-Type": mime}
        answer = await self.call("POST", "/v1/media", data=content, headers=headers)
        media_id: str = answer["media"][0]["id"]
        return media_id

    async def set_shards(self, shards: int) -> dict[str, Any]:
        c = self.cluster.description()
        wish = {"cc": c["cc"], "phone_number": c["phone_number"], "shards": shards}
        return await self.call("POST", "/v1/account/shards", json=wish)

    # its chains

    @property
    def busy_slots(self) -> set[int]:
        """The slots that are always written to between ``start`` and ``stop``."""
        return {slot_of(_chained(n)) for n in range(len(self._tasks))}

    def start(self, recipients: int = RECIPIENTS) -> None:
        """Begin the chains, or go on with them after ``stop``."""
        self._stop.clear()
        self._tasks = [asyncio.create_task(self._chain(n, recipients)) for n in range(recipients)]

    async def stop(self, seconds: float = STOP_SECONDS) -> None:
        """No more messages; returns when every request has ended."""
        self.end()
        async with asyncio.timeout(seconds):
            await asyncio.gather(*self._tasks)

    def end(self) -> None:
        """No more messages."""
        self._stop.set()

    async def send(self, recipient: str, url: str = "") -> None:
        """One message, whose outcome the history keeps; at one webapp if it is named."""
        self._tokens += 1
        token = f"t{self._tokens}."
        body = msgspec.json.encode({"to": recipient, "type": "text", "text": {"body": token}})
        history, began = self.history, time.monotonic()
        history.open[token] = began
        more: dict[str, Any] = {"data": body}
        more["headers"] = self.headers | {"Content-Type": "application/json"}
        asked = self._ask if url else self.try_call
        try:
            status, answer = await asked("POST", f"{url}/v1/messages", **more)
        except (aiohttp.ClientError, TimeoutError) as error:
            history.unknown.append((time.monotonic(), token, repr(error)))
            return
        finally:
            del history.open[token]
        now = time.monotonic()
        if status == 201:
            message_id = msgspec.json.decode(answer)["messages"][0]["id"]
            history.on_answer(recipient, message_id, began, now)
        else:
            history.refused.add(token)
            history.errors.append((now, status, answer.decode(errors="replace")[:300]))
        self.receiver.watch.notify()

    async def through_each_webapp(self) -> None:
        """A message to recipients in every shard through each webapp's own port."""
        for url in self.cluster.webapp_urls:
            await asyncio.gather(*(self.send(f"49152{n:07d}", url) for n in range(OF_EACH_SHARD)))

    async def more(self, count: int) -> None:
        """Wait for so many more 201s."""
        goal = self.history.accepted + count
        await self.until(lambda: self.history.accepted >= goal)

    # its webhook

    async def until(self, holds: Any, seconds: float = PATIENCE) -> None:
        """Until it holds of what was answered and called back."""
        await self.receiver.until(holds, seconds)

    async def all_called_back(
        self, status: str = "read", among: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        """Wait until every acknowledged message has been called back with this status."""
        groups = (self.history.acked if among is None else among).values()
        await self.called_back(status, *(i for ids in groups for i in ids))

    async def called_back(self, status: str, *ids: str) -> None:
        """Wait until these messages have been called back with this status."""
        seen = self.history.statuses
        await self.until(lambda: all(status in seen[i] for i in ids))

    def failure(self, message_id: str) -> dict[str, Any]:
        """The one error of a message that was called back as failed."""
        failed = [s for s in self.receiver.statuses[message_id] if s["status"] == "failed"]
        (error,) = failed[-1]["errors"]
        return error  # type: ignore[no-any-return]

    # the simulator

    async def inject(self, count: int, senders: Sequence[str] = (), filler: str = "") -> list[str]:
        """Inbound messages through the simulator, of these or of as many senders; their ids."""
        items = [
            {
                "from": senders[n % len(senders)] if senders else f"49170{n:07d}",
                "type": "text",
                "body": f"in {n}{filler}",
            }
            for n in range(count)
        ]
        ids = await self.come(*items)
        self.history.injected += zip((item["from"] for item in items), ids, strict=True)
        return ids

    async def come(self, *messages: dict[str, Any]) -> list[str]:
        """These inbound messages through the simulator; their ids."""
        url = f"{self.cluster.control_url}/inbound"
        async with self.http.post(url, json=list(messages)) as answer:
            assert answer.status == 201, await answer.text()
            ids: list[str] = (await answer.json())["ids"]
            return ids

    async def from_new_customers(self, count: int) -> None:
        """As many inbound messages, each of somebody who has not written before."""
        first = len(self.history.injected)
        if count:
            await self.inject(count, [f"49170{n:07d}" for n in range(first, first + count)])

    async def switches(self) -> dict[str, Any]:
        """All switches of the simulator, as they are."""
        async with self.http.get(f"{self.cluster.control_url}/faults") as answer:
            found: dict[str, Any] = await answer.json()
            return found

    async def faults(self, **switches: object) -> None:
        url = f"{self.cluster.control_url}/faults"
        async with self.http.put(url, json=switches) as answer:
            assert answer.status == 200, await answer.text()

    async def record(self, query: str = "ids=1&times=1") -> dict[str, Any]:
        async with self.http.get(f"{self.cluster.control_url}/record?{query}") as answer:
            record: dict[str, Any] = await answer.json()
            return record

    # inside

    async def _ask(self, method: str, url: str, **more: Any) -> tuple[int, bytes]:
        async with self.http.request(method, url, **more) as answer:
            return answer.status, await answer.read()

    async def _chain(self, number: int, recipients: int) -> None:
        recipient = _chained(number)
        every = recipients / self._rate if self._rate else 0.0
        await wait_for(self._stop, self._random.random() * every * self._burst)
        while not self._stop.is_set():
            due = time.monotonic() + self._pause(every) * (0.5 + self._random.random())
            await self.send(recipient)
            await wait_for(self._stop, max(0.0, due - time.monotonic()))

    def _pause(self, every: float) -> float:
        """Seconds to the next message of a chain, ``every`` in the mean."""
        soon = every * SOON
        if self._random.random() * self._burst >= 1.0:
            return soon
        return self._burst * (every - soon) + soon

    def _answer(self, _post: Post) -> Given:
        if self.refuse and self._random.random() < self.refuse:
            return 500
        return Reply(reset=bool(self.reset and self._random.random() < self.reset))

    def _note(self, post: Post) -> None:
        self.history.on_callback(post.callback)


def _chained(number: int) -> str:
    return f"49151{number:07d}"
