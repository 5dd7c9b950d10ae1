"""What pages and acts need from their process."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import asyncpg

from warouter.config import Settings
from warouter.console.api import Api
from warouter.console.latest import Latest
from warouter.store.account.accounts import Accounts
from warouter.store.account.sessions import Sessions
from warouter.store.audit import Audit
from warouter.store.bounded import connection

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

READ_SECONDS = 2.0  # for all that one page reads


@dataclass(slots=True)
class Context:
    """The parts of a console, created once. ``last_read`` is when the database answered last."""

    settings: Settings
    pool: asyncpg.Pool
    accounts: Accounts
    sessions: Sessions
    audit: Audit
    api: Api
    latest: Latest
    clock: Callable[[], float] = field(default=time.monotonic)

    def reading(self) -> AbstractAsyncContextManager[PoolConnectionProxy[Any]]:
        """A connection for what a page reads; TimeoutError when that takes longer than 2 s."""
        return connection(self.pool, READ_SECONDS)
