"""Webhooks on their way from Meta to the listeners, and the listeners: the product's own.

Meta repeats what had no 200, later each time. It does not know which listener is well.
"""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any, NamedTuple

import msgspec

from tests.campaigns.simulation.cloud.history import History
from tests.campaigns.simulation.loop import Clock
from tests.campaigns.simulation.network import Network, Pipe
from tests.campaigns.simulation.nodes import Process, _Identity
from warouter.config import Settings
from warouter.store.cloud.posts import Posts
from warouter.store.cloud.receive import WebhookInbox
from warouter.upstream.cloud.listener import WebhookListener
from warouter.upstream.cloud.signature import sign

NUMBER, SECRET = "4711", "app-secret"
GATHERS = 0.05
PATIENCE, AGAIN, MOST = 5.0, 5.0, 300.0  # seconds where the window takes 60
TAKEN = 200


class Update(NamedTuple):
    """An element; ``reference`` is what its message has, None for one of a customer."""

    what: str
    element: dict[str, Any]
    reference: tuple[bytes, int] | None


class Post:
    """One POST with all its tries."""

    def __init__(self, updates: list[Update]) -> None:
        self.updates = updates
        changes: dict[str, Any] = {"metadata": {"phone_number_id": NUMBER}}
        for update in updates:
            changes.setdefault(update.what, []).append(update.element)
        change = {"field": "messages", "value": changes}
        entry = {"id": "1", "changes": [change]}
        self.body = msgspec.json.encode({"object": "whatsapp_business_account", "entry": [entry]})
        self.signature = sign(self.body, SECRET).encode()
        self.tries = 0
        self.taken = False


class Webhooks:
    """What Meta has to tell, until somebody has taken it. ``doubled``: how many come twice."""

    name = "upstream"

    def __init__(
        self, clock: Clock, random: Random, history: History, network: Network, doors: list[str]
    ) -> None:
        self.clock = clock
        self.history = history
        self.doubled = 0.0
        self.doors: dict[str, Door] = {}
        self._random = random
        self._network = network
        self._names = doors
        self._gathered: list[Update] = []
        self._held: list[Post] | None = None
        self._posts: dict[Post, None] = {}

    @property
    def waiting(self) -> int:
        return len(self._gathered) + sum(len(post.updates) for post in self._posts)

    def hold(self) -> None:
        """Nothing comes any more."""
        if self._held is None:
            self._held = []

    def let_go(self) -> None:
        """What was held back comes now, in any order."""
        held, self._held = self._held or [], None
        self._random.shuffle(held)
        for post in held:
            self._try(post)

    def push(self, what: str, element: dict[str, Any], reference: Any) -> None:
        if not self._gathered:
            after = self._random.random() * GATHERS
            self.clock.at(self.clock.now + after, self._flush)
        self._gathered.append(Update(what, element, reference))

    def _flush(self) -> None:
        updates, self._gathered = self._gathered, []
        self._random.shuffle(updates)
        post = Post(updates)
        self._posts[post] = None
        self._try(post)
        if self._random.random() < self.doubled:
            self.clock.at(self.clock.now + self._random.uniform(0.0, 5.0), self._try, post)

    def _try(self, post: Post) -> None:
        if self._held is not None:
            self._held.append(post)
            return
        name = self._random.choice(self._names)
        door = self.doors.get(name)
        post.tries += 1
        number = post.tries
        patience = PATIENCE * self.history.base / 60.0
        self.clock.at(self.clock.now + patience, self._ended, post, number, 0)
        link = self._network.link(self.name, name)
        if door is None or not door.process.alive:
            Pipe(link).send(self._ended, post, number, 0)
            return
        back = Pipe(link)
        Pipe(link).send(
            door.take, post, lambda status: back.send(self._ended, post, number, status)
        )

    def _ended(self, post: Post, number: int, status: int) -> None:
        """One try had this answer; 0 for none."""
        if post.taken:
            return
        if status == TAKEN:
            post.taken = True
            self._posts.pop(post, None)
            self.history.webhooks_taken(post.updates)
        elif number == post.tries:
            post.tries += 1  # of what comes of this one later nothing is made
            wait = min(MOST, AGAIN * 2.0 ** (number // 2)) * self._random.uniform(0.5, 1.5)
            self.clock.at(self.clock.now + wait * self.history.base / 60.0, self._try, post)


class Door:
    """The listener of one webapp, in a process of its own."""

    def __init__(self, process: Process, settings: Settings) -> None:
        self.process = process
        name = _Identity(process).application
        self._inbox = WebhookInbox(settings, name, process.incarnation, settings.cloud.bsuid)
        self._posts = Posts(self._inbox)
        self._listener = WebhookListener(NUMBER, lambda: [SECRET], lambda: "", self._posts)

    async def run(self) -> None:
        while True:
            try:
                await self._inbox.open()
                break
            except Exception:  # it is started again
                await asyncio.sleep(0.2)
        await self._posts.run()

    async def leave(self) -> None:
        await self._posts.close()

    def take(self, post: Post, answer: Any) -> None:
        """A POST has arrived."""
        if self.process.alive:
            self.process.spawn(self._take(post, answer))

    async def _take(self, post: Post, answer: Any) -> None:
        told = await self._listener.posted(post.body, post.signature)
        answer(told.status)
