"""Writes what webhooks brought into the inbox, in one commit.

That is users, elements, identities, and the listener's state.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg

from warouter.cloud_number import NumberCloud
from warouter.config import Settings
from warouter.message_id import slot_of_id
from warouter.store.cloud.keys import IdentityKey, SeenKeys, keeping
from warouter.store.cloud.notices import pass_on
from warouter.store.cloud.seen_users import SeenUsers
from warouter.store.database import WRITE_SECONDS, Session
from warouter.store.journal.sessions import columns_of, numbered
from warouter.upstream.cloud.batch import INBOUND, STATUS, Batch, Element, KeptElement, Notice
from warouter.upstream.cloud.identity import CloudUser, UserDirectory, slot_of_shown
from warouter.upstream.cloud.reference import parse_reference

# As in the journals' sessions: the server gives up as well, and plans do not depend on how many
# rows there were at the last ANALYZE.
_SESSION = {
    "lock_timeout": "1500ms",
    "statement_timeout": "3s",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "plan_cache_mode": "force_generic_plan",
}
_USER = (
    "user_id, wa_id, alias, parent_user_id, username, name, successor,"
    " seen_at < now() - interval '30 days' as stale"
)
_OF = f"select {_USER} from contact_identity where portfolio = $1 and"
_USERS = f"""
{_OF} user_id = any ($2)
union
{_OF} wa_id = any ($3)
union
{_OF} user_id in (
    select successor from contact_identity
     where portfolio = $1 and user_id = any ($2) and successor is not null)"""
_ARGUMENTS = 24
_RECEIVE = f"select * from receive_cloud({numbered(_ARGUMENTS)})"
_RECEIVE_KEYS = keeping(_ARGUMENTS)
# The next one says the same, so the disk need not be waited for.
_TOUCH = """
select touch_cloud_path($1, $2, $3, $4) from set_config('synchronous_commit', 'off', true)"""
_VAIN = """
update cloud_path set vain_at = clock_timestamp() - $2::float8 * interval '1 second'
 where webapp = $1"""
_LEAVE = "update cloud_path set left_at = clock_timestamp() where webapp = $1"
_FORGET = "delete from cloud_path where seen_at < now() - interval '1 day' and webapp <> $1"
_LEAVE_OUT = "select leave_out($1, $2, $3, $4, $5, $6, $7)"
_KEEP = "select keep_unreadable($1, $2, $3)"

_ALIASES = "contact_identity_alias_portfolio_key"
LEAVE_SECONDS = 0.5  # the process stops anyway
_SALTS = 5  # the first is nearly always free


class ListenerState(NamedTuple):
    """A listener's word about itself.

    ``newest`` in unix s, 0 without an event; ``inbound`` in messages a second.
    """

    broken: bool = False  # something was answered otherwise than with 200 since it said so last
    newest: int = 0
    inbound: float = 0.0


class Written(NamedTuple):
    """The outcome of a commit of elements: how many of them are new."""

    inserted: int
    unmatched: int
    dropped: int  # users without a name that v1 may see


class ReceivedRow(NamedTuple):
    """A row of ``cloud_inbox``; without a slot it is looked up by its wamid."""

    slot: int | None
    kind: int
    key: str
    id: bytes | None
    attempt: int | None
    wamid: str | None
    recipient: str | None
    payload: bytes
    contact: bytes | None
    number: int


class WebhookInbox:
    """The statements of one webapp's listener, on a session of its own.

    All raise what ``Session.fetch`` raises. ``shows`` is WAROUTER_CLOUD_BSUID, ``numbers`` are
    ours, by id.
    """

    def __init__(
        self,
        settings: Settings,
        application: str,
        incarnation: UUID,
        shows: str,
        numbers: Mapping[int, NumberCloud],
    ) -> None:
        self._session = Session(settings, application, **_SESSION)
        self._incarnation = incarnation
        self._numbers = numbers
        self._shows = shows
        self._keep_days = settings.retention_days
        self._keys = SeenKeys()
        self._users_seen = SeenUsers(numbers)

    async def open(self) -> None:
        """Say that the listener listens, and forget those of long ago."""
        await self._fetch(_FORGET, self._incarnation)
        await self.touch(ListenerState())

    def is_news(self, element: Element) -> bool:
        """True if what an element tells of its user has to be written, as far as is known here."""
        return not self._users_seen.has(element) or not self._keys.has(element)

    async def write(
        self,
        elements: Sequence[Element],
        said: ListenerState | None,
        learned: Sequence[Element] = (),
    ) -> Written:
        """Write the elements, what is ``said`` of the listener, and what others, which owners have
        ``learned`` of, tell of users.
        """
        for salt in range(_SALTS):
            try:
                return await self._write(elements, said, learned, salt)
            except asyncpg.UniqueViolationError as error:
                if error.constraint_name != _ALIASES or salt == _SALTS - 1:
                    raise
        raise AssertionError

    async def touch(self, said: ListenerState) -> None:
        await self._fetch(_TOUCH, self._incarnation, *said)

    async def tell_vain(self, seconds: float | None) -> None:
        """Say for how long requests have been refused that may be Meta's; None: they were not."""
        await self._fetch(_VAIN, self._incarnation, seconds)

    async def keep(self, app: int, reason: str, body: bytes) -> None:
        """Keep what an app has signed and could not be read, for somebody to look at."""
        await self._fetch(_KEEP, app, reason, body)

    async def keep_apart(self, element: Element, reason: str) -> None:
        """Keep an element that cannot be written in the same place."""
        await self.keep(self._numbers[element.number].app.id, reason, element.raw)

    async def leave_out(self, batches: Sequence[Batch]) -> None:
        """Count what calls nobody back, by its field, and keep what may still be wanted of it."""
        if not batches:
            return
        left = sum((batch.left_out for batch in batches), Counter[str]())
        kept = {(kept.number, kept.key): kept for batch in batches for kept in batch.kept}
        columns = columns_of(list(kept.values()), len(KeptElement._fields))
        await self._fetch(_LEAVE_OUT, list(left), list(left.values()), *columns, self._keep_days)

    async def pass_on(self, notice: Notice) -> None:
        """Tell the other processes what Meta said."""
        await pass_on(self._fetch, notice, self._numbers.values())

    async def leave(self) -> None:
        """Say that the listener stopped in order."""
        await self._session.fetch(_LEAVE, self._incarnation, within=LEAVE_SECONDS)

    async def close(self) -> None:
        await self._session.close()

    async def _write(
        self,
        elements: Sequence[Element],
        said: ListenerState | None,
        learned: Sequence[Element],
        salt: int,
    ) -> Written:
        everything = (*elements, *learned)
        directories = await self._directories(everything, salt)
        shown = [directories[self._portfolio(each)].shown(each) for each in everything]
        revealed = [each for directory in directories.values() for each in directory.revealed]
        rows, dropped = _rows(elements, shown[: len(elements)], revealed)
        keys = self._keys.new(zip(shown, everything, strict=True))
        (row,) = await self._fetch(
            _RECEIVE_KEYS if keys else _RECEIVE,
            self._incarnation if said else None,
            *(said or ListenerState()),
            *columns_of(rows, len(ReceivedRow._fields)),
            *_learned(directories),
            *(columns_of(keys, len(IdentityKey._fields)) if keys else ()),
        )
        self._keys.written(keys)
        self._users_seen.written(everything)
        return Written(row["inserted"], row["unmatched"], dropped)

    def _portfolio(self, element: Element) -> int:
        return self._numbers[element.number].portfolio

    async def _directories(
        self, elements: Sequence[Element], salt: int
    ) -> dict[int, UserDirectory]:
        """The users of these elements, by portfolio."""
        found: dict[int, UserDirectory] = {}
        for portfolio in sorted({self._portfolio(element) for element in elements}):
            theirs = [each for each in elements if self._portfolio(each) == portfolio]
            users = await self._users(portfolio, theirs)
            found[portfolio] = UserDirectory(users, self._shows, salt, portfolio)
        return found

    async def _users(self, portfolio: int, elements: Iterable[Element]) -> list[CloudUser]:
        """The stored users that these elements are about, by the ids of then and of now."""
        ids = {e.user_id for e in elements} | {e.previous_user_id for e in elements}
        numbers = {e.wa_id for e in elements if e.previous_user_id or e.changed_to}
        ids.discard("")
        if not ids and not numbers:
            return []
        rows = await self._fetch(_USERS, portfolio, list(ids), list(numbers))
        return [_user(row) for row in rows]

    async def _fetch(self, sql: str, *arguments: Any) -> list[Any]:
        return await self._session.fetch(sql, *arguments, within=WRITE_SECONDS)


