"""Our arrays on a real server: it reads what asyncpg would have written, and we what it writes."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from warouter.config import Settings
from warouter.log import Outage
from warouter.store import arrays
from warouter.store.database import Session, connect

COLUMNS: dict[str, list[Any]] = {
    "smallint": [0, 31, -32768, 32767, None],
    "bigint": [0, 1, -(2**63), 2**63 - 1, None],
    "text": ["", "4915112345678", "ä\N{GRINNING FACE}", "{}", "null", '"', None],
    "bytea": [b"", b"\0\xff", bytes(range(256)) * 40, None],
}


@pytest.mark.parametrize("kind", COLUMNS)
async def test_the_server_reads_what_asyncpg_writes(
    settings: Settings, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """asyncpg itself, on the other connection, says what is meant."""
    session, plain = Session(settings, "test"), await connect(settings, "test")
    for column in (COLUMNS[kind], COLUMNS[kind][:-1], []):
        sql = f"select $1::{kind}[] as back, $1::{kind}[]::text as shown, array_ndims($1) as n"
        (ours,) = await session.fetch(sql, column, within=2.0)
        theirs = await plain.fetchrow(sql, column)
        assert tuple(ours) == tuple(theirs)
        assert ours["back"] == column
    await session.close()
    await plain.close()
    assert not caplog.records  # asyncpg has let us put our codecs in place


async def test_without_our_codecs_the_answers_are_the_same(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(arrays, "_PROTOCOL", "_renamed")
    monkeypatch.setattr(arrays, "_closed", Outage())
    for _ in range(2):
        session = Session(settings, "test")
        assert await session.fetch("select $1::bigint[]", COLUMNS["bigint"], within=2.0) == [
            (COLUMNS["bigint"],)
        ]
        await session.close()
    assert len(caplog.records) == 1


async def test_a_value_that_does_not_fit_is_an_error_of_its_row(settings: Settings) -> None:
    """As with the server's own, of class 22: what a batch is searched for the bad row by."""
    session = Session(settings, "test")
    with pytest.raises(asyncpg.DataError, match="value too large") as raised:
        await session.fetch("select $1::smallint[]", [2**15], within=2.0)
    assert raised.value.sqlstate == "22000"
    await session.close()
