"""The parts of the process that pages and acts use."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from warouter.access.login import LogIns
from warouter.access.passwords import Passwords
from warouter.app_settings import Network
from warouter.config import Settings
from warouter.console.api import Api
from warouter.console.latest import READ_SECONDS, Latest
from warouter.console.series.memory import Series
from warouter.console.simulator import SimulatorClient
from warouter.console.spared import Revealed, Spared
from warouter.console.verdict.alerts import Alerts
from warouter.store.account.accounts import Accounts
from warouter.store.account.keys import Keys
from warouter.store.account.sessions import ConsoleSessions
from warouter.store.audit import Audit
from warouter.store.bounded import connection
from warouter.store.views.doubt_choice import DoubtListing
from warouter.store.views.messages.found import MessageListing


@dataclass(slots=True)
class ConsoleContext:
    """The parts of a console, created once. ``lists`` and ``doubts`` are costly lists."""

    settings: Settings
    pool: asyncpg.Pool
    accounts: Accounts
    keys: Keys
    sessions: ConsoleSessions
    audit: Audit
    api: Api
    latest: Latest
    series: Series
    simulator: SimulatorClient | None
    log_ins: LogIns
    passwords: Passwords
    trusted: Sequence[Network] = ()  # proxies, whose word on the client counts
    lists: Spared[MessageListing] = field(default_factory=Spared)
    doubts: Spared[DoubtListing] = field(default_factory=Spared)
    revealed: Revealed = field(default_factory=Revealed)
    clock: Callable[[], float] = field(default=time.monotonic)
    # What pages keep from one request to the next, by their own names; each bounds its own.
    kept: dict[str, Any] = field(default_factory=dict)
    alerts: Alerts = field(init=False)

    def __post_init__(self) -> None:
        self.alerts = Alerts(self.latest)

    def reading(self) -> AbstractAsyncContextManager[PoolConnectionProxy[Any]]:
        """A connection for what a page reads; TimeoutError when that takes longer than 2 s."""
        return connection(self.pool, READ_SECONDS)
