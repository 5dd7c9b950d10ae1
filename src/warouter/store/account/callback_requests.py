"""Requests of operators to the coreapps' callbacks: a test, or a try of what waits, at once.

Coreapps have the webhook's secrets and its way through the network, so nobody else needs them. They
read the rows of function ``ask_callbacks``, which few logins may call and which leaves a row in the
audit log; a NOTIFY, which every login may send, is a hint to look and no more.
"""

from __future__ import annotations

from enum import StrEnum

from warouter.store.bounded import Fetch
from warouter.store.database import Source

_ASK = "select ask_callbacks($1, $2, $3)"
_NEWEST = "select coalesce(max(id), 0) as id from callback_request"
# Who looks late, as after an outage of the database, does no more what nobody waits for.
_ASKED = """
select id, what from callback_request where id > $1 and at > now() - interval '1 minute'
 order by id"""


class CallbackRequest(StrEnum):
    """The kind of a row of ``callback_request``."""

    TEST = "test"
    RETRY = "retry"


class CallbackRequests:
    """Requests that were written since the first look."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._seen: int | None = None

    async def news(self) -> list[tuple[int, CallbackRequest]]:
        """Each with its number, which is given once, in their order."""
        if self._seen is None:
            self._seen = (await self._fetch(_NEWEST))[0]["id"]
            return []
        rows = await self._fetch(_ASKED, self._seen)
        self._seen = max([self._seen, *(row["id"] for row in rows)])
        return [(row["id"], CallbackRequest(row["what"])) for row in rows]


async def ask_test(connection: Source, actor: str, source: str) -> str:
    """Ask all coreapps for a test callback; returns its name.

    How each ended stands beside its report within seconds (``views.webhook_status``).
    """
    return str(await connection.fetchval(_ASK, CallbackRequest.TEST, actor, source))


async def ask_retry(connection: Source, actor: str, source: str) -> None:
    """Ask all coreapps to try at once what waits, for its back-off or for an outage to end."""
    await connection.fetchval(_ASK, CallbackRequest.RETRY, actor, source)
