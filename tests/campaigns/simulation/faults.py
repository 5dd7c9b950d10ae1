"""What goes wrong in a run: drawn by seed, each with its end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import Any
from uuid import UUID

from tests.campaigns.simulation.network import Link
from tests.campaigns.simulation.server import DOUBTS, Trouble
from tests.campaigns.simulation.upstream import WAITS
from warouter.store.journal import sessions

UNIT_STOP_SECONDS = 40.0  # TimeoutStopSec= of a coreapp
FIRST, LAST, HEALED = 2.0, 16.0, 20.0  # true seconds: of beginnings, and of the last end
SHARDS = (1, 2, 4, 8, 16, 32)
Kind = Callable[["Faults", Random], bool]  # whether there was something to hit
Plan = Iterable[tuple[float, Kind]]  # true seconds of their beginnings, ascending


def drawn(random: Random, count: int, kinds: Sequence[Kind]) -> Plan:
    """So many faults of these kinds."""
    for moment in sorted(random.uniform(FIRST, LAST) for _ in range(count)):
        yield moment, random.choice(kinds)


class Faults:
    """The faults of one run. ``healed`` is when the last of them is over."""

    def __init__(self, world: Any, random: Random, plan: Plan) -> None:
        self.world = world
        self.random = random
        self.healed = FIRST
        for moment, kind in plan:
            world.clock.at(moment, self._begin, kind, Random(random.getrandbits(64)))
            self.healed = max(self.healed, moment)
        self.healed = min(HEALED, self.healed + 6.0)

    def _begin(self, kind: Kind, random: Random) -> None:
        history = self.world.history
        history.note("fault", kind.__name__)
        history.faults[kind.__name__] += 1
        if kind(self, random):
            history.hits[kind.__name__] += 1

    def ends(self, seconds: float, heal: Callable[..., object], *arguments: Any) -> None:
        """The fault is over after so long, and in time."""
        when = min(self.world.clock.now + seconds, self.healed)
        self.world.clock.at(when, heal, *arguments)

    # processes

    def kill_coreapp(self, random: Random) -> bool:
        return self._kill(random.choice(self.world.coreapps), random)

    def pause_coreapp(self, random: Random) -> bool:
        """Shorter or longer than the lease."""
        lease = self.world.timing.lease
        seconds = random.choice((random.uniform(0.1, lease), random.uniform(lease, 2.2 * lease)))
        return self._pause(random.choice(self.world.coreapps), seconds)

    def kill_master(self, random: Random) -> bool:
        return self._kill(random.choice(self.world.masters), random)

    def pause_master(self, random: Random) -> bool:
        return self._pause(random.choice(self.world.masters), random.uniform(0.5, 6.0))

    def leave(self, random: Random) -> bool:
        """A coreapp is told to stop, and comes back."""
        name = random.choice(self.world.coreapps)
        hit = self._lives(name)
        self.world.tell_to_stop(name)
        self.ends(random.uniform(1.0, 6.0), self.world.start, name)
        return hit

    def power_off(self, random: Random) -> bool:
        """Several coreapps and a master are told to stop at once, as when their machine goes."""
        world = self.world
        names = random.sample(world.coreapps, len(world.coreapps) - 1)
        hit = any(self._lives(name) for name in names)
        for name in names:
            world.tell_to_stop(name)
            self._start_once_off(name, world.clock.now + UNIT_STOP_SECONDS)
        self.ends(random.random() * 0.3, self._kill, random.choice(world.masters), random)
        return hit

    def _start_once_off(self, name: str, until: float) -> None:
        """Look twice a second if it has stopped; what takes longer than ``until`` is killed."""
        clock = self.world.clock
        if self._lives(name) and clock.now < until:
            clock.at(clock.now + 0.5, self._start_once_off, name, until)
        else:
            self.world.start(name)

    def _lives(self, name: str) -> bool:
        process = self.world.processes.get(name)
        return process is not None and process.alive

    def _kill(self, name: str, random: Random) -> bool:
        hit = self._lives(name)
        self.world.kill(name)
        self.ends(random.uniform(0.1, 4.0), self.world.start, name)
        return hit

    def _pause(self, name: str, seconds: float) -> bool:
        if not self._lives(name):
            return False
        process = self.world.processes[name]
        process.loop.pause()
        self.ends(seconds, self.world.resume, process, self.world.clock.now)
        return True

    # links

    def cut_coreapp(self, random: Random) -> bool:
        """From the database, with the upstream reachable."""
        return self._cut(self.world.link(random.choice(self.world.coreapps), "database"), random)

    def cut_master(self, random: Random) -> bool:
        return self._cut(self.world.link(random.choice(self.world.masters), "database"), random)

    def cut_webapp(self, random: Random) -> bool:
        other = random.choice(("database", *self.world.coreapps))
        return self._cut(self.world.link(random.choice(self.world.webapps), other), random)

    def silent_upstream(self, random: Random) -> bool:
        return self._cut(self.world.link(random.choice(self.world.coreapps), "upstream"), random)

    def cut_owner_from_webapp(self, random: Random) -> bool:
        """From one of them: what it has for this owner goes through another coreapp."""
        return self._cut(
            self.world.link(random.choice(self.world.webapps), self.owner(random)), random
        )

    def cut_owner_from_webapps(self, random: Random) -> bool:
        """From all of them, one after the other; masters and the upstream hear it as before."""
        owner, seconds = self.owner(random), random.uniform(2.0, 6.0)
        links = [self.world.link(webapp, owner) for webapp in self.world.webapps]
        for link in links:
            self._block(link, random.random() * 0.3, seconds)
        return all(link.ends for link in links)

    def cut_owner_from_upstream(self, random: Random) -> bool:
        link = self.world.link(self.owner(random), "upstream")
        hit = bool(link.ends)
        self._block(link, 0.0, random.uniform(2.0, 6.0))
        return hit

    def freeze_upstream(self, random: Random) -> bool:
        """All coreapps lack it: none of them is in trouble for himself."""
        self.world.upstream.freeze()
        self.ends(random.uniform(0.5, 5.0), self.world.upstream.thaw)
        return True

    def slow_link(self, random: Random) -> bool:
        """From a coreapp or a master to the database; perhaps it is cut in the end."""
        name = random.choice((*self.world.coreapps, *self.world.masters))
        link = self.world.link(name, "database")
        link.slow = random.uniform(0.1, 1.0)
        seconds = random.uniform(2.0, 5.0)
        self.ends(seconds, setattr, link, "slow", 0.0)
        if random.random() < 0.6:
            clock = self.world.clock
            clock.at(
                min(clock.now + seconds * random.random(), self.healed), self._cut, link, random
            )
        return bool(link.ends)

    def busy_cut(self, random: Random) -> bool:
        """A coreapp is cut off or paused for longer than its lease, with much left to send."""
        upstream = self.world.upstream
        upstream.throttle = random.uniform(0.7, 1.0)
        upstream.waits = random.choice((WAITS, (300, 600, 900)))
        upstream.slowness = random.uniform(0.1, 1.0)
        seconds = self.world.timing.lease * random.uniform(1.0, 2.0)
        self.ends(seconds + 1.0, setattr, upstream, "throttle", 0.0)
        self.ends(seconds + 1.0, setattr, upstream, "slowness", 0.01)
        name = random.choice(self.world.coreapps)
        link = self.world.link(name, "database")
        clock = self.world.clock
        begins = clock.now + random.random() * 2
        if random.random() < 0.5:
            link.slow = random.uniform(0.3, 1.0)
            clock.at(begins, setattr, link, "slow", 0.0)
        if random.random() < 0.5:
            clock.at(begins, self._pause, name, seconds)
        else:
            clock.at(begins, link.block)
            self.ends(seconds + 2.0, link.unblock)
        return self._lives(name)

    def swizzle(self, random: Random) -> bool:
        """Clog several links one by one, and let them go in another order."""
        links = [self.world.link(c, "upstream") for c in self.world.coreapps]
        databases = (*self.world.coreapps, *self.world.masters)
        links += [self.world.link(name, "database") for name in databases]
        links += [self.world.link(w, c) for w in self.world.webapps for c in self.world.coreapps]
        chosen = random.sample(links, random.randint(2, min(5, len(links))))
        hit = any(link.ends for link in chosen)
        clock = self.world.clock
        for n, link in enumerate(chosen):
            clock.at(min(clock.now + 0.3 * n * random.random(), self.healed), link.block)
        random.shuffle(chosen)
        for link in chosen:
            self.ends(2.0 + random.uniform(0.0, 3.0), link.unblock)
        return hit

    def owner(self, random: Random) -> str:
        """The name of a coreapp that owns something, or else of any."""
        owners = set(self.world.tables.owners)
        processes = self.world.processes
        names = [c for c in self.world.coreapps if c in processes]
        owning = [c for c in names if processes[c].alive and processes[c].incarnation in owners]
        return random.choice(owning or self.world.coreapps)

    def _block(self, link: Link, after: float, seconds: float) -> None:
        clock = self.world.clock
        clock.at(min(clock.now + after, self.healed), link.block)
        self.ends(after + seconds, link.unblock)

    def _cut(self, link: Link, random: Random) -> bool:
        hit = bool(link.ends)
        link.block()
        self.ends(random.choice((random.uniform(0.1, 1.5), random.uniform(1.5, 6.0))), link.unblock)
        return hit

    # the database

    def unknown_outcome(self, random: Random) -> bool:
        """Answers of a coreapp or a master are lost; what they are about may be committed."""
        trouble = self._trouble(random, "unknown_outcome")
        trouble.doubts += [random.choice(DOUBTS) for _ in range(random.randint(1, 4))]
        self.ends(4.0, trouble.doubts.clear)
        return False  # until a statement meets it

    def late_statement(self, random: Random) -> bool:
        """Statements are executed so late that their caller may have given up."""
        trouble = self._trouble(random, "late_statement")
        patience = sessions.WRITE_SECONDS * random.uniform(1.0, 1.15)
        trouble.late += [
            random.choice((patience, random.uniform(0.2, 4.0))) for _ in range(random.randint(1, 4))
        ]
        self.ends(4.0, trouble.late.clear)
        return False  # until a statement meets it

    def restart_database(self, random: Random) -> bool:
        """Restarted, or a standby promoted that lacks nothing."""
        if not self.world.server.up:
            return False
        self.world.server.stop()
        promoted = random.random() < 0.3
        self.ends(random.uniform(0.05, 2.0), start_server, self.world.server, promoted)
        return True

    def stall_database(self, random: Random) -> bool:
        self.world.server.stall()
        self.ends(random.uniform(0.5, 2.5), self.world.server.unstall)
        return True

    def _trouble(self, random: Random, kind: str) -> Trouble:
        name = random.choice((*self.world.coreapps, *self.world.coreapps, *self.world.masters))
        troubles: dict[str, Trouble] = self.world.server.troubles
        trouble = troubles.setdefault(name, Trouble())
        trouble.only = random.choice(("", "append_messages"))
        trouble.unmet.add(kind)
        return trouble

    # the upstream and the receiver

    def disconnect_upstream(self, random: Random) -> bool:
        hit = self.world.upstream.disconnect(random.choice((0.5, 1.0)))
        if random.random() < 0.4:
            self.world.upstream.refuses += 1
            self.ends(random.uniform(0.5, 5.0), self._accept_again)
        return hit > 0

    def throttle(self, random: Random) -> bool:
        self.world.upstream.throttle = random.uniform(0.2, 0.9)
        self.ends(random.uniform(1.0, 4.0), setattr, self.world.upstream, "throttle", 0.0)
        return True

    def refuse_callbacks(self, random: Random) -> bool:
        self.world.business.refuses = random.uniform(0.2, 1.0)
        self.ends(random.uniform(1.0, 4.0), setattr, self.world.business, "refuses", 0.0)
        return True

    def _accept_again(self) -> None:
        self.world.upstream.refuses -= 1

    # operators

    def set_shards(self, random: Random) -> bool:
        tables = self.world.tables
        if tables.request is not None:
            return False
        request, shards = UUID(int=random.getrandbits(128)), random.choice(SHARDS)
        tables.ask(request, shards)
        self.world.server.notify("shards")
        return bool(shards != tables.shards)

    def give_up_shards(self, random: Random) -> bool:
        """Asked for, and given up once a master has seen it: before it is begun, or just after."""
        tables, clock = self.world.tables, self.world.clock
        asked = self.set_shards(random)
        if tables.request is not None and tables.request[2] == "waiting":
            request, delay = tables.request[0], random.choice((0.0, random.uniform(0.0, 1.0)))
            tables.on_look = lambda: clock.at(clock.now + delay, tables.give_up, request)
        return asked

    def replay_letters(self, random: Random) -> bool:
        """Some events that were delivered turn out to be dead letters, and shall come again."""
        tables, history = self.world.tables, self.world.history
        settled = [
            (slot, kind, seq)
            for slot, kind, seq in sorted(history.delivered)
            if tables.events[slot][kind].settled(seq)
            and seq not in tables.events[slot][kind].parked
            and (slot, kind, seq) not in tables.asked
        ]
        for place in random.sample(settled, min(len(settled), random.randint(1, 8))):
            slot, kind, seq = place
            tables.asked[place] = tables.events[slot][kind].rows[seq]
            history.delivered.discard(place)
        self.world.server.notify("letters")
        return bool(settled)


def start_server(server: Any, promoted: bool) -> None:
    server.start(promoted=promoted)
