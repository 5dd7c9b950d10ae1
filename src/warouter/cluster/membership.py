"""Judges which processes are alive, from beats and sessions, on the leader's own clock.

An incarnation is dead when all its database sessions are gone in two polls one after the other,
and dead when its beat has not changed for a lease. Silence is counted only while the leader's own
polls are answered: a leader that was itself away has learned nothing about the others meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from enum import StrEnum
from uuid import UUID

import msgspec

from warouter.cluster.shardmap import SIMULATOR
from warouter.cluster.trouble import (
    JOURNAL,
    LASTED,
    UNREACHABLE,
    UPSTREAM,
    Trouble,
    reported,
)

# A name whose incarnations keep dying is trusted again only after this doubling of the join time.
MAX_DISTRUST = 5
FORGIVE_SECONDS = 120.0


class Liveness(StrEnum):
    HEALTHY = "healthy"
    SUSPECT = "suspect"
    DEAD = "dead"


class Node(msgspec.Struct, frozen=True):
    """The content of a node's row and beat. ``counter`` is None before the first beat.

    ``unreached`` are the coreapps that a webapp has no link to; ``journal_ok``: a coreapp can
    write its journals; ``upstream`` is the one that it is set to.
    """

    incarnation: UUID
    name: str
    role: str
    counter: int | None = None
    leaving: bool = False
    upstream_ok: bool = True
    unreached: frozenset[UUID] = frozenset()
    journal_ok: bool = True
    upstream: str = SIMULATOR


class Member(msgspec.Struct, frozen=True):
    """The judgement on one incarnation; ``silence`` and ``healthy_for`` are in seconds.

    ``joined``: healthy for long enough to be given shards unasked. ``trusted``: its name has not
    died more than once lately, so it may be given shards at once when somebody asks for them.
    ``trouble``: why a coreapp that lives shall own nothing (see cluster.trouble), else empty;
    ``ailing``: it may come to that.
    """

    node: Node
    verdict: Liveness
    silence: float
    healthy_for: float
    joined: bool
    trusted: bool = True
    trouble: str = ""
    ailing: bool = False


class _Track:
    __slots__ = ("counter", "healthy_since", "silence", "without_session")

    def __init__(self, counter: int | None, now: float) -> None:
        self.counter = counter
        self.silence = 0.0
        self.healthy_since = now
        self.without_session = 0  # polls in a row


class Membership:
    """Observations over time: feed it every answered poll; it returns the judgements.

    ``most`` is how many seconds one gap between two polls may add to a silence.
    """

    def __init__(self, lease: float, most: float, join: float) -> None:
        self._lease = lease
        self._most = most
        self._join = join
        self._tracks: dict[UUID, _Track] = {}
        self._last_poll: float | None = None  # when the last look had ended
        self._server: object = None
        self._grace_until = float("-inf")
        self._deaths: dict[str, list[float]] = {}
        self._dead: set[UUID] = set()
        self._troubles = {kind: Trouble(lasted, join) for kind, lasted in LASTED.items()}

    @property
    def doubtful(self) -> bool:
        """True if a node had no session in the last poll: poll again soon."""
        return any(track.without_session == 1 for track in self._tracks.values())

    def observe(
        self,
        began: float,
        now: float,
        nodes: Mapping[UUID, Node],
        sessions: Set[UUID],
        server: object,
    ) -> dict[UUID, Member]:
        """Judge after one answered poll that ``began`` and ended at ``now``.

        A silence grows only by the time between polls, so a slow look never shortens a lease.
        ``sessions`` are the incarnations that have at least one database session; ``server``
        identifies the run of PostgreSQL (start time, timeline): when it changes, all sessions
        vanish together, so everybody gets one more lease, and time to connect again.
        """
        gap = 0.0 if self._last_poll is None else min(began - self._last_poll, self._most)
        self._last_poll = now
        if server != self._server:
            restarted, self._server = self._server is not None, server
            if restarted:
                self._grace_until = now + self._lease
                for track in self._tracks.values():
                    track.silence = 0.0
                for trouble in self._troubles.values():
                    trouble.excuse()
        for gone in self._tracks.keys() - nodes.keys():
            del self._tracks[gone]
            self._dead.discard(gone)
        for node in nodes.values():
            self._update(node, node.incarnation in sessions, gap, now)
        shared = self._silent_together(nodes)
        judged = {inc: self._judge(node, shared, now) for inc, node in nodes.items()}
        self._look_for_trouble(judged, gap)
        return judged

    def _look_for_trouble(self, judged: dict[UUID, Member], gap: float) -> None:
        living = [m.node for m in judged.values() if m.verdict is not Liveness.DEAD]
        coreapps = {n.incarnation for n in living if n.role == "coreapp"}
        reports = {n.incarnation: n.unreached for n in living if n.role == "webapp"}
        ailing = {
            UNREACHABLE: reported(reports),
            UPSTREAM: {n.incarnation for n in living if not n.upstream_ok},
            JOURNAL: {n.incarnation for n in living if not n.journal_ok},
        }
        for kind, trouble in self._troubles.items():
            trouble.observe(gap, coreapps, ailing[kind])
            for inc in trouble.counted | trouble.ailing:
                counted = kind if inc in trouble.counted else ""
                judged[inc] = msgspec.structs.replace(
                    judged[inc], trouble=judged[inc].trouble or counted, ailing=True
                )

    def _update(self, node: Node, has_session: bool, gap: float, now: float) -> None:
        track = self._tracks.get(node.incarnation)
        if track is None:
            track = self._tracks[node.incarnation] = _Track(node.counter, now)
        elif node.counter != track.counter:
            track.counter, track.silence = node.counter, 0.0
        else:
            track.silence += gap
        track.without_session = 0 if has_session else track.without_session + 1

    def _silent_together(self, nodes: Mapping[UUID, Node]) -> bool:
        """True if more than half of the living fell silent at once:
        then the database is suspected, not them.
        """
        living = [inc for inc in nodes if inc not in self._dead]
        silent = sum(1 for inc in living if self._tracks[inc].silence >= self._lease)
        return len(living) > 2 and silent * 2 > len(living)

    def _judge(self, node: Node, shared: bool, now: float) -> Member:
        track = self._tracks[node.incarnation]
        limit = self._lease * (2 if shared else 1)
        gone = track.without_session >= 2 and now >= self._grace_until
        if gone or track.silence >= limit:
            verdict = Liveness.DEAD
        elif track.silence >= self._lease / 2:
            verdict = Liveness.SUSPECT
        else:
            verdict = Liveness.HEALTHY
        self._note(node, verdict, now)
        healthy_for = now - track.healthy_since if verdict is not Liveness.DEAD else 0.0
        trial = self._trial(node)
        return Member(
            node, verdict, track.silence, healthy_for, healthy_for >= trial, trial <= self._join
        )

    def _note(self, node: Node, verdict: Liveness, now: float) -> None:
        if verdict is Liveness.DEAD:
            self._tracks[node.incarnation].healthy_since = now
            if node.incarnation not in self._dead:
                self._dead.add(node.incarnation)
                if node.leaving:
                    return  # the process said that it leaves: no crash
                deaths = self._deaths.setdefault(node.name, [])
                deaths[:] = [at for at in deaths if now - at < FORGIVE_SECONDS] + [now]
        elif node.incarnation in self._dead:
            self._dead.discard(node.incarnation)
            self._tracks[node.incarnation].healthy_since = now

    def _trial(self, node: Node) -> float:
        """Seconds of health before it is trusted: doubled by each recent death but the first."""
        deaths = len(self._deaths.get(node.name, ()))
        return self._join * float(1 << min(max(deaths - 1, 0), MAX_DISTRUST))
