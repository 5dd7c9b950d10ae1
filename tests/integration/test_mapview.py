"""What a webapp knows of the cluster, when the server it asks hangs and another takes writes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import msgspec
import pytest
import pytest_asyncio

from tests.harness.postgres import until
from tests.harness.proxy import Proxy
from tests.harness.wait import soon
from tests.integration.conftest import Join
from warouter.config import Settings, Timing
from warouter.errors import ChangeRefused, NotReady
from warouter.node import mapview
from warouter.node.mapview import MapView
from warouter.store.bounded import SECONDS
from warouter.store.cloud.notices import pass_on
from warouter.store.database import create_pool
from warouter.upstream.cloud.batch import Notice, NoticeAction


@asynccontextmanager
async def through_a_proxy(settings: Settings, *more: str) -> AsyncIterator[tuple[Proxy, MapView]]:
    """One whose server is behind a proxy; with ``more``, the server itself is the second one."""
    server = Path(settings.db_hostname) / f".s.PGSQL.{settings.db_port}"
    async with Proxy(lambda: server) as hangs:
        several = msgspec.structs.replace(
            settings,
            db_hostname=",".join(("127.0.0.1", *more)),
            db_port=",".join((str(hangs.port), *(settings.db_port for _ in more))),
        )
        pool = await create_pool(several, "test", 3)
        view = MapView(several, Timing(), pool, f"wa:{uuid4().hex}:w")
        try:
            yield hangs, view
        finally:
            await view.close()
            pool.terminate()


async def test_a_server_that_hangs_is_left_for_the_one_that_answers(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    async with through_a_proxy(settings, settings.db_hostname) as (hangs, view):
        following = asyncio.create_task(view.run())
        await soon(lambda: view.map is not None)
        assert hangs.used.is_set()
        hangs.cut()
        await pool.execute("update shard_map set shards = 32")
        await soon(lambda: view.map is not None and view.map.shards == 32)
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def test_a_server_that_hangs_is_not_waited_for_longer_than_anywhere(
    settings: Settings,
) -> None:
    """Also when the pool had a connection: one that hangs is ended, not waited for."""
    async with through_a_proxy(settings) as (hangs, view):

        def asked() -> list[Awaitable[Any]]:
            return [view.health(1), view.shards(), view.find_inbound("x", 1), view.trace("x", 1)]

        await asyncio.gather(*asked())
        hangs.cut()
        began = time.monotonic()
        failed = await asyncio.gather(*asked(), return_exceptions=True)
        assert [type(error) for error in failed] == [NotReady, *[TimeoutError] * 3]
        assert time.monotonic() - began < SECONDS + 2


async def test_a_map_that_nobody_told_of_is_read_when_a_beat_has_its_version(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    view = MapView(settings, Timing(map_poll=3600.0), pool, f"wa:{uuid4().hex}:w")
    following = asyncio.create_task(view.run())
    await soon(lambda: view.map is not None)
    await pool.execute("update shard_map set shards = 32, version = version + 1")
    assert view.map is not None
    view.saw(view.map.version + 1)
    await soon(lambda: view.map is not None and view.map.shards == 32)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    await view.close()


@pytest_asyncio.fixture
async def view(settings: Settings, pool: asyncpg.Pool) -> AsyncIterator[MapView]:
    view = MapView(settings, Timing(), pool, f"wa:{uuid4().hex}:w")
    yield view
    await view.close()


async def test_after_an_outage_nobody_is_taken_for_silent(
    pool: asyncpg.Pool, view: MapView, join: Join
) -> None:
    """Who could not look has seen no beats, and who beats could not do so either."""
    session = join("coreapp", uuid4())
    await session.beat(True, 10.0)
    looks = iter((0.0, 10.0, 11.0, 12.0, 13.0))
    view._clock = lambda: next(looks)
    async with pool.acquire() as connection:
        for _ in range(2):
            await view._refresh(connection)
        assert [state.problem for state in (await view.health(1)).nodes] == [""]
        for _ in range(3):  # and then it does fall silent
            await view._refresh(connection)
        [state] = (await view.health(1)).nodes
        assert state.problem == "the node does not answer"


async def test_notices_of_the_account_are_told_for_a_week(
    pool: asyncpg.Pool, view: MapView
) -> None:
    notice = Notice("account_update", b'{"event":"DISABLED_UPDATE"}', NoticeAction.ACCOUNT)
    await pass_on(pool.fetch, notice)
    [note] = (await view.health(1)).notes
    assert note.startswith("Meta sent account_update at 2")
    assert note.endswith('Z: {"event":"DISABLED_UPDATE"}')
    await pass_on(pool.fetch, Notice("account_update", b"{}", NoticeAction.ACCOUNT))
    [note] = (await view.health(1)).notes
    assert note.endswith("Z: {}")
    await pool.execute("update cloud_notice set at = at - interval '8 days'")
    assert (await view.health(1)).notes == []


async def test_no_coreapp_is_connected_while_the_number_is_stopped(
    pool: asyncpg.Pool, view: MapView, join: Join
) -> None:
    owner, leader = uuid4(), uuid4()
    sessions = [
        join("coreapp", owner),
        join("master", leader),
    ]
    for session in sessions:
        await session.beat(True, 10.0)
    await pool.execute("update slot set owner = $1", owner)
    await pool.execute("update term set incarnation = $1", leader)
    await pool.execute("update shard_map set shards = 2")
    await pool.execute(
        "insert into account (number, cc, phone_number, cert, authority_key)"
        " values (1, '1', '6315550000', '', '')"
    )

    async def shown() -> list[tuple[str, str, str]]:
        return sorted((s.role, s.gateway_status, s.problem) for s in (await view.health(1)).nodes)

    well = [
        ("coreapp", "connected", ""),
        ("primary_master", "connected", ""),
    ]
    assert await shown() == well
    other = {state.role: state.gateway_status for state in (await view.health(2)).nodes}
    assert other == {"coreapp": "unregistered", "primary_master": "unregistered"}
    await pool.execute(
        "insert into cloud_pause (code, details, token_hash) values (190, 'expired', 'h')"
    )
    assert await shown() == well  # left over from before a switch to the simulator
    await pool.execute("update format set upstream = 'cloud:106540352242922'")
    assert await shown() == [
        ("coreapp", "disconnected", "the number is stopped by code 190"),
        ("primary_master", "connected", ""),
    ]
    await pool.execute("update cloud_pause set number = 2")
    assert await shown() == well
    await pool.execute("delete from cloud_pause")
    assert await shown() == well


async def test_403_says_that_nothing_happens_and_503_that_it_may(
    pool: asyncpg.Pool, view: MapView, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change that was decided and is not through in time was a 403 as well, and took effect."""
    monkeypatch.setattr(mapview, "BEGIN_SECONDS", 0.1)
    monkeypatch.setattr(mapview, "CHANGE_SECONDS", 0.1)
    with pytest.raises(ChangeRefused, match="no master leads"):
        await view.set_shards(4)
    state = await pool.fetch("select state, shards from shard_request")
    assert [tuple(row) for row in state] == [("refused", 4)]
    monkeypatch.setattr(mapview, "BEGIN_SECONDS", 60.0)
    asking = asyncio.create_task(view.set_shards(8))
    begun = "update shard_request set state = 'running' where state = 'waiting' returning id"
    await until(pool, begun)
    with pytest.raises(NotReady, match="continues"):
        await asking
