"""The journals of an owner, and the scene of the webhook's tests: a receiver, and the owner of the
slots that it hears of.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio

from tests.harness.callbacks import Logged, Owner
from tests.harness.cloud import Door, door
from tests.harness.console import Consoles
from tests.harness.journals import ME, OWNED, own
from tests.harness.owned import session_of
from tests.harness.postgres import clone, drop
from tests.harness.receiver import Receiver
from tests.harness.wait import Watch
from tests.harness.webhooks import Webhook
from warouter.config import Settings
from warouter.local.postgres import Postgres
from warouter.store import server_settings
from warouter.store.beats import NodeSession
from warouter.store.journal import Journal

PATIENCE = "20s"


@pytest.fixture(autouse=True)
def patient_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server ends no transaction because this process has to wait for its processor; sessions
    of other processes have the product's second.
    """
    monkeypatch.setitem(server_settings.PINNED, "idle_in_transaction_session_timeout", PATIENCE)


@pytest_asyncio.fixture
async def journal(settings: Settings, pool: asyncpg.Pool) -> AsyncIterator[Journal]:
    """The journal of ME, who owns slots 3 and 5."""
    for slot, epoch in OWNED.items():
        await own(pool, slot, epoch)
    journal = Journal(settings, ME, "test")
    yield journal
    await journal.close()


Join = Callable[..., NodeSession]


@pytest_asyncio.fixture
async def join(settings: Settings) -> AsyncIterator[Join]:
    """Makes sessions of nodes, by role and incarnation, which end with the test."""
    made: list[NodeSession] = []

    def begin(role: str, incarnation: UUID, of: Settings = settings) -> NodeSession:
        made.append(session_of(of, role, incarnation))
        return made[-1]

    yield begin
    for session in made:
        session.terminate()


@pytest.fixture
async def watch() -> Watch:
    return Watch()


@pytest.fixture
async def receiver(watch: Watch) -> AsyncIterator[Receiver]:
    async with Receiver(watch=watch) as receiver:
        yield receiver


@pytest.fixture
async def owner(watch: Watch, receiver: Receiver) -> Owner:
    return Owner(watch, receiver.url)


@pytest.fixture(scope="module")
def consoles(postgres: Postgres) -> Iterator[Consoles]:
    """Those of a module, on a database that its tests share."""
    settings = asyncio.run(clone(postgres))
    with TemporaryDirectory(prefix="warouter-test-", dir="/tmp") as folder:
        consoles = Consoles(settings, Path(folder))
        yield consoles
        consoles.close()
    asyncio.run(drop(postgres, settings))


@pytest_asyncio.fixture
async def hooks(settings: Settings) -> AsyncIterator[list[Webhook]]:
    """Two listeners for webhooks of the Cloud API, on one database."""
    async with AsyncExitStack() as stack:
        both = [Webhook(settings), Webhook(settings)]
        for hook in both:
            await hook.open()
            stack.push_async_callback(hook.close)
        yield both


@pytest_asyncio.fixture
async def hook(settings: Settings) -> AsyncIterator[Webhook]:
    """One of them alone."""
    hook = Webhook(settings)
    await hook.open()
    yield hook
    await hook.close()


@pytest.fixture
async def world() -> AsyncIterator[Door]:
    """A Cloud door whose business is subscribed, for the tests of the door itself."""
    async with door() as found:
        yield found


@pytest.fixture
def logged(watch: Watch, caplog: pytest.LogCaptureFixture) -> Iterator[Logged]:
    """Lines of the webhook's log; a new one wakes the watch."""

    class Waking(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            watch.notify()

    logger = logging.getLogger("warouter.webhook.callbacks")
    handler = Waking()
    caplog.set_level(logging.INFO, logger.name)
    logger.addHandler(handler)
    yield lambda: [(record.levelname, record.getMessage()) for record in caplog.records]
    logger.removeHandler(handler)
