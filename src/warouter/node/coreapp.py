"""The coreapp: what one is made of, and in which order its parts stand.

Two pipelines, each step a call on the next part:

    outgoing   LinkServer -> Appender -> Sender (asks Attachments) -> SimulatorUpstream
    incoming   SimulatorUpstream -> UpstreamListener -> Downloads -> Receipts -> CallbackFeed
               -> Callbacks

The parts are made from the far end of a pipeline to its beginning, so each is given those that it
calls, the upstream's far side first; what has to hear of a slot's life stands in
``ownership.listeners``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from secrets import token_bytes

from warouter.cloud_settings import is_loopback
from warouter.cluster.shardmap import SIMULATOR
from warouter.config import Settings
from warouter.errors import CommandError
from warouter.link.callers import Callers
from warouter.link.credential import Credential
from warouter.link.listen import LinkServer
from warouter.link.relay import Relay
from warouter.net.sockets import not_taken
from warouter.node.end import Common, Remote
from warouter.node.figures.coreapp import BeatCount, CoreappFigures
from warouter.node.reporter import Reporter
from warouter.node.runtime import (
    ProcessIdentity,
    boottime,
    cancel,
    check_database,
    health_of,
    run_until,
    signs_of_life,
)
from warouter.node.setting_changes import SettingsFollower
from warouter.node.settings_coreapp import CoreappSettings, InForce
from warouter.owner.appender import Appender
from warouter.owner.asides import Asides
from warouter.owner.beats import Beats
from warouter.owner.callbacks.feed import CallbackFeed
from warouter.owner.claims import Claims
from warouter.owner.hearing import UpstreamListener
from warouter.owner.listener import BeatListener
from warouter.owner.media.work import MediaWork
from warouter.owner.moves import Moves, Openings
from warouter.owner.ownership import Ownership
from warouter.owner.parked.log import Watch
from warouter.owner.quiesce import Quiesce
from warouter.owner.receipts import Receipts
from warouter.owner.recorder import Recorder
from warouter.owner.retention import Retention
from warouter.owner.sender import SenderParts
from warouter.owner.writable import Writable
from warouter.store.aside import AsideSession, find_address
from warouter.store.beats import LOST, Beat, NodeSession
from warouter.store.dead_letters import LETTERS
from warouter.store.journal import Journal
from warouter.store.nodes import LINK_GONE, NODES, read_certificates
from warouter.systemd import Notifier

LINK_KEY_BYTES = 32
_LISTENS = ("COREAPP_EXTERNAL_PORTS", "COREAPP_HOSTNAME")


class Coreapp:
    """One coreapp process: its parts, and the calls between them."""

    callers: Callers | None = None  # those on other hosts, if it listens for them

    def __init__(
        self,
        settings: Settings,
        identity: ProcessIdentity,
        notifier: Notifier,
        clock: Callable[[], float] = boottime,
    ) -> None:
        self._settings, self._identity, self._clock = settings, identity, clock
        self._notifier, self._link_key = notifier, token_bytes(LINK_KEY_BYTES)
        self._aside = AsideSession(settings, "aside", identity.name)
        self.in_force = InForce()
        self.journal = journal = Journal(settings, identity.incarnation, identity.application)
        self.writable = Writable(journal, requests=settings.upstream_name != SIMULATOR)
        self.session = NodeSession(settings, identity.registration("", 0), self._on_hint)
        self.ownership = owned = Ownership(self.session, settings.timing, clock)
        self.recorder = recorder = Recorder(owned, journal)
        of = self.in_force.of
        common = Common(settings, identity, journal, owned, recorder, self.session, clock, of)
        remote = _remote_of(common)
        self.upstream = remote.upstream

        # Incoming, from its end: webhook <- feed <- receipts <- downloads.
        self.feed = CallbackFeed(owned, journal, recorder, of, settings, clock)
        self.receipts = receipts = Receipts(owned, journal, recorder, self.feed, remote.acks)
        self.media = MediaWork(settings, identity.application, of, owned, receipts, remote.contents)

        # Outgoing, from its end: upstream <- sender (attachments) <- appender <- link.
        self.claims = Claims(owned, self.upstream, clock)
        own, parked = (receipts, self.media.attachments, self.claims), settings.pending_seconds
        self.end = end = remote.end(SenderParts(owned, journal, recorder, *own, clock, parked))
        self.sender = end.sender
        self.appender = appender = Appender(owned, journal, recorder, self.sender)
        self.asides = Asides(owned, journal, recorder, self.sender.backlog, appender.queues)
        self.credential = Credential(identity.incarnation.hex, self.session.publish)
        self.relay = Relay(partial(find_address, self._aside.fetch), self.credential)
        self.link = LinkServer(self._link_key, self.appender, self.relay, end.statuses)

        # Whatever the upstream says begins here: answers for the sender, events for downloads.
        downloads = self.media.downloads
        self.hearing = UpstreamListener(owned, self.claims, downloads, receipts, self.sender)

        # A slot opens and closes from the end of each pipeline to its beginning: whoever passes
        # something on finds the next part ready.
        self.quiesce, self.openings = Quiesce(owned, recorder, journal), self._make_openings()
        owned.listeners = (
            *(self.quiesce, self.feed, self.claims, self.asides, self.sender),
            *(self.media.attachments, downloads, *end.listeners, self.appender, self.openings),
        )
        self.watch = Watch(owned, (self.sender, self.asides, self.feed))
        self.retention = self._make_retention()
        self.following, self.beat_count = self._make_following(), BeatCount(settings.beat, boottime)
        self.beats = self._make_beats(
            *(Signs(notifier, owned), self.quiesce, self.asides, self.appender, self.sender),
            *(self.following, self.beat_count),
        )

    async def start(self) -> None:
        """Listen, register and wire; then ``tasks`` run the process."""
        host, port = self._settings.coreapp_hostname, self._settings.link_port
        shown = None if is_loopback(host) else self.credential.certificate
        if shown is not None:
            self.callers = Callers(shown, self._read_certificates)
        try:
            taken = await self.link.start(host, port, self.callers)
        except OSError as error:
            raise CommandError(not_taken(error, port, host, _LISTENS)) from error
        self.session.register_as(
            self._identity.registration(host, taken, link_key=self._link_key, certificate=shown)
        )

    def tasks(self) -> list[asyncio.Task[None]]:
        work = {
            "alive": signs_of_life(self._notifier),
            "beats": self.beats.run(),
            "quiesce": self.quiesce.run(),
            "writable": self.writable.run(),
            "append": self.appender.run(),
            "record": self.recorder.run(),
            "events": self.receipts.run(),
            "upstream": self.upstream.run(self.hearing),
            "parked": self.watch.run(),
            "callbacks": self.feed.run(),
            "settings": self.following.run(),
            "prune": self.retention.run(),
            "openings": self.openings.run(),
            "media": self.media.run(),
            "late media": self.media.late.run(),
            **({"callers": self.callers.run()} if self.callers is not None else {}),
            **self.end.work(self.hearing),
        }
        return [asyncio.create_task(coroutine, name=name) for name, coroutine in work.items()]

    async def stop(self, tasks: list[asyncio.Task[None]]) -> None:
        """Hand over all slots, then close everything."""
        await self.beats.leave()
        await self.relay.close()
        await self.link.stop()
        await self.upstream.close()
        await self.media.close()
        await self.end.close()
        await cancel(tasks)
        self.session.terminate()
        await self.journal.close()
        await self._aside.close()

    async def _read_certificates(self) -> list[bytes]:
        await self.session.registered.wait()
        return await read_certificates(self.session.fetch)

    def _make_openings(self) -> Openings:
        return Openings(self._aside.fetch, self._identity.incarnation, self._clock)

    def _make_retention(self) -> Retention:
        return Retention(
            self.ownership,
            self.journal,
            self._aside.fetch,
            self.in_force.now,
            self._settings.retention_days,
            self._settings.letters_days,
        )

    def _make_following(self) -> SettingsFollower:
        collectors, level = (self.retention.collect, self.media.collect), self._settings.log_level
        followed = CoreappSettings(self._aside.fetch, self.in_force, self.feed, collectors, level)
        return SettingsFollower(followed.adopt)

    def _make_beats(self, *listeners: BeatListener) -> Beats:
        timing, pending = self._settings.timing, self._settings.pending_seconds
        simulated = self._settings.upstream_name == SIMULATOR
        moves = Moves(
            self.ownership,
            self.journal,
            self.recorder,
            timing,
            self._clock,
            pending,
            issues=self.end.issues,
        )
        return Beats(
            self.session,
            self.ownership,
            moves,
            self.upstream,
            self.writable,
            timing,
            self._clock,
            listeners,
            None if simulated else self.quiesce,
        )

    def _on_hint(self, what: str) -> None:
        self.end.hint(what)
        if what in (NODES, LOST) and self.callers is not None:
            self.callers.wake()
        if what == LETTERS:
            self.feed.letters.look_soon()
        elif what != LINK_GONE:  # LINK_GONE is for masters
            self.ownership.wake()


def _remote_of(common: Common) -> Remote:
    # Either loads what the other need not.
    if common.settings.upstream == "cloud":
        from warouter.node.end_cloud import CloudRemote

        return CloudRemote(common)
    from warouter.node.end_simulator import SimulatorRemote

    return SimulatorRemote(common)


class Signs:
    """Tells the service manager with the first beat that we are ready, and later what we own."""

    def __init__(self, notifier: Notifier, ownership: Ownership) -> None:
        self._notifier = notifier
        self._ownership = ownership
        self._ready = False
        self._shown = ""

    def beaten(self, _beat: Beat) -> None:
        if not self._ready:
            self._ready = True
            self._notifier.ready("secondary")  # only now do masters know of it
        slots = self._ownership.slots
        shown = f"primary, {len(slots)} slots" if slots else "secondary"
        if shown != self._shown:
            self._shown = shown
            self._notifier.status(shown)


async def main(settings: Settings, stop: asyncio.Event, notifier: Notifier) -> None:
    """Run a coreapp until ``stop``, then drain and hand over."""
    identity = ProcessIdentity(settings, "coreapp")
    await check_database(settings, identity)
    coreapp = Coreapp(settings, identity, notifier)
    await coreapp.media.try_out()
    await coreapp.start()
    figures = CoreappFigures(coreapp)
    record = coreapp.feed.callbacks.record
    reporter = Reporter(coreapp.session, identity, figures.samples, figures.state, record)
    tasks = [*coreapp.tasks(), asyncio.create_task(reporter.run(), name="reports")]
    age, problem = (lambda: coreapp.session.beat_age), (lambda: coreapp.writable.problem)
    with health_of(identity, notifier, age, problem=problem):
        try:
            await run_until(stop, tasks)
        finally:
            notifier.stopping()
            await reporter.close()
            await coreapp.stop(tasks)
