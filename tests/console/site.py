"""A cluster with its console, as who uses it sees it: addresses, people, what it has to show."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, NamedTuple

from tests.cluster.conftest import running
from tests.harness.business import Business
from tests.harness.facts import Facts, followed
from tests.harness.receiver import Given, Post, Reply
from warouter.local.cluster import Cluster

HOSTILE = "<img src=x onerror=alert(1)>\N{RIGHT-TO-LEFT OVERRIDE}'\"&{{7*7}}"
# Of one slot, so that whoever posts what is refused also posts what is taken, and knows no outage.
BAD, GOOD = "491511234567", "491517654324"  # the webhook takes nothing of BAD while it refuses
_PARKED = "select count(*) from parked_event"
_LETTERS = "select count(*) from dead_letter"


class Person(NamedTuple):
    username: str
    password: str


class Site:
    """What runs. ``message_id`` is a message that was read, ``people`` are those who may log in."""

    def __init__(self, cluster: Cluster, business: Business, facts: Facts) -> None:
        self.cluster = cluster
        self.business = business
        self.facts = facts
        self.people = {
            "admin": Person(cluster.user, cluster.password),
            "reader": Person("reader", "Re4der!passw0rd"),
            "guest": Person("guest", "Gu3st!passw0rd"),  # whose sessions tests end
        }
        self.message_id = ""
        self.sessions: dict[str, str] = {}  # by who, for ``Plain``

    @property
    def origin(self) -> str:
        """Scheme, host and port of the console."""
        return self.cluster.console_url.removesuffix("/console/")

    def place(self, path: str) -> str:
        """The path of a page or an act, with something that exists in its place."""
        named = {"{id}": self.message_id, "{name}": "first-look"}
        for name, value in named.items():
            path = path.replace(name, value)
        assert "{" not in path, path
        return path

    async def prepare(self) -> None:
        """Two people who only read, and a message that has been read."""
        for who in ("reader", "guest"):
            await self.business.call("POST", "/v1/users", json=self.people[who]._asdict())
        self.message_id = await self.business.message(GOOD)
        await self.business.called_back("read", self.message_id)

    async def audited(self, action: str) -> list[dict[str, Any]]:
        """The rows of the audit log of acts that began, with this action, the oldest first.

        Not what was refused: it is counted for a minute before it has a row, in the next test then.
        """
        rows = await self.facts.connection.fetch(
            "select * from audit where action = $1 and (of is not null or outcome = 'begun')"
            " order by id",
            action,
        )
        return [dict(row) for row in rows]

    async def fill(self) -> None:
        """Something of everything: messages of each kind, failed ones, refused callbacks, dead
        letters, and answers that would harm a page which believed them.
        """
        business = self.business
        ids = [await business.message(f"4915120{n:06d}") for n in range(12)]
        await business.called_back("read", *ids)  # before those that are to fail
        await business.faults(failed=1.0)
        await business.called_back("failed", await business.message(GOOD))
        await business.faults(failed=0.0)
        # As long as the webhook refuses, these stay where they are.
        await self.dead(3, f"<b>no</b> {HOSTILE}".encode() + b"x" * 10_000)

    # a webhook that refuses

    def refuse(self, status: int = 400, body: bytes = b"") -> None:
        """From here on the webhook answers so to whatever concerns BAD."""

        def answer(post: Post) -> Given:
            return Reply(status, body=body) if _concerns(post, BAD) else 200

        self.business.receiver.answer = answer

    async def parked(self) -> str:
        """An inbound message that the webhook has just refused; its id."""
        self.refuse()
        (one,) = await self.business.come({"from": BAD, "body": "no"})
        await self.facts.until_some(f"select 1 where ({_PARKED}) = 1")
        return one

    async def back_off(self, ms: int) -> None:
        """How long coreapps wait before they send again what was refused once."""
        await self.business.settings(callback_backoff_delay_ms=ms)
        await followed(self.facts)

    def accept(self) -> None:
        self.business.receiver.answer = 200

    async def letters(self) -> int:
        count: int = await self.facts.connection.fetchval(_LETTERS)
        return count

    async def dead(self, count: int, answer: bytes = b"") -> list[str]:
        """So many inbound messages that the webhook has refused for seven days; their ids.

        As the database remembers it: their times are set back.
        """
        before = await self.letters()
        self.refuse(body=answer)
        ids = await self.business.come(*({"from": BAD, "body": f"no {n}"} for n in range(count)))
        await self.business.come({"from": GOOD, "body": "one that is taken"})
        await self.facts.until_some(f"select 1 where ({_PARKED}) = {count}")
        await self.facts.until_letters(before + count)
        return ids

    async def replayed(self) -> None:
        """No letter is left: all have been asked for, and taken by the webhook."""
        self.accept()
        await self.facts.connection.execute("update dead_letter set asked_at = now()")
        await self.facts.until_none(_LETTERS)
        await self.facts.until_none(_PARKED)


def _concerns(post: Post, number: str) -> bool:
    messages = (one["from"] for one in post.json.get("messages", ()))
    statuses = (one.get("recipient_id") for one in post.json.get("statuses", ()))
    return number in (*messages, *statuses)


@asynccontextmanager
async def site(**options: Any) -> AsyncIterator[Site]:
    """A cluster of its own, as `warouter up` starts it."""
    async with AsyncExitStack() as stack:
        cluster, business = await stack.enter_async_context(running(console=True, **options))
        facts = await stack.enter_async_context(Facts(cluster))
        found = Site(cluster, business, facts)
        await business.settings(callback_backoff_delay_ms=50)
        await found.prepare()
        yield found
