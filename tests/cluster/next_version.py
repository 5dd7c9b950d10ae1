"""The build after this one, as far as neighbours notice: ``python next_version.py coreapp``.

It speaks link versions N and N + 1, where N + 1 has one field more in a message (who sent it), and
brings one step more: a column for that field, an overload that writes it, and a NOTIFY that
nobody knows. Everything else is this build, so a test can run both side by side and tell from a row
which way it came: ``origin`` is the webapp's pid if both ends are of the next build, else 0.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from warouter import _batch
from warouter.cli import main
from warouter.link import wire
from warouter.link._frames import columns
from warouter.store import migrate
from warouter.store.database import WRITE_SECONDS
from warouter.store.journal import RowOutcome
from warouter.store.journal.messages import Messages
from warouter.store.migrations import Migration, migrations

OLD = max(wire.FRAMES)
NEW = OLD + 1
_ORIGIN = struct.Struct("<I")
_APPEND = "select * from append_messages($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12)"
_MIGRATION = """\
-- What a build after this one might bring: a column, a new overload, and a table that is busy.
-- runs with: {runs_with}
alter table message add column origin bigint not null default 0;
alter table slot add column note text;
create function append_messages(
    p_incarnation uuid, p_slots smallint[], p_epochs bigint[],
    p_slot smallint[], p_seq bigint[], p_id bytea[], p_recipient text[], p_kind smallint[],
    p_body bytea[], p_number integer[], p_aside boolean[], p_origin bigint[])
returns table (ordinal integer, outcome smallint) language plpgsql volatile
security definer set search_path from current as $$
begin
    return query select * from append_messages(p_incarnation, p_slots, p_epochs, p_slot, p_seq,
                                               p_id, p_recipient, p_kind, p_body, p_number,
                                               p_aside);
    update message m set origin = o.origin
      from unnest(p_slot, p_seq, p_id, p_origin) as o(slot, seq, id, origin)
     where m.slot = o.slot and m.seq = o.seq and m.id = o.id and o.origin <> 0;
end $$;
select pg_notify('warouter', 'of the next build');
"""

_origins: dict[bytes, int] = {}


def message(*fields: Any) -> bytes:
    old = wire.FRAMES[OLD].message(*fields)
    return old[:1] + _ORIGIN.pack(os.getpid()) + old[1:]


def parse(frame: memoryview) -> wire.Message | wire.Outcome:
    if frame[0] != wire.MESSAGE:
        return wire.FRAMES[OLD].parse(frame)
    (origin,) = _ORIGIN.unpack_from(frame, 1)
    parsed = wire.FRAMES[OLD].parse(memoryview(bytes(frame[:1]) + frame[1 + _ORIGIN.size :]))
    assert isinstance(parsed, wire.Message)
    _origins[parsed.id] = origin
    return parsed


def read_each(
    parse: Callable[[memoryview], wire.Frame], packed: memoryview
) -> tuple[list[wire.Message], list[wire.Frame]]:
    """The frames of an envelope, each by itself."""
    frames = [parse(frame) for frame in _batch.split(packed)]
    messages = [frame for frame in frames if isinstance(frame, wire.Message)]
    return messages, [frame for frame in frames if not isinstance(frame, wire.Message)]


async def append_once(
    self: Messages, owned: Mapping[int, int], rows: Sequence[wire.Message]
) -> dict[int, RowOutcome]:
    slots, seqs, ids, recipients, _, bodies, *_ = columns(list(rows))
    found = await self._appends.fetch(
        _APPEND,
        self._incarnation,
        list(owned),
        list(owned.values()),
        slots,
        seqs,
        ids,
        recipients,
        [row.kind for row in rows],
        bodies,
        None,
        None,
        [_origins.pop(i, 0) for i in ids],
        within=WRITE_SECONDS,
    )
    return {row["ordinal"]: RowOutcome(row["outcome"]) for row in found}


def files() -> list[Migration]:
    """This build's, and one more."""
    now = migrations()
    last = now[-1].version
    sql = _MIGRATION.format(runs_with=last)
    return [*now, Migration(last + 1, f"{last + 1:04}_next.sql", sql)]


if __name__ == "__main__":
    wire.FRAMES[NEW] = wire.FRAMES[OLD]._replace(
        message=message, parse=parse, read=partial(read_each, parse)
    )
    Messages._append_once = append_once  # type: ignore[method-assign]
    migrate.migrations = files
    main()
