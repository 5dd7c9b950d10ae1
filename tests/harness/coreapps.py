"""A coreapp of this process with its own database, as it runs in one of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import msgspec

from tests.harness.wait import soon
from warouter.config import Settings
from warouter.node.coreapp import Coreapp
from warouter.node.runtime import ProcessIdentity
from warouter.owner.slot import OwnedSlot
from warouter.systemd import Notifier


@asynccontextmanager
async def started(settings: Settings, **changes: Any) -> AsyncIterator[Coreapp]:
    """It owns nothing, and none of its tasks may have ended when it is left."""
    # A machine that stands still for a second is not a fault here.
    settings = msgspec.structs.replace(settings, coreapp_ports="0", lease=9.0, **changes)
    coreapp = Coreapp(settings, ProcessIdentity(settings, "coreapp"), Notifier())
    await coreapp.start()
    tasks = coreapp.tasks()
    try:
        yield coreapp
        assert [task for task in tasks if task.done()] == []
    finally:
        await coreapp.stop(tasks)


async def give(coreapp: Coreapp, pool: asyncpg.Pool, number: int) -> OwnedSlot:
    """As a master does; the slot, once it takes messages."""
    owner = "update slot set owner = $1, epoch = epoch + 1 where slot = $2"
    await pool.execute(owner, coreapp._identity.incarnation, number)
    slots = coreapp.ownership.slots
    await soon(lambda: number in slots and slots[number].accepts)
    return slots[number]
