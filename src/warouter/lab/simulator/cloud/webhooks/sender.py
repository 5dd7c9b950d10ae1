"""Sends the POSTs of the outbox to the URLs of the business, after the handshake with each.

A URL gets ``GET ?hub.mode=subscribe…`` first, again and again until it answers with the challenge.
Only 200 acknowledges a POST; redirects are not followed. The app's URLs get everything, unless the
number or its account has one of its own: that gets what is about messages.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import ssl
import time
from collections.abc import Callable, Sequence
from itertools import count

import aiohttp

from warouter import background
from warouter.lab.simulator.cloud.faults import CloudFaults
from warouter.lab.simulator.cloud.record import CloudRecord
from warouter.lab.simulator.cloud.webhooks.envelope import signature
from warouter.lab.simulator.cloud.webhooks.outbox import Outbox, WebhookPost

log = logging.getLogger(__name__)

_HANDSHAKE_S = 10.0
_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 3.0


class WebhookSender:
    """POSTs to the URLs in turn. ``app_secret`` signs; ``verify_token`` is asked in the handshake.

    ``start`` and ``stop`` it on the running loop.
    """

    def __init__(
        self,
        outbox: Outbox,
        record: CloudRecord,
        app_secret: Callable[[], str],
        verify_token: Callable[[], str],
        switches: Callable[[], CloudFaults],
    ) -> None:
        self._outbox = outbox
        self._record = record
        self._app_secret = app_secret
        self._verify_token = verify_token
        self._switches = switches
        self._urls: list[str] = []  # of the app
        self._override = ""
        self._turn = count()
        self._session: aiohttp.ClientSession | None = None
        self._handshakes: list[asyncio.Task[None]] = []
        self._posts: set[asyncio.Task[None]] = set()

    @property
    def urls(self) -> list[str]:
        """The URLs that hear of messages; their handshakes succeeded."""
        return [self._override] if self._override else self._urls

    async def start(self, tls: ssl.SSLContext | None = None) -> None:
        """Get ready to call. Without ``tls`` no certificate is checked, and none shown."""
        connector = aiohttp.TCPConnector(limit=0, ssl=tls or False)
        self._session = aiohttp.ClientSession(connector=connector)

    def subscribe(self, urls: Sequence[str]) -> None:
        """Call these URLs of the app from now on, each once its handshake succeeded."""
        for task in self._handshakes:
            task.cancel()
        self._urls = []
        self._handshakes = [background.begin(self._until_ready(url), _failed) for url in urls]

    def override(self, url: str) -> None:
        """Tell this URL, whose handshake succeeded, of messages; "" for those of the app."""
        self._override = url

    async def stop(self) -> None:
        tasks = [*self._handshakes, *self._posts]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    def tick(self, now: float) -> None:
        """Send what is to leave now."""
        if not self.urls:
            return
        for post in self._outbox.leaving(now):
            urls = self.urls if post.of_messages else self._urls
            if not urls:
                self._outbox.drop(post)
                continue
            url = urls[next(self._turn) % len(urls)]
            task = background.begin(self._post(post, url), _failed)
            self._posts.add(task)
            task.add_done_callback(self._posts.discard)

    async def handshake(self, url: str, verify_token: str) -> bool:
        """Ask a URL once; True if it answers 200 with the challenge."""
        assert self._session is not None
        challenge = str(secrets.randbelow(10**10))
        query = {
            "hub.mode": "subscribe",
            "hub.challenge": challenge,
            "hub.verify_token": verify_token,
        }
        timeout = aiohttp.ClientTimeout(total=_HANDSHAKE_S)
        try:
            async with self._session.get(
                url, params=query, timeout=timeout, allow_redirects=False
            ) as answer:
                said = await answer.content.read(len(challenge) + 1)
                good = answer.status == 200 and said == challenge.encode()
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
            good = False
        webhooks = self._record.webhooks
        webhooks.handshakes += good
        webhooks.handshakes_failed += not good
        return good

    async def _until_ready(self, url: str) -> None:
        pause = _PAUSE_S
        while not await self.handshake(url, self._verify_token()):
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_S)
        log.info("webhook URL verified", extra={"url": url})
        self._urls.append(url)

    async def _post(self, post: WebhookPost, url: str) -> None:
        answered = False
        try:
            answered = await self._asked(post, url) == 200
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
            pass
        finally:
            self._outbox.done(post, answered=answered, now=time.monotonic())

    async def _asked(self, post: WebhookPost, url: str) -> int:
        assert self._session is not None
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "facebookexternalua",
            "X-Hub-Signature-256": signature(post.body, self._app_secret()),
        }
        timeout = aiohttp.ClientTimeout(total=self._switches().timeout_ms / 1000)
        async with self._session.post(
            url, data=post.body, headers=headers, timeout=timeout, allow_redirects=False
        ) as answer:
            await answer.content.read(1 << 16)
            return answer.status


def _failed(error: Exception) -> None:
    log.error("webhook task failed", exc_info=error)
