"""The certificates in node rows, as processes write them and coreapps read them."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import asyncpg
import pytest

from tests.integration.conftest import Join
from warouter.errors import OutcomeUnknown
from warouter.link.callers import Callers
from warouter.link.credential import Credential
from warouter.store.nodes import read_certificates
from warouter.tls import link as tls

TRUST = 5.0


async def of_callers(pool: asyncpg.Pool) -> list[bytes]:
    return await read_certificates(pool.fetch)


async def test_a_certificate_stands_in_the_row_and_in_each_that_follows(
    pool: asyncpg.Pool, join: Join
) -> None:
    """One is registered again by a beat that finds no row, as after a failover."""
    node = join("webapp", uuid4())
    await node.beat(True, TRUST)
    assert await of_callers(pool) == [b""]
    await node.publish(b"certificate")
    assert await of_callers(pool) == [b"certificate"]
    await pool.execute("delete from node")
    await pool.execute("delete from beat")
    await node.beat(True, TRUST)
    assert await of_callers(pool) == [b"certificate"]


async def test_one_is_published_by_who_is_not_registered_yet(
    pool: asyncpg.Pool, join: Join
) -> None:
    node = join("webapp", uuid4())
    publishing = asyncio.ensure_future(node.publish(b"certificate"))
    await node.beat(True, TRUST)
    await publishing
    assert await of_callers(pool) == [b"certificate"]


async def test_a_certificate_is_never_replaced(pool: asyncpg.Pool, join: Join) -> None:
    incarnation = uuid4()
    node, impostor = (join("webapp", incarnation) for _ in range(2))
    await node.beat(True, TRUST)
    await node.publish(b"certificate")
    await impostor.beat(True, TRUST)
    await impostor.publish(b"another")
    assert await of_callers(pool) == [b"certificate"]


async def test_rows_of_masters_say_nothing(pool: asyncpg.Pool, join: Join) -> None:
    master = join("master", uuid4())
    await master.beat(True, TRUST)
    assert await of_callers(pool) == []


async def test_without_a_right_to_the_rows_there_is_one_sentence(
    pool: asyncpg.Pool, join: Join
) -> None:
    node = join("webapp", uuid4())
    await node.beat(True, TRUST)
    await pool.execute("alter table node rename column certificate to hidden")
    with pytest.raises(OutcomeUnknown):
        await of_callers(pool)
    with pytest.raises(OutcomeUnknown):
        await node.publish(b"certificate")


async def test_coreapps_follow_the_rows(pool: asyncpg.Pool, join: Join) -> None:
    node = join("webapp", uuid4())
    await node.beat(True, TRUST)
    shown = Credential("webapp", node.publish)
    await shown.context()
    callers = Callers(tls.fresh("coreapp"), lambda: of_callers(pool))
    callers.adopt(await of_callers(pool))
    assert callers._pins == {shown.certificate.fingerprint}
