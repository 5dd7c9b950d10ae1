"""The coreapp: link in, journal, upstream out, events back, callbacks. Only the wiring."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from secrets import token_bytes
from typing import Any

import asyncpg

from warouter.app_settings import (
    APPLICATION,
    WEBHOOK_CA,
    ApplicationSettings,
    effective,
)
from warouter.background import wait_for
from warouter.config import Settings
from warouter.errors import CommandError, OutcomeUnknown
from warouter.link.listen import LinkServer
from warouter.link.relay import Relay
from warouter.node.adoption import ApplicationFields, adopt
from warouter.node.figures_coreapp import CoreappFigures
from warouter.node.loglevel import LogLevel
from warouter.node.reporter import Reporter
from warouter.node.runtime import Identity, boottime, cancel, check_database, run_until
from warouter.owner.appender import Appender
from warouter.owner.callbacks import CallbackFeed
from warouter.owner.events import EventAppender
from warouter.owner.media.work import MediaWork
from warouter.owner.ownership import Ownership
from warouter.owner.recorder import Recorder
from warouter.owner.sender import Sender
from warouter.owner.slot import OwnedSlot
from warouter.owner.writable import Writable
from warouter.store.aside import Aside, find_address, settings_of
from warouter.store.dead_letters import LETTERS
from warouter.store.history import prune_history, prune_letters
from warouter.store.journal import Journal
from warouter.store.nodes import LINK_GONE, Beat, NodeSession
from warouter.stored import text_of
from warouter.systemd import Notifier
from warouter.tls import link as tls
from warouter.upstream.client import SimulatorUpstream

log = logging.getLogger(__name__)

PRUNE_SECONDS = 30.0
PRUNE_ROWS = 500
PRUNE_PAUSE = 0.05
LINK_KEY_BYTES = 32
FOLLOWED = (APPLICATION, WEBHOOK_CA)


class Coreapp:
    """One coreapp process: everything it is made of, and who is told what."""

    def __init__(
        self,
        settings: Settings,
        identity: Identity,
        notifier: Notifier,
        clock: Callable[[], float] = boottime,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._identity = identity
        self._notifier = notifier
        self._timing = settings.timing
        self._app_settings = ApplicationSettings()
        self._settings_version = -1
        self._settings_changed = asyncio.Event()
        self._log_level = LogLevel(settings.log_level)
        self._application = ApplicationFields()
        self._webhook_ca = ""
        self._collections: int | None = None  # how often PUT services/message/gc was called
        self._collect = asyncio.Event()
        self._ready = False
        self.journal = Journal(settings, identity.incarnation, identity.application)
        self._aside = Aside(settings, "aside", identity.name)
        self.link_key = token_bytes(LINK_KEY_BYTES)

    async def start(self) -> None:
        """Listen, register, and wire; afterwards ``tasks`` run the process."""
        host = self._settings.coreapp_hostname
        context, fingerprint = (None, None) if tls.on_this_host(host) else tls.server_context(host)
        self.relay = Relay(lambda owner: find_address(self._aside.fetch, owner))
        self.link = LinkServer(
            self.link_key,
            lambda webapp, m: self.appender.on_message(webapp, m),
            self.relay.on_relay,
        )
        try:
            port = await self.link.start(host, self._settings.link_port, context)
        except OSError as error:
            raise CommandError(
                f"Port {self._settings.link_port} at {host} cannot be taken ({error.strerror}):"
                " set COREAPP_EXTERNAL_PORTS to one that is free."
            ) from error
        registration = self._identity.registration(
            host, port, link_key=self.link_key, fingerprint=fingerprint
        )
        self.session = NodeSession(self._settings, registration, self._on_hint)
        self.writable = Writable(self.journal)
        self.ownership = Ownership(
            self.session,
            self.journal,
            self._timing,
            self._clock,
            lambda: self.upstream.well,
            self._settings.pending_seconds,
            self.writable.ok,
        )
        self.recorder = Recorder(self.ownership, self.journal)
        self.ownership.flush = self.recorder.flush
        self.callbacks = CallbackFeed(
            self.ownership,
            self.journal,
            self.recorder,
            lambda: self._app_settings,
            self._settings,
            self._clock,
        )
        self.events = EventAppender(
            self.ownership,
            self.journal,
            self.callbacks.committed,
            lambda slot, numbers: self.sender.ack_events(slot, numbers),
            self.recorder.touch,
        )
        self.sender = Sender(
            self.ownership,
            self.journal,
            self.recorder,
            self.events,
            self._clock,
            self._settings.pending_seconds,
        )
        self.media = MediaWork(
            self._settings,
            self._identity.application,
            lambda: self._app_settings,
            self.ownership,
            self.sender,
            self.events,
        )
        self.appender = Appender(
            self.ownership,
            self.journal,
            self.sender.ready,
            self._on_appended,
            self.recorder.touch,
            self.sender.behind,
        )
        self.upstream = SimulatorUpstream(
            *self._settings.upstream_host_port,
            self._identity.name,
            self._identity.incarnation.hex,
            self.sender,
            self.ownership.all_hold,
            congested=lambda: self.events.full or self.media.downloads.full,
        )
        self.sender.upstream = self.upstream
        self.ownership.beaten.append(self._on_beat)

    def tasks(self) -> list[asyncio.Task[None]]:
        work = {
            "beats": self._beat(),
            "writable": self.writable.run(),
            "append": self.appender.run(),
            "record": self.recorder.run(),
            "events": self.events.run(),
            "upstream": self.upstream.run(),
            "parked": self.sender.run_parked(),
            "callbacks": self.callbacks.run(),
            "settings": self._follow_settings(),
            "prune": self._prune(),
            "media": self.media.run(),
        }
        return [asyncio.create_task(coroutine, name=name) for name, coroutine in work.items()]

    async def _beat(self) -> None:
        """The first beat says already whether the journals can be written."""
        await self.writable.look()
        await self.ownership.run()

    async def stop(self, tasks: list[asyncio.Task[None]]) -> None:
        """Hand everything over, then let go of what is left."""
        await self.ownership.leave()
        await self.relay.close()
        await self.link.stop()
        await self.upstream.close()
        await self.media.close()
        await cancel(tasks)
        self.session.terminate()
        await self.journal.close()
        await self._aside.close()

    def _on_hint(self, what: str) -> None:
        if what == LETTERS:
            self.callbacks.look_for_letters()
        elif what != LINK_GONE:  # that one is for masters
            self.ownership.wake()

    def _on_appended(self) -> None:
        self.sender.pump_moved()
        self.ownership.progressed()

    def _on_beat(self, beat: Beat) -> None:
        if not self._ready:
            self._ready = True
            self._notifier.ready("secondary")  # only now do masters know of it
        self._notifier.alive()
        self.appender.give_up_early(beat.renewed)
        self.sender.pump_all()
        if beat.settings_version != self._settings_version:
            self._settings_version = beat.settings_version
            self._settings_changed.set()
        slots = self.ownership.slots
        shown = f"primary, {len(slots)} slots" if slots else "secondary"
        self._notifier.status(shown)

    async def _follow_settings(self) -> None:
        while True:
            await self._settings_changed.wait()
            self._settings_changed.clear()
            try:
                stored, collections = await settings_of(self._aside.fetch, FOLLOWED)
            except (OutcomeUnknown, asyncpg.PostgresError) as error:
                log.warning("settings refresh failed", extra={"error": str(error)})
                self._settings_version = -1  # the next beat tries again
                continue
            self._adopt(stored, collections)

    def _adopt(self, stored: Mapping[str, Any], collections: int) -> None:
        """Each for itself: one that cannot be used leaves its last good value."""
        adopt(APPLICATION, partial(self._adopt_application, stored[APPLICATION]))
        adopt(WEBHOOK_CA, partial(self._trust, stored[WEBHOOK_CA]))
        adopt(APPLICATION, self.callbacks.settings_changed)
        if self._collections not in (None, collections):
            self._collect.set()
        self._collections = collections

    def _adopt_application(self, stored: Any) -> None:
        fields = self._application.adopt(stored)
        self._app_settings = effective(fields)
        self._log_level.follow(fields)

    def _trust(self, stored: Any) -> None:
        ca = text_of(stored, "pem") if stored != {} else ""
        if ca is None:
            raise ValueError("it is not PEM text")
        if ca == self._webhook_ca:
            return
        self.callbacks.callbacks.trust(ca)
        self._webhook_ca = ca
        log.info("webhook CA activated", extra={"configured": bool(ca)})

    async def _prune(self) -> None:
        """Retention, slot by slot in small steps between everything else.

        By itself unless it was switched off; when it was asked for, all that may go.
        """
        while True:
            await wait_for(self._collect, PRUNE_SECONDS)
            asked = self._collect.is_set()
            self._collect.clear()
            await self._prune_keys()
            if 0 in self.ownership.slots:
                await self._prune_history()
            if not (asked or self._app_settings.garbagecollector_enable.messages):
                continue
            days = 0.0 if asked else self._settings.retention_days
            for slot in list(self.ownership.slots.values()):
                await self._prune_slot(slot, days)
            if asked:
                log.info("garbage collected", extra={"slots": len(self.ownership.slots)})

    async def _prune_slot(self, slot: OwnedSlot, days: float) -> None:
        gone = PRUNE_ROWS
        while slot.accepts and gone >= PRUNE_ROWS:
            try:
                gone = await self.journal.prune({slot.slot: slot.epoch}, days, PRUNE_ROWS)
            except (OutcomeUnknown, asyncpg.PostgresError) as error:
                log.warning("pruning failed", extra={"slot": slot.slot, "error": str(error)})
                return
            await asyncio.sleep(PRUNE_PAUSE)

    async def _prune_keys(self) -> None:
        await self._in_steps(
            "request keys", lambda: self.journal.prune_keys(list(self.ownership.slots), PRUNE_ROWS)
        )

    async def _prune_history(self) -> None:
        """What belongs to no slot is pruned by the owner of slot 0."""
        fetch, settings = self._aside.fetch, self._settings
        days, letters = settings.retention_days, settings.letters_days
        await self._in_steps("history", lambda: prune_history(fetch, days, PRUNE_ROWS))
        if letters and await self._in_steps(
            "dead letters", lambda: prune_letters(fetch, letters, PRUNE_ROWS)
        ):
            log.warning("dead letters removed", extra={"older_than_days": letters})

    async def _in_steps(self, what: str, step: Callable[[], Awaitable[int]]) -> int:
        """Few rows at a time, until there are no more; how many went."""
        total, gone = 0, PRUNE_ROWS
        while gone >= PRUNE_ROWS and self.ownership.slots:
            try:
                gone = await step()
            except (OutcomeUnknown, asyncpg.PostgresError) as error:
                log.warning("pruning failed", extra={"rows": what, "error": str(error)})
                break
            total += gone
            await asyncio.sleep(PRUNE_PAUSE)
        return total


async def main(settings: Settings, stop: asyncio.Event, notifier: Notifier) -> None:
    """Run a coreapp until ``stop``, then drain and hand over."""
    identity = Identity(settings, "coreapp")
    await check_database(settings, identity)
    coreapp = Coreapp(settings, identity, notifier)
    await coreapp.start()
    figures = CoreappFigures(coreapp, settings.beat, boottime)
    reports = Aside(settings, "report", identity.name)
    reporter = Reporter(reports.fetch, identity, figures.samples, figures.state)
    tasks = [*coreapp.tasks(), asyncio.create_task(reporter.run(), name="reports")]
    try:
        await run_until(stop, tasks)
    finally:
        notifier.stopping()
        await reporter.close()
        await coreapp.stop(tasks)
        await reports.close()
