"""Judging by beats and sessions, on the leader's own clock."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from warouter.cluster.membership import Liveness, Member, Membership, Node

LEASE, POLL, JOIN = 1.5, 0.1, 3.0
A, B, C, X, Y, Z = (UUID(int=n) for n in range(1, 7))


class Watched:
    """A leader that polls every 100 ms; nodes beat every poll unless they are silent."""

    def __init__(self, *nodes: UUID, polls: int = 0) -> None:
        self.membership = Membership(LEASE, POLL * 3, JOIN)
        self.now = 100.0
        self.beats = dict.fromkeys(nodes, 0)
        self.sessions = set(nodes)
        self.server: object = "started once"
        self.name = "coreapp-{}"
        self.leaving = False
        self.webapps: dict[UUID, set[UUID]] = {}  # and what they report
        self.without_upstream: set[UUID] = set()
        self.without_journal: set[UUID] = set()
        self.polls(polls)

    def poll(self, *silent: UUID, gap: float = POLL) -> dict[UUID, Member]:
        self.now += gap
        for node in self.beats:
            self.beats[node] += node not in silent
        nodes = {
            n: Node(
                n,
                self.name.format(n.int),
                "webapp" if n in self.webapps else "coreapp",
                beat,
                self.leaving,
                upstream_ok=n not in self.without_upstream,
                unreached=frozenset(self.webapps.get(n, ())),
                journal_ok=n not in self.without_journal,
            )
            for n, beat in self.beats.items()
        }
        return self.membership.observe(self.now, self.now, nodes, self.sessions, self.server)

    def live_and_die(self, incarnation: UUID, *, politely: bool = False) -> None:
        """As the only one: a few polls, and its session is gone."""
        self.beats, self.sessions = {incarnation: 0}, {incarnation}
        self.polls(3)
        self.leaving, self.sessions = politely, set()
        self.polls(2)
        self.leaving = False

    def live(self, incarnation: UUID, polls: int) -> Member:
        self.beats, self.sessions = {incarnation: 0}, {incarnation}
        return self.polls(polls)[incarnation]

    def polls(self, count: int, *silent: UUID) -> dict[UUID, Member]:
        """What the last of them says."""
        judged: dict[UUID, Member] = {}
        for _ in range(count):
            judged = self.poll(*silent)
        return judged


def test_a_beating_process_is_healthy_and_joins_after_three_seconds() -> None:
    watched = Watched(A)
    assert watched.polls(5)[A].verdict is Liveness.HEALTHY
    assert not watched.poll()[A].joined
    assert watched.polls(30)[A].joined


def test_silence_of_a_lease_is_death_and_not_before() -> None:
    watched = Watched(A, B, C, polls=10)
    assert watched.polls(14, A)[A].verdict is Liveness.SUSPECT
    assert watched.polls(2, A)[A].verdict is Liveness.DEAD


def test_no_session_in_two_polls_is_death() -> None:
    watched = Watched(A, B, polls=10)
    watched.sessions.discard(A)
    assert watched.poll()[A].verdict is Liveness.HEALTHY
    assert watched.membership.doubtful
    judged = watched.poll()
    assert (judged[A].verdict, judged[B].verdict) == (Liveness.DEAD, Liveness.HEALTHY)


def test_a_gap_in_the_leaders_own_polls_kills_nobody() -> None:
    watched = Watched(A, B, C, polls=10)
    assert watched.poll(A, B, C, gap=60.0)[A].verdict is Liveness.HEALTHY


def test_a_restart_of_the_database_takes_all_sessions_and_kills_nobody() -> None:
    watched = Watched(A, B, C, polls=10)
    watched.sessions.clear()
    watched.server = "started again"
    assert {m.verdict for m in watched.poll(A, B, C).values()} == {Liveness.HEALTHY}
    watched.sessions.update((A, B))  # C does not come back
    judged = watched.polls(20, C)
    dead = {n for n, member in judged.items() if member.verdict is Liveness.DEAD}
    assert dead == {C}
    assert {judged[n].verdict for n in (A, B)} == {Liveness.HEALTHY}


def test_after_a_failover_of_the_database_who_connects_later_is_in_no_trouble() -> None:
    """C was first at the new primary, before anybody led there: that A and B were late as well is
    no sign of theirs.
    """
    watched = Watched(A, B, C, polls=10)
    watched.server = "promoted"
    watched.without_journal = {A, B}
    assert troubles(watched.polls(int(JOIN / POLL))) == {}
    assert set(troubles(watched.polls(13)).values()) == {"journal"}  # they cannot, and others can


def test_when_most_fall_silent_together_they_get_one_more_lease() -> None:
    watched = Watched(A, B, C, polls=10)
    judged = watched.polls(17, A, B)
    assert judged[A].verdict is Liveness.SUSPECT
    assert watched.polls(14, A, B)[A].verdict is Liveness.DEAD


def test_a_woken_process_is_healthy_and_has_to_join_anew() -> None:
    watched = Watched(A, B, C, polls=50)
    watched.polls(20, A)
    judged = watched.poll()
    assert judged[A].verdict is Liveness.HEALTHY
    assert not judged[A].joined


def test_a_name_that_keeps_dying_joins_more_slowly() -> None:
    watched = Watched()
    watched.name = "coreapp-crashing"
    for n in range(10, 13):
        watched.live_and_die(UUID(int=n))
    judged = watched.live(UUID(int=20), 40)
    assert not judged.joined
    assert not judged.trusted
    assert watched.polls(100)[UUID(int=20)].joined


def test_a_name_that_is_restarted_politely_is_trusted_at_once() -> None:
    """A rolling restart, round after round: who said that it leaves did not crash."""
    watched = Watched()
    watched.name = "coreapp-restarted"
    for n in range(10, 16):
        watched.live_and_die(UUID(int=n), politely=True)
    judged = watched.live(UUID(int=20), 35)
    assert judged.joined
    assert judged.trusted


def test_a_slow_look_never_shortens_a_lease() -> None:
    """A beat seen at the end of a look was not silent since the look began."""
    membership = Membership(LEASE, POLL * 3, JOIN)
    node = Node(A, "coreapp-1", "coreapp", 1)
    others = {n: Node(n, f"coreapp-{n.int}", "coreapp", 0) for n in (B, C)}
    for poll in range(8):
        began = poll * 0.2
        living = {i: Node(i, n.name, n.role, poll) for i, n in others.items()}
        nodes = {A: node, **living}
        judged = membership.observe(began, began + 0.19, nodes, {A, B, C}, "server")
    assert judged[A].silence < 0.2


def watched_by(*webapps: UUID) -> Watched:
    """Three coreapps that have joined, and webapps."""
    watched = Watched(A, B, C, *webapps)
    watched.webapps = {webapp: set() for webapp in webapps}
    watched.polls(40)
    return watched


def troubles(judged: dict[UUID, Member]) -> dict[UUID, str]:
    return {inc: m.trouble or "ailing" for inc, m in judged.items() if m.trouble or m.ailing}


N: set[UUID] = set()
# What is observed of whom, for how many polls, and who is in trouble then.
COURSES: dict[str, list[tuple[str, Any, int, dict[UUID, str]]]] = {
    "most webapps reach one not for a second, and then for long again": [
        ("webapps", {X: {A}, Y: N, Z: N}, 30, {}),  # one of three
        ("webapps", {X: {A}, Y: {A}, Z: N}, 10, {A: "ailing"}),
        ("webapps", {X: {A}, Y: {A}, Z: N}, 2, {A: "unreachable"}),
        ("webapps", {X: N, Y: {A}, Z: N}, 29, {A: "unreachable"}),
        ("webapps", {X: N, Y: {A}, Z: N}, 3, {}),
    ],
    "a report that does not last": [
        ("webapps", {X: {A}}, 8, {A: "ailing"}),
        ("webapps", {X: N}, 1, {}),
    ]
    * 10,
    "the webapps reach nobody, and do not come back in one instant": [
        ("webapps", {X: {A, B, C}, Y: {A, B, C}}, 40, {}),
        ("webapps", {X: {B}, Y: {B}}, 29, {}),
        ("webapps", {X: {B}, Y: {B}}, 15, {B: "unreachable"}),
    ],
    "one lacks the upstream": [
        ("without_upstream", {B}, 6, {B: "ailing"}),
        ("without_upstream", {B}, 2, {B: "upstream"}),
    ],
    "all lack the upstream, however they notice and recover": [
        ("without_upstream", {A}, 3, {A: "ailing"}),
        ("without_upstream", {A, B}, 3, {A: "ailing", B: "ailing"}),
        ("without_upstream", {A, B, C}, 3, {}),
        ("without_upstream", {A, C}, 3, {}),
        ("without_upstream", {C}, 3, {}),
        ("without_upstream", N, 3, {}),
    ],
    "one cannot write, and may come back for a while": [
        ("without_journal", {A}, 1, {A: "ailing"}),
        ("without_journal", {A}, 11, {A: "journal"}),
        ("without_journal", N, 20, {A: "journal"}),
        ("without_journal", N, 20, {}),
    ],
    "nobody can write, and they do not recover in one instant": [
        ("without_journal", {A, B, C}, 30, {}),
        ("without_journal", {B, C}, 20, {}),
    ],
}


@pytest.mark.parametrize("course", COURSES)
def test_troubles(course: str) -> None:
    observed, whom, *_ = COURSES[course][0]
    watched = watched_by(*(whom if observed == "webapps" else ()))
    for observed, whom, polls, expected in COURSES[course]:
        setattr(watched, observed, whom)
        assert troubles(watched.polls(polls)) == expected


def test_a_dead_webapp_reports_nothing() -> None:
    watched = watched_by(X, Y)
    watched.webapps[X] = watched.webapps[Y] = {A}
    watched.sessions -= {X, Y}
    assert troubles(watched.polls(40, X, Y)) == {}


def test_the_living_alone_share_a_trouble() -> None:
    watched = watched_by()
    watched.sessions.discard(C)
    watched.without_upstream = {A, B}
    assert troubles(watched.polls(40, C)) == {}


def test_a_leader_that_was_away_counts_nothing_of_it() -> None:
    watched = watched_by(X)
    watched.webapps[X] = {A}
    watched.poll()
    assert troubles(watched.poll(gap=60.0)) == {A: "ailing"}
