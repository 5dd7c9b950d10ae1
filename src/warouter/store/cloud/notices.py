"""Passes on what Meta's webhooks say of the account and the number.

What calls nobody back although a customer may have said it is shown beside it.

The levels and the templates are read again by their owners: Meta names an account, and so all its
numbers. What is said of the account is kept for each of its numbers, the last of each field, and
shown for a week. An app hears of all its accounts: what is said of one that is not ours is kept
beside it, for all numbers, and says of which.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from warouter.cloud_number import NumberCloud
from warouter.store.bounded import Fetch
from warouter.store.database import Source
from warouter.upstream.cloud.batch import Notice, NoticeAction
from warouter.upstream.cloud.elements import ECHOES, HANDOVERS, OLD, STANDBY, UNREADABLE

MOST_CHARS = 400  # of what is said
# Whoever reads a number's level by its age does so at once.
_LEVEL = """
with old as (update cloud_number set read_at = '-infinity')
select pg_notify('warouter', 'cloud level')"""
_TEMPLATES = "select pg_notify('warouter', 'cloud templates')"
_KEEP = """
insert into cloud_notice (number, field, said)
select n, $2, $3 from unnest($1::integer[]) n order by n
on conflict (number, field) do update set said = excluded.said, at = now()"""
_ALL = 0  # in the place of a number
_UTC = """to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as at"""
_READ = f"""
select field, said, {_UTC}
  from cloud_notice where at > now() - interval '7 days' and number in (0, $1)
 order by cloud_notice.at desc limit 50"""
_READ_LEFT_OUT = f"""
select field, count, {_UTC}
  from cloud_left_out where at > now() - interval '7 days' order by cloud_left_out.at desc"""
_INSTEAD = {
    STANDBY: "kept, WAROUTER_CLOUD_STANDBY decides",
    ECHOES: "kept, WAROUTER_CLOUD_ECHOES decides",
    HANDOVERS: "kept: Meta's agent took a conversation, or gave it back",
    UNREADABLE: "kept",
    OLD: "kept: more than 8 days old by the clock of the webapp's machine, or captured by somebody",
}


class AccountNotice(msgspec.Struct, frozen=True):
    """A notice of the account, at a time in UTC; of what called nobody back, the last time."""

    field: str
    said: str
    at: str

    def __str__(self) -> str:
        return f"Meta sent {self.field} at {self.at}: {self.said}"


def _left_out(field: str, count: int, at: str) -> AccountNotice:
    what = _INSTEAD.get(field, "not kept: this build does not know it, or does not offer it")
    return AccountNotice(field, f"{count:,} so far, no callback ({what})", at)


async def pass_on(fetch: Fetch, notice: Notice, numbers: Iterable[NumberCloud] = ()) -> None:
    """Tell whom a notice concerns; of one that is only logged nobody hears.

    ``numbers`` are ours.
    """
    if notice.action is NoticeAction.LEVEL:
        await fetch(_LEVEL)
    elif notice.action is NoticeAction.TEMPLATES:
        await fetch(_TEMPLATES)
    elif notice.action is NoticeAction.ACCOUNT:
        field, account = notice.field, notice.account
        concerned = [of.id for of in numbers if account in ("", of.waba_id)]
        if account and not concerned:
            field = f"{field} of account {account}"
        await fetch(_KEEP, concerned or [_ALL], field, notice.said[:MOST_CHARS])


async def read_notices(source: Source, number: int) -> list[AccountNotice]:
    """Read the notices of a week about the account and the number, the newest first, and what was
    left out.
    """
    left_out = [_left_out(*row) for row in await source.fetch(_READ_LEFT_OUT)]
    return [*left_out, *(AccountNotice(*row) for row in await source.fetch(_READ, number))]
