"""The inbox of webhooks: read by the owner of the slot, deleted when its journals have it.

Several writers commit out of order, so there is no cursor: whatever is there is read, and deleted
by its number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from warouter.store.journal.issues import COLUMNS, MESSAGE, StoredIssue
from warouter.store.journal.sessions import (
    JournalSessions,
    columns_of,
    numbered,
    unless_ones,
)

# The statuses of a message that are in the journal say what may still be shown of it. A range and
# a filter: the index finds them in every collation, see store.views.trace. Whether a failure may be
# shown is said by what became of the other attempts.
_READ = f"""
select i.n, i.slot, i.kind, i.key, i.id, i.attempt, i.wamid, i.recipient, i.payload, i.contact,
       coalesce(m.recipient, u.recipient) as sent_to, e.stored, a.taken, a.failed,
       i.number, coalesce(m.number, u.number, s.number) as sent_by,
       s.seq, s.recipient, {MESSAGE}, {COLUMNS}
  from cloud_inbox i
  left join message m on m.id = i.id
  left join lateral (
       select * from send_issue o where o.id = i.id order by o.id limit 1) s on true
  left join lateral (
       select coalesce(i.recipient, k.wa_id) as recipient, k.number from upstream_id k
        where k.id = i.id limit 1) u on m.id is null
  left join lateral (select rtrim(translate(encode(i.id, 'base64'), '+/', '-_'), '=') as name) t
         on i.kind = 0
  left join lateral (
       select array_agg(split_part(e.key, ':', 2)) as stored from event e
        where e.key >= t.name || ':' and e.key < t.name || ':xx'
          and starts_with(e.key, t.name || ':')) e on true
  left join lateral (
       select array_agg(k.attempt order by k.attempt) as taken,
              array_agg(k.attempt order by k.attempt) filter (where k.failed) as failed
         from upstream_id k
        where i.kind = 0 and i.key like '%:failed:%' and k.id = i.id) a on true
 where i.slot = any ($1) and i.n <> all ($2)
 order by i.slot, i.n limit $3"""
_SAY = f"select tell_owner({numbered(8)})"
_DRAIN = f"select * from drain_inbox({numbered(13)})"


_OF_INBOX = 16  # columns


def _issue(row: Sequence[Any]) -> StoredIssue | None:
    """Return the issue row of the message that a row speaks of: it follows the inbox's columns."""
    seq, *rest = row[_OF_INBOX:]
    return None if seq is None else StoredIssue(row[1], seq, row[4], *rest)


class InboxRow(msgspec.Struct, frozen=True):
    """One element of a webhook, or what a former owner heard; see ``cloud_inbox``.

    ``sent_to`` is the recipient of the message ``id``, None if it is none of ours, and ``sent_by``
    its number, where ``number`` is the one to which the element came; ``stored`` are
    the names of its statuses that are in the journal. Of a failure also: which attempts were
    ``taken``, and which of those have ``failed``. ``issue`` is the issue row of the message.
    """

    n: int
    slot: int
    kind: int
    key: str
    id: bytes | None
    attempt: int | None
    wamid: str | None
    recipient: str | None
    payload: bytes
    contact: bytes | None
    sent_to: str | None
    stored: list[str] | None
    taken: list[int] | None = None
    failed: list[int] | None = None
    number: int = 1
    sent_by: int | None = None
    issue: StoredIssue | None = None

    @property
    def foreign(self) -> bool:
        """True if it came to another number than the message's: it says nothing of that."""
        return self.sent_by is not None and self.sent_by != self.number


class Proof(NamedTuple):
    """The id that an attempt of a message was given, from the reference in a status.

    ``held``: Meta holds it back; ``failed``: the status said that it has failed.
    """

    wamid: str
    slot: int
    id: bytes
    attempt: int
    wa_id: str | None = None
    user_id: str | None = None
    held: bool = False
    failed: bool = False
    number: int = 1


class DuplicateRequest(NamedTuple):
    """An attempt that was taken beside another one of its message."""

    id: bytes
    attempt: int
    wamid: str
    number: int = 1


class Inbox(JournalSessions):
    """The inbox of this incarnation's slots."""

    async def inbox(self, slots: Sequence[int], known: Sequence[int], limit: int) -> list[InboxRow]:
        """Read the inbox of these slots, but for the rows with the ``known`` numbers."""
        rows = await self._cloud_read(_READ, list(slots), list(known), limit)
        return [InboxRow(*(*row[:_OF_INBOX], _issue(row))) for row in rows]

    async def drained(
        self, owned: Mapping[int, int], numbers: Sequence[int], proofs: Sequence[Proof]
    ) -> list[DuplicateRequest]:
        """Delete rows, and keep what they prove. Returns what was taken twice of these messages,
        all that this incarnation was ever told of.
        """
        *columns, of_numbers = columns_of(proofs, len(Proof._fields))
        rows = await self._fenced(
            self._cloud, _DRAIN, owned, list(numbers), *columns, unless_ones(of_numbers)
        )
        return [DuplicateRequest(*row) for row in rows]

    async def say(
        self,
        slot: int,
        kind: int,
        key: str,
        message_id: bytes,
        attempt: int,
        wamid: str | None,
        payload: bytes,
        number: int = 1,
    ) -> None:
        """Write what this process knows for whoever owns the slot."""
        await self._cloud_read(_SAY, slot, kind, key, message_id, attempt, wamid, payload, number)
