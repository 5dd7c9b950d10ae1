"""Clusters of real processes, each on ports and in a folder of its own.

A test has one for itself if it hurts it for good, or has it set up in another way. Others of its
file share one: a fixture of the module, by ``running``.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest_asyncio

from tests.harness import prepared
from tests.harness.business import Business
from tests.harness.facts import Facts
from tests.harness.meta import CLOUD, Scene, scene_of
from tests.harness.rights import nothing_refused
from tests.harness.standby import Pair
from warouter.local.cluster import Cluster
from warouter.local.options import UpOptions

CALM = {"WAROUTER_LEASE": "5", "WAROUTER_HOLD": "25"}
"""For a test in which nobody may be taken for dead, though the machine stand still for a second."""

ONE = {"shards": 1, "coreapps": 1, "masters": 1}
"""The smallest cluster, for a test in which nobody dies."""
PAIR = {**ONE, "coreapps": 2}
"""One in which an owner may die."""

Start = Callable[..., Awaitable[tuple[Cluster, Business]]]


@asynccontextmanager
async def running(
    before: Callable[[Cluster], None] = lambda _: None, rate: float = 0.0, **options: Any
) -> AsyncIterator[tuple[Cluster, Business]]:
    """A cluster and its business; ``before`` gets the cluster before anything of it runs, ``rate``
    is the business's.
    """
    async with AsyncExitStack() as stack:
        folder = prepared.reachable_folder()
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        stack.callback(nothing_refused, folder)
        cluster = Cluster(UpOptions(data_dir=folder, port=0, tls=False, **options))
        before(cluster)
        if "WA_DB_HOSTNAME" not in cluster.options.environment:
            await asyncio.to_thread(prepared.copy_to, folder / "postgres")
        stack.push_async_callback(cluster.stop)
        await cluster.start()
        business = await stack.enter_async_context(Business(cluster, rate=rate))
        stack.push_async_callback(cluster.stop)  # before the receiver that it calls
        stack.callback(business.end)  # nothing listens any more: its chains would only spin
        yield cluster, business


@asynccontextmanager
async def on_cloud(**options: Any) -> AsyncIterator[Scene]:
    """The scene of a cluster whose upstream is the Cloud door; it is the module's ``cluster``."""
    async with running(**CLOUD, **options) as started, scene_of(*started) as scene:
        yield scene


@pytest_asyncio.fixture(loop_scope="module")
async def scene(cluster: Scene) -> AsyncIterator[Scene]:
    """Of such a module, for one test: afterwards there is no fault, and nothing is left of it."""
    yield cluster
    await cluster.calm()
    await cluster.settled()
    await cluster.forget()


def own_port(cluster: Cluster, webapp: int) -> int:
    """Where this webapp listens, and no other."""
    return int(cluster.webapp_urls[webapp - 1].rpartition(":")[2])


@pytest_asyncio.fixture
async def start() -> AsyncIterator[Start]:
    """``await start(shards=2, coreapps=3, ...)`` gives a cluster of the test's own."""
    async with AsyncExitStack() as stack:
        yield lambda **options: stack.enter_async_context(running(**options))


@asynccontextmanager
async def lived_through(
    start: Start, **options: object
) -> AsyncIterator[tuple[Cluster, Business, Facts]]:
    """A cluster to hurt under traffic: in the end nobody who uses the API has noticed."""
    cluster, business = await start(**options)
    async with Facts(cluster) as facts:
        yield cluster, business, facts
    await unharmed(business)


async def unharmed(business: Business) -> None:
    """Everything was accepted, arrived once and in order, and was called back."""
    await business.stop()
    await business.all_called_back()
    async with Facts(business.cluster) as facts:
        assert await facts.wrong(business) == []
    assert business.history.errors == business.history.unknown == []


@asynccontextmanager
async def two_servers() -> AsyncIterator[Pair]:
    """A primary that runs with a standby that follows it, asynchronously."""
    folder = prepared.reachable_folder()
    servers = Pair(folder)
    try:
        await servers.start()
        await servers.follow()
        yield servers
    finally:
        await servers.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest_asyncio.fixture
async def pair() -> AsyncIterator[Pair]:
    async with two_servers() as servers:
        yield servers
