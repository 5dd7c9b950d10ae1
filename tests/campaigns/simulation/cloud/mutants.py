"""The product without a rule of the Cloud API's crash protocol: each must be missed by a judge.

The names say what is taken out; D1 to D21 are the rows of the specification's table that test it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any, NamedTuple

from tests.campaigns.simulation.cloud import faults as kinds
from tests.campaigns.simulation.cloud.meta import Way
from tests.campaigns.simulation.cloud.world import CloudWorld
from tests.campaigns.simulation.faults import Faults, Kind
from tests.harness.mutants import Changes
from warouter.cluster import plan
from warouter.flow import doubt
from warouter.flow.doubt import Policy, State, Verdict
from warouter.flow.issues import Issue
from warouter.flow.lanes import Lanes
from warouter.flow.progress import Took
from warouter.flow.windows import Wait
from warouter.owner.cloud import doubts, drain
from warouter.owner.cloud.doubts import Doubts
from warouter.owner.cloud.endings import Endings
from warouter.owner.cloud.proving import Proving
from warouter.owner.cloud.quiesce import Quiesce
from warouter.owner.cloud.requests import Requests
from warouter.owner.cloud.rules import RuleBook
from warouter.owner.cloud.unmatched import Unmatched
from warouter.owner.ownership import Ownership
from warouter.store.journal.issues import Issues
from warouter.store.journal.messages import Messages
from warouter.upstream.cloud.answers import Class, Judged
from warouter.upstream.cloud.graph.client import CloudUpstream
from warouter.upstream.cloud.graph.exchange import Exchanged, Outcome

LATE = Way(mean=0.3, late=0.5)  # half of the statuses come after the window
SLOW = Way(mean=5.0)
LOST = Way(mean=0.3, lost=1.0)


class Mutant(NamedTuple):
    """What is taken out, the invariants of which it must break one, and how it is simulated.

    ``threats`` are the faults. ``policy`` and ``way`` are the run's, ``first`` is a seed that found
    it once. ``spoil`` takes a rule out of what is modelled and not run: SQL, sockets, the service
    manager. ``moves``: nothing but planned moves happens; ``once``: nothing may be taken twice.
    ``full``: with the product's own limits, and the waits for what Meta holds back.
    """

    changes: Changes
    breaks: tuple[str, ...]
    threats: tuple[Kind, ...]
    policy: str = "resend"
    way: Way | None = None
    first: int = 0
    spoil: Callable[[CloudWorld], None] = lambda _world: None
    moves: bool = False
    once: bool = False
    held: bool = False
    full: bool = False


# Faults that only these need.


def hold_all(faults: Faults, random: Random) -> bool:
    """All webhooks wait for longer than a window; some answers are lost just before."""
    world: Any = faults.world
    meta, clock = world.upstream, world.clock
    meta.drops_taken = 0.5
    faults.ends(2.0, setattr, meta, "drops_taken", 0.0)
    meta.webhooks.hold()
    clock.at(clock.now + 2.5 * world.spans.base, meta.webhooks.let_go)
    return True


def stand_still_long(faults: Faults, random: Random) -> bool:
    """Longer than a window: whoever wakes then sends what was sent again meanwhile."""
    world: Any = faults.world
    world.upstream.freezing = 1.5 * world.spans.base
    return True


def drop_and_linger(faults: Faults, random: Random) -> bool:
    """Answers are lost, and requests are taken at the end of their time."""
    world: Any = faults.world
    meta = world.upstream
    meta.lingering = 1.0
    faults.ends(4.0, setattr, meta, "lingering", 0.0)
    clock = world.clock
    for n in range(8):
        clock.at(clock.now + 0.5 * n, meta.disconnect, 1.0)
    return True


def leave_in_peace(faults: Faults, random: Random) -> bool:
    """A coreapp is told to stop, and has the time that it needs."""
    world: Any = faults.world
    name = random.choice(world.coreapps)
    world.tell_to_stop(name)
    world.clock.at(world.clock.now + 12.0, world.start, name)
    return True


def tell_at_the_window(faults: Faults, random: Random) -> bool:
    """The statuses of messages without an answer come just as their windows end."""
    world: Any = faults.world
    meta = world.upstream
    meta.late_for_lost, meta.drops_taken = random.uniform(0.9, 1.1) * world.spans.base, 0.7
    faults.ends(5.0, setattr, meta, "late_for_lost", 0.0)
    faults.ends(5.0, setattr, meta, "drops_taken", 0.0)
    return True


def tell_behind_a_throttle(faults: Faults, random: Random) -> bool:
    """They come while what is to be sent again has to wait for the rate."""
    world: Any = faults.world
    meta, clock = world.upstream, world.clock
    tell_at_the_window(faults, random)
    meta.late_for_lost = 1.3 * world.spans.base
    clock.at(clock.now + 0.9 * world.spans.base, setattr, meta, "throttle", 0.9)
    clock.at(clock.now + 2.0 * world.spans.base, setattr, meta, "throttle", 0.0)
    return True


_KILLS = (Faults.kill_coreapp, kinds.kill_its_successor)
_RARE_READINGS: Changes = [(drain, "BUSY_SECONDS", 4.0), (drain, "REST_SECONDS", 4.0)]
_UNCLEAR = (kinds.drop_taken, kinds.answer_unclearly, kinds.drop_untaken)
_MOVES = (Faults.set_shards, leave_in_peace, Faults.set_shards)


async def _nothing_issued(_self: object, *_: object) -> dict[int, Any]:
    return {}


async def _at_once(_self: Quiesce, _within: float) -> None:
    """Nobody is waited for."""


async def _issued(self: Messages, owned: Any, rows: Any, issued: Sequence[Any]) -> Any:
    exceptions = await self.append(owned, rows)
    return exceptions, not exceptions


def _no_doubt(cls: Class, of: Callable[[Any], bool]) -> Any:
    """``CloudUpstream._judge`` that takes some unclear ends for clear ones."""
    judge = CloudUpstream._judge

    def judged(self: CloudUpstream, *given: Any) -> Judged:
        found: Judged = judge(self, *given)
        exchanged = next(one for one in given if isinstance(one, Exchanged))
        if found.cls is Class.DOUBT and of(exchanged):
            return Judged(cls, 1011, wait_ms=1, wamid=f"wamid.{id(exchanged)}")
        return found

    return judged


def _cut(exchanged: Any) -> bool:
    return exchanged.outcome is Outcome.UNKNOWN


def _answered(exchanged: Any) -> bool:
    return exchanged.outcome is Outcome.ANSWERED


def _heard_in_doubt_only(self: Endings, slot: Any, took: Took, by: str) -> None:
    issue = slot.issues.get(bytes.fromhex(took.id))
    if issue is None or issue.state in (State.DOUBT, State.HELD):
        _evidence(self, slot, took, by)


def _opened_with_the_end(self: Endings, slot: Any, issue: Issue, _now: float) -> None:
    _shut(self, slot, issue, 1e12)


def _resent(given: Any, rule: Any, fence: float) -> Verdict:
    return _verdict(given, rule._replace(policy=Policy.RESEND), fence)


def _of_closed_epochs(self: CloudUpstream, post: Any, judged: Judged, *more: Any) -> None:
    slot = self._answers._ownership.slots.get(post.slot)  # type: ignore[attr-defined]
    if slot is not None and slot.epoch == post.epoch:
        _ended(self, post, judged, *more)


def _unlooking(world: CloudWorld) -> None:
    world.tables.issues.looks = False


def _unwatched(world: CloudWorld) -> None:
    world.watchdogs = False


def _unlingering(world: CloudWorld) -> None:
    world.upstream.lingers = False


_evidence, _shut, _verdict = Endings.evidence, Endings.shut_until_fence, doubt.verdict
_ended = CloudUpstream._ended

MUTANTS = {
    # D1, D12
    "no issue row": Mutant(
        [(Issues, "issue", _nothing_issued), (Messages, "append_issued", _issued)], ("I6",), _KILLS
    ),
    "no window": Mutant(
        [(doubt, "_window_over", lambda *_: True)], ("I6", "I7"), (*_KILLS, *_UNCLEAR)
    ),
    "lane opened before the settlement is on disk": Mutant(
        [(Lanes, "withdraw", lambda self, _to, message_id: self.answered(message_id))],
        ("I7",),
        _KILLS,
    ),
    # D2, D3, D7
    "a cut connection is no doubt": Mutant(
        [(CloudUpstream, "_judge", _no_doubt(Class.NOT_TAKEN, _cut))],
        ("I6",),
        (kinds.drop_taken,),
        way=SLOW,
    ),
    "a cut connection is taken": Mutant(
        [(CloudUpstream, "_judge", _no_doubt(Class.TAKEN, _cut))], ("I1", "I5"), _UNCLEAR
    ),
    "an unclear answer is no doubt": Mutant(
        [(CloudUpstream, "_judge", _no_doubt(Class.NOT_TAKEN, _answered))],
        ("I6",),
        (kinds.answer_unclearly,),
        way=SLOW,
    ),
    # D4
    "fail that sends again": Mutant(
        [(doubts, "verdict", _resent)],
        ("I6",),
        (kinds.drop_taken, kinds.hold_evidence),
        policy="fail",
        way=LATE,
    ),
    # D4b, D17
    "no proof of the way of webhooks": Mutant(
        [(Proving, "proven", lambda _self, _since: True)],
        ("I6",),
        (hold_all,),
        way=Way(),
        once=True,
        full=True,
    ),
    # D5
    "failures without a reference are nobody's": Mutant(
        [(Unmatched, "look", _nothing_issued)],
        ("I8",),
        (kinds.drop_taken,),
        way=Way(mean=0.05, failed=1.0, bare=1.0),
    ),
    # D8
    "no look at the deadline": Mutant(
        [(Ownership, "may_act", lambda self, slot: slot in self.slots)],
        ("I3", "I12", "I14", "I6"),
        (Faults.pause_coreapp, Faults.busy_cut, kinds.stand_still),
        spoil=_unwatched,
    ),
    "no watchdog": Mutant([], ("I6", "I7"), (stand_still_long,), spoil=_unwatched),
    # D9
    "nothing is quiet first": Mutant(
        [
            (plan, "not_quiet", lambda *_, **__: False),
            (Quiesce, "quieted", _at_once),
            (Quiesce, "_set", lambda _self, _slot: None),
        ],
        ("I12",),
        _MOVES,
        moves=True,
    ),
    "marks are not taken back": Mutant(
        [(Requests, "take_back", lambda _self, _slot: None)],
        ("I12",),
        _MOVES,
        first=80,
        moves=True,
    ),
    # D10
    "one window for all": Mutant(
        [(RuleBook, "_wait", lambda self, body: Wait.ORDINARY)],
        ("I6",),
        (kinds.drop_taken,),
        way=Way(),
        once=True,
        held=True,
        full=True,
    ),
    # D13
    "the attempt is forgotten": Mutant(
        [(Issue, "next_attempt", property(lambda self: 1))], ("I6",), (*_KILLS, *_UNCLEAR)
    ),
    # D14
    "no look at the issue": Mutant(
        [(Doubts, "_drained", lambda *_: True), *_RARE_READINGS],
        ("I6",),
        (tell_at_the_window,),
        spoil=_unlooking,
    ),
    "evidence is heard in doubt only": Mutant(
        [(Endings, "evidence", _heard_in_doubt_only)],
        ("I6",),
        (tell_behind_a_throttle,),
        first=9,
        spoil=_unlooking,
    ),
    # D15
    "the lane opens with the end": Mutant(
        [(Endings, "shut_until_fence", _opened_with_the_end)], ("I7",), (drop_and_linger,), first=15
    ),
    "what was issued expires plainly": Mutant(
        [(doubts, "EXPIRED", (410, "Message expired", "never sent"))],
        ("I5",),
        (kinds.drop_taken, drop_and_linger),
    ),
    # D18
    "linger is set at the abort only": Mutant(
        [], ("I6",), (kinds.kill_behind_a_cut,), first=22, spoil=_unlingering, way=Way()
    ),
    # D21
    "answers of a closed epoch are dropped": Mutant(
        [(CloudUpstream, "_ended", _of_closed_epochs)],
        ("I6",),
        (Faults.unknown_outcome,),
        way=LOST,
        first=3,
        once=True,
    ),
}
