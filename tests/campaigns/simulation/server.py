"""PostgreSQL: sessions, and statements on their way in, under locks, and out again.

A client that has gone leaves a statement behind that may yet be executed; a session that dies
takes its statement with it, before its commit or after. What is late, lost or in doubt is drawn
from ``Trouble``, what fails from ``Failing``; there is one of each for a process.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from random import Random
from typing import Any
from uuid import UUID

from tests.campaigns.simulation.history import History
from tests.campaigns.simulation.journals import Refused
from tests.campaigns.simulation.locks import Locks, Transaction
from tests.campaigns.simulation.loop import Clock, Timer
from tests.campaigns.simulation.network import Pipe
from tests.campaigns.simulation.statements import Statement, find
from tests.campaigns.simulation.tables import Tables

# client_connection_check_interval: a running statement's client has gone; or that was lost as well.
NOTICED, UNNOTICED = 0.5, 3.0
DOUBTS = ("answer lost", "session dies after", "session dies before", "warned")
NO_ENTRY, NO_RIGHT, SHUTDOWN = "28000", "42501", "57P01"
# What a sound statement may fail with, whatever it is: rights, resources, deadlocks, disks, a
# standby in the place of the primary. Not among them: classes 22, 23 and 54, which blame the data.
FAILURES = (
    *("0A000", "25006", "40P01", "42501", "53100", "53200", "55P03", "57014", "58030", "XX000"),
)


class Trouble:
    """What is to befall the next statements of one process."""

    def __init__(self) -> None:
        self.late: list[float] = []  # so long they take to be executed
        self.doubts: list[str] = []  # of DOUBTS
        self.unmet: set[str] = set()  # faults that no statement has met yet
        self.only = ""  # the one kind of statement that it befalls; or whatever writes

    def befalls(self, statement: Statement) -> bool:
        return statement.writes and self.only in ("", statement.name)


class Failing:
    """Statements of one process that fail, and connections that are refused to it.

    ``share`` of its statements and connections fail, ``after`` of those that write once they are
    committed, with the end of their session. ``writes_only``: beats and what only reads are spared;
    ``only``: all but statements of these names are.
    """

    def __init__(
        self,
        share: float,
        states: tuple[str, ...],
        *,
        after: float = 0.0,
        writes_only: bool = False,
        refuses: str = "",
        only: Collection[str] = (),
    ) -> None:
        self.share = share
        self.states = states
        self.after = after
        self.writes_only = writes_only
        self.only = only
        self.refuses = refuses  # the state that a connection is refused with

    def befalls(self, statement: Statement) -> bool:
        if self.only:
            return statement.name in self.only
        return statement.changes or not self.writes_only


class Session:
    """One backend."""

    def __init__(
        self, server: Server, process: str, client: Any, back: Pipe, settings: dict[str, str]
    ) -> None:
        self.server = server
        self.process = process
        self.client = client
        self.back = back
        self.settings = settings
        name = settings["application_name"]
        self.incarnation = UUID(name[3:35]) if name.startswith("wa:") else None
        self.lock_timeout = _seconds(settings.get("lock_timeout", "0"))
        self.statement_timeout = _seconds(settings.get("statement_timeout", "0"))
        self.alive = True
        self.listens = False
        self.beats = False  # it is the one that says that its process lives
        self.run: Run | None = None
        back.link.ends[self] = None

    def holds_any(self, keys: set[int]) -> bool:
        transaction = self.run.transaction if self.run is not None else None
        held = transaction.wants[: transaction.held] if transaction else []
        return any(lock.key in keys for lock in held)

    def kill(self) -> None:
        """pg_terminate_backend, or the end of the server."""
        if self.alive:
            self.end()
            self.back.send(self.client.reset)

    def end(self) -> None:
        """The session is over; what it had not committed is not."""
        if not self.alive:
            return
        self.alive = False
        self.server.sessions.pop(self, None)
        self.back.link.ends.pop(self, None)
        if self.server.leader_lock is self:
            self.server.leader_lock = None
        if self.run is not None:
            self.run.abort()

    def receive(self, data: Any) -> None:
        """Statements come by ``Server.arrive``."""

    def reset(self) -> None:
        """The client is not heard of any more."""
        self.end()

    def client_gone(self) -> None:
        """The client has closed its end; an idle session ends at once."""
        if self.run is None:
            self.end()
        else:
            server = self.server
            within = NOTICED if server.draw() < 0.5 else UNNOTICED
            server.clock.at(server.clock.now + within * server.draw(), self.end)


class Run:
    """One statement in its session, from its arrival to its answer."""

    def __init__(self, session: Session, statement: Statement, arguments: tuple[Any, ...]) -> None:
        self.session = session
        self.server = session.server
        self.statement = statement
        self.arguments = arguments
        self.transaction: Transaction | None = None
        self.timers: list[Timer] = []
        session.run = self

    def begin(self) -> None:
        if self.session.run is not self:
            return  # the session died in the stall
        trouble = self.server.troubles.get(self.session.process)
        if trouble is not None and trouble.late and trouble.befalls(self.statement):
            self._bound()
            seconds = trouble.late.pop()
            self._meets(trouble, "late_statement")
            self.server.history.note("late", self.session.process, self.statement.name, seconds)
            self._after(seconds, self.lock)
        else:
            self.lock()

    def lock(self) -> None:
        if not self.statement.writes:
            self.execute()
            return
        assert self.statement.wants is not None
        wants = self.statement.wants(self.server.tables, self.arguments)
        self.transaction = Transaction(wants, self.locked)
        self.server.locks.acquire(self.transaction)
        if self.transaction is not None and self.transaction.waits:
            self._bound()
            if self.session.lock_timeout:
                self._after(self.session.lock_timeout, self._lock_late)

    def locked(self) -> None:
        """All locks are held; the commit may take a while."""
        least, most = self.server.slowest or (0.0, self.server.commit_seconds)
        if most and (self.statement.flushes(self.arguments) or not self.server.slowest):
            self._bound()
            self._after(least + (most - least) * self.server.draw(), self.execute)
        else:
            self.execute()

    def execute(self) -> None:
        """The moment of the commit."""
        if self.server.stalled:
            self.server.after_stall.append(self.execute)
            return
        if self.session.run is not self:
            return
        doubt = self._doubt()
        if doubt == "session dies before":
            self.session.kill()
            return
        failing = self._failure()
        if failing and failing != SHUTDOWN:
            self.fail(failing)
            return
        try:
            rows = self.statement.does(self.server, self.session, self.arguments)
        except Refused as refused:
            self.fail(refused.state)
            return
        if failing:
            self.fail(failing)
            self.session.kill()
            return
        self.finish()
        if doubt == "session dies after":
            self.session.kill()
        elif self.session.alive and doubt != "answer lost":
            self.session.back.send(self.session.client.answer, rows, doubt == "warned")

    def fail(self, state: str) -> None:
        if self.session.run is self:
            self.finish()
            self.session.back.send(self.session.client.failure, state)

    def abort(self) -> None:
        self.finish()

    def finish(self) -> None:
        self.session.run = None
        for timer in self.timers:
            timer.cancel()
        if self.transaction is not None:
            self.server.locks.release(self.transaction)
            self.transaction = None

    def _doubt(self) -> str:
        trouble = self.server.troubles.get(self.session.process)
        if trouble is None or not trouble.doubts or not trouble.befalls(self.statement):
            return ""
        doubt = trouble.doubts.pop()
        self._meets(trouble, "unknown_outcome")
        self.server.history.note("doubt", self.session.process, self.statement.name, doubt)
        return doubt

    def _failure(self) -> str:
        """The SQLSTATE that it fails with, if it does; SHUTDOWN: once it is committed."""
        failing = self.server.failing.get(self.session.process)
        if failing is None or not failing.befalls(self.statement):
            return ""
        draw = self.server.draw()
        if draw >= failing.share:
            return ""
        late = self.statement.writes and draw < failing.share * failing.after
        state = SHUTDOWN if late else failing.states[int(self.server.draw() * len(failing.states))]
        self.server.history.note("fails", self.session.process, self.statement.name, state)
        return state

    def _meets(self, trouble: Trouble, kind: str) -> None:
        if kind in trouble.unmet:
            trouble.unmet.discard(kind)
            self.server.history.hits[kind] += 1

    def _bound(self) -> None:
        if self.session.statement_timeout:
            self._after(self.session.statement_timeout, self.fail, "57014")

    def _lock_late(self) -> None:
        if self.transaction is not None and self.transaction.waits:
            self.fail("55P03")

    def _after(self, seconds: float, fn: Callable[..., object], *arguments: Any) -> None:
        clock = self.server.clock
        self.timers.append(clock.at(clock.now + seconds, fn, *arguments))


class Server:
    """The one PostgreSQL of the cluster."""

    name = "database"

    def __init__(self, clock: Clock, random: Random, history: History, tables: Tables) -> None:
        self.clock = clock
        self.draw = random.random
        self.history = history
        self.tables = tables
        self.locks = Locks()
        self.sessions: dict[Session, None] = {}
        self.troubles: dict[str, Trouble] = {}
        self.leader_lock: Session | None = None
        self.started = 1
        self.up = True
        self.stalled = 0
        self.after_stall: list[Callable[[], None]] = []
        self.commit_seconds = 0.0
        self.slowest: tuple[float, float] | None = None  # seconds of each flush, on a slow disk
        self.failing: dict[str, Failing] = {}  # by process
        self.ahead = 0.0  # seconds of its wall clock before the true time
        self.hints = 1.0  # how many of the notifications arrive

    def now(self) -> float:
        """What its wall clock says: it may be stepped."""
        return self.clock.now + self.ahead

    def incarnations(self) -> dict[UUID, None]:
        """Who has a session: pg_stat_activity."""
        return dict.fromkeys(s.incarnation for s in self.sessions if s.incarnation is not None)

    def accept(
        self, process: str, client: Any, back: Pipe, settings: dict[str, str]
    ) -> Session | None:
        """A new backend, unless the server is down or refuses this process."""
        if not self.up:
            return None
        session = Session(self, process, client, back, settings)
        self.sessions[session] = None
        return session

    def refusal(self, process: str) -> str:
        """The SQLSTATE that a connection of this process is refused with, if it is."""
        failing = self.failing.get(process)
        if not self.up or failing is None or not failing.refuses:
            return ""
        return failing.refuses if self.draw() < failing.share else ""

    def arrive(self, session: Session, sql: str, arguments: tuple[Any, ...]) -> None:
        """A statement has come; its client may have gone meanwhile."""
        if not session.alive:
            return
        run = Run(session, find(sql), arguments)
        if self.stalled:
            self.after_stall.append(run.begin)
        else:
            run.begin()

    def notify(self, what: str) -> None:
        """NOTIFY: a hint, which may be lost."""
        for session in self.sessions:
            if session.listens and (self.hints == 1.0 or self.draw() < self.hints):
                session.back.send(session.client.hint, what)

    def stall(self) -> None:
        self.stalled += 1

    def unstall(self) -> None:
        self.stalled -= 1
        if not self.stalled:
            waiting, self.after_stall = self.after_stall, []
            for go_on in waiting:
                go_on()

    def stop(self) -> None:
        """Every session ends, every transaction that is under way with it."""
        self.up = False
        for session in list(self.sessions):
            session.kill()

    def start(self, *, promoted: bool) -> None:
        """Up again, or a standby that has everything that was committed in its place."""
        self.started += 1
        self.tables.timeline += promoted
        self.up = True


def _seconds(text: str) -> float:
    if text.endswith("ms"):
        return float(text[:-2]) / 1000
    return float(text.removesuffix("s"))