def _user(row: Mapping[str, Any]) -> CloudUser:
    known: dict[str, Any] = {name: value for name, value in row.items() if value is not None}
    return CloudUser(**known)


def _rows(
    elements: Iterable[Element], shown: Iterable[str], revealed: Iterable[Element]
) -> tuple[list[ReceivedRow], int]:
    """The rows of the elements, by what v1 calls their customers, and of what they reveal; and how
    many have none.
    """
    rows, dropped = [], 0
    for element, name in zip(elements, shown, strict=True):
        if element.kind == INBOUND and not name:
            dropped += 1
        else:
            rows.append(_row(element, name))
    rows += [_row(element, element.wa_id) for element in revealed]
    return rows, dropped


def _row(element: Element, shown: str) -> ReceivedRow:
    slot, message_id, attempt = None, None, None
    if element.kind == STATUS:
        if found := parse_reference(element.reference):
            message_id, attempt = found
            slot = slot_of_id(message_id)
    else:
        slot = slot_of_shown(shown) if element.kind == INBOUND else 0
    return ReceivedRow(
        slot,
        element.kind,
        element.key,
        message_id,
        attempt,
        element.wamid or None,
        shown or None,
        element.raw,
        element.contact or None,
        element.number,
    )


def _learned(directories: Mapping[int, UserDirectory]) -> list[list[Any]]:
    """The users of each portfolio that are to be stored, as columns of arguments."""
    gone, changed = [], []
    for portfolio, directory in directories.items():
        gone += [(*pair, portfolio) for pair in sorted(directory.gone.items())]
        changed += [(portfolio, *_fields(user)) for user in directory.changed.values()]
    return [*columns_of(gone, 3), *columns_of(changed, 7)]


def _fields(user: CloudUser) -> tuple[str | None, ...]:
    """The fields of a user in the order of the function's arguments."""
    return (
        user.user_id,
        user.wa_id or None,
        user.alias or None,
        user.parent_user_id or None,
        user.username or None,
        user.name or None,
    )
