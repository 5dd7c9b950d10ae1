"""The product without a rule of the Cloud API's crash protocol: each must be missed by a judge.

The names say what is taken out. What no run can reach, as it is PostgreSQL's, has its mutant beside
the test of it (D19: ``tests/integration/test_cloud_webhooks.py``).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from tests.campaigns.simulation.cloud import faults as kinds
from tests.campaigns.simulation.cloud import number as numbers
from tests.campaigns.simulation.cloud import threats, without
from tests.campaigns.simulation.cloud.numbered import numbered
from tests.campaigns.simulation.cloud.world import CloudWorld
from tests.campaigns.simulation.faults import Faults, Kind
from tests.campaigns.simulation.nemeses import cannot_write, slow_commits
from tests.harness.mutants import Changes
from warouter.cluster import plan
from warouter.flow.doubt import machine, verdict
from warouter.flow.doubt.events import FailureReason
from warouter.flow.doubt.states import Issue
from warouter.flow.lanes import Lanes
from warouter.flow.windows import Wait
from warouter.link.offers import StatusOffers
from warouter.owner.cloud import drain, finds, hearsay, proving, requests
from warouter.owner.cloud.doubt_rules import RuleBook
from warouter.owner.cloud.doubts import Doubts
from warouter.owner.cloud.hearsay import Hearsay
from warouter.owner.cloud.issuer import Issuer
from warouter.owner.cloud.proving import Proving
from warouter.owner.cloud.rate.brake import Brake
from warouter.owner.cloud.rate.stop import NumberStop
from warouter.owner.cloud.readings import Readings
from warouter.owner.cloud.requests import Requests
from warouter.owner.cloud.straight_answers import StraightAnswers
from warouter.owner.ownership import Ownership
from warouter.owner.quiesce import Quiesce
from warouter.owner.receipts import Receipts
from warouter.store.cloud import receive
from warouter.store.journal.fitness import Fitness
from warouter.store.journal.issues import IssueRows
from warouter.store.journal.messages import Messages
from warouter.upstream.cloud.answers import Class
from warouter.upstream.cloud.graph.client import CloudUpstream

LATE = {"straggle": 0.5}  # half of the statuses come late
SLOW = {"spread_ms": 5000}
LOST = {"sent": 0.0, "delivered": 0.0, "read": 0.0}


class Mutant(NamedTuple):
    """What is taken out, the invariants of which it must break one, and how it is simulated.

    ``rows`` are those of the specification's table (7.6) that it stands for. ``threats`` are the
    faults. ``policy`` and ``way`` are the run's. ``spoil`` takes
    a rule out of what is modelled and not run: SQL, sockets, the service manager. ``moves``:
    nothing but planned moves happens; ``once``: nothing may be taken twice; ``prompt``: doubts end
    in time; ``spared``: nothing is held. ``full``: with the product's own limits, and the waits for
    what Meta holds back.
    """

    rows: str
    changes: Changes
    breaks: tuple[str, ...]
    threats: tuple[Kind, ...]
    policy: str = "resend"
    way: dict[str, Any] | None = None
    spoil: Callable[[CloudWorld], None] = lambda _world: None
    moves: bool = False
    once: bool = False
    prompt: bool = False
    held: bool = False
    full: bool = False
    spared: bool = False

    def whole(self) -> Mutant:
        """The same run of the product with all of its rules."""
        return self._replace(changes=[], spoil=lambda _world: None)


_KILLS = (Faults.kill_coreapp, kinds.kill_its_successor)
_RARE_READINGS: Changes = [(drain, "BUSY_SECONDS", 4.0), (drain, "REST_SECONDS", 4.0)]
# Evidence is late, as when no owner can be reached.
_BY_THE_INBOX: Changes = [(StatusOffers, "offer", without.offered_to_nobody)]
_UNCLEAR = (kinds.drop_taken, kinds.answer_unclearly, kinds.drop_untaken)
_MOVES = (Faults.set_shards, threats.leave_in_peace, Faults.set_shards)


MUTANTS = {
    "no issue row": Mutant(
        "D1 D12",
        [(IssueRows, "issue", without.nothing_issued), (Messages, "append_issued", without.issued)],
        ("I6",),
        _KILLS,
    ),
    "no window": Mutant(
        "D1", [(verdict, "over_at", lambda *_: -math.inf)], ("I6", "I7"), (*_KILLS, *_UNCLEAR)
    ),
    "lane opened before the settlement is on disk": Mutant(
        "D1",
        [(Lanes, "withdraw", lambda self, _to, message_id: self.answered(message_id))],
        ("I7",),
        _KILLS,
    ),
    "the lane of what expired opened before that is on disk": Mutant(
        "D15",
        [(Lanes, "expire", without.expired_in_memory)],
        ("I7",),
        (kinds.kill_a_token, *_KILLS),
    ),
    "begun before the row is on disk": Mutant(
        "D12",
        [(Issuer, "mark", without.begun_first), (Issuer, "finished", without.told_nobody)],
        ("I6",),
        (Faults.restart_database, Faults.unknown_outcome),
    ),
    "a cut connection is no doubt": Mutant(
        "D2",
        [(CloudUpstream, "_judge", without.no_doubt(Class.NOT_TAKEN, without.cut))],
        ("I6",),
        (kinds.drop_taken,),
        way=SLOW,
    ),
    "a cut connection is taken": Mutant(
        "D3",
        [(CloudUpstream, "_judge", without.no_doubt(Class.TAKEN, without.cut))],
        ("I1", "I5"),
        _UNCLEAR,
    ),
    "an unclear answer is no doubt": Mutant(
        "D7",
        [(CloudUpstream, "_judge", without.no_doubt(Class.NOT_TAKEN, without.answered))],
        ("I6",),
        (kinds.answer_unclearly,),
        way=SLOW,
    ),
    "fail that sends again": Mutant(
        "D4",
        [(machine, "verdict", without.resent)],
        ("I6",),
        (kinds.drop_taken, kinds.hold_evidence),
        policy="fail",
        way=LATE,
    ),
    "no proof of the way of webhooks": Mutant(
        "D4b",
        [(Proving, "proven_at", lambda _self, since: since)],
        ("I6",),
        (threats.hold_all,),
        way={},
        once=True,
        full=True,
    ),
    "what came before its id stays nobody's": Mutant(
        "D5",
        [],
        ("I8",),
        (slow_commits,),
        way={"spread_ms": 50, "failed": 1.0, "opaque": "not_failed"},
        spoil=without.unmatching,
    ),
    "statuses go by their number": Mutant(
        "D6",
        [(receive, "_row", without.by_its_number)],
        ("I8",),
        (kinds.drop_taken,),
        way={"respell": True},
    ),
    "no look at the deadline": Mutant(
        "D8",
        [(Ownership, "may_act", lambda self, slot: slot in self.slots)],
        ("I3", "I12", "I14", "I6"),
        (Faults.pause_coreapp, Faults.busy_cut, kinds.stand_still),
        spoil=without.unwatched,
    ),
    "no watchdog": Mutant(
        "D8", [], ("I6", "I7"), (threats.stand_still_long,), spoil=without.unwatched
    ),
    "nothing is quiet first": Mutant(
        "D9",
        [
            (plan, "not_quiet", lambda *_, **__: False),
            (Quiesce, "quieted", without.at_once),
            (Quiesce, "_set", lambda _self, _slot: None),
        ],
        ("I12",),
        _MOVES,
        moves=True,
    ),
    "marks are not taken back": Mutant(
        "D9", [(machine, "_freed", without.still_marked)], ("I12",), _MOVES, moves=True
    ),
    "who was refused is quiet": Mutant(
        "D9",
        [(Requests, "out", without.out_alone)],
        ("I12",),
        (threats.refuse_everybody, threats.leave_in_peace),
        moves=True,
    ),
    "one window for all": Mutant(
        "D10",
        [(RuleBook, "_wait", lambda self, body: Wait.ORDINARY)],
        ("I6",),
        (kinds.drop_taken,),
        way={},
        once=True,
        held=True,
        full=True,
    ),
    "one id for each message": Mutant(
        "D4 D11", [], ("I6",), (threats.tell_of_both,), way={}, spoil=without.one_id_each
    ),
    "the attempt is forgotten": Mutant(
        "D13",
        [(Issue, "next_attempt", property(lambda self: 1))],
        ("I6",),
        (*_KILLS, *_UNCLEAR),
    ),
    "no look at the issue": Mutant(
        "D14",
        [(Readings, "read_at", lambda *_: math.inf), *_RARE_READINGS],
        ("I6",),
        (threats.tell_at_the_window,),
        spoil=without.unlooking,
    ),
    "evidence is heard in doubt only": Mutant(
        "D14",
        [(Hearsay, "evidence", without.heard_in_doubt_only)],
        ("I6",),
        (threats.tell_behind_a_throttle,),
        spoil=without.unlooking,
    ),
    "the lane opens with the end": Mutant(
        "D15",
        [(Doubts, "failed", without.opened_with_the_end)],
        ("I7",),
        (threats.drop_and_linger,),
    ),
    "an operator holds at once": Mutant(
        "D15",
        [(hearsay, "OperatorAsked", without.held_at_once), *_BY_THE_INBOX],
        ("I7",),
        (threats.drop_and_linger,),
    ),
    "what was issued expires plainly": Mutant(
        "D15",
        [(machine, "EXPIRED", FailureReason(410, "Message expired", "never sent"))],
        ("I5",),
        (kinds.drop_taken, threats.drop_and_linger),
    ),
    "the window begins with the takeover": Mutant(
        "D16",
        [(finds, "_facts", without.from_the_takeover)],
        ("I15",),
        (threats.take_over_again,),
        prompt=True,
    ),
    "one event proves the way of webhooks": Mutant(
        "D17",
        [(proving, "way", without.proven_by_one_event)],
        ("I6",),
        (threats.nobody_listens,),
        way={},
        once=True,
        full=True,
    ),
    "no brake": Mutant(
        "I16", [(Brake, "in_vain", lambda *_, **__: False)], ("I16",), (threats.take_nothing_long,)
    ),
    "resends that find out use up attempts": Mutant(
        "I16",
        [(Issue, "counted", property(lambda self: self.doubts))],
        ("I5",),
        (threats.take_nothing_long,),
        spared=True,
    ),
    "a successor counts resends that found out": Mutant(
        "I16",
        [(finds, "_facts", without.counting_anew)],
        ("I5",),
        (threats.take_nothing_long, Faults.kill_coreapp),
        spared=True,
    ),
    "what is read with a proven message goes before its end is on disk": Mutant(
        "D15",
        [(Lanes, "end_unread", lambda _self, _entry: None), *_BY_THE_INBOX],
        ("I7",),
        (threats.tell_at_the_window, cannot_write),
    ),
    "all in doubt find out at once": Mutant(
        "I16",
        [
            (Brake, "may_resend", lambda _self, _now: True),
            (requests, "RequestBegun", without.unprobing),
        ],
        ("I5",),
        (threats.take_nothing_long,),
        spared=True,
    ),
    "success with any token ends a stop": Mutant(
        "I16",
        [(numbers.Number, "resume", without.any_token), (NumberStop, "_see_to", without.probing)],
        ("I16",),
        (kinds.give_two_tokens,),
    ),
    "a stop that is not stored ends": Mutant(
        "I16",
        [(NumberStop, "_take_stored", NumberStop._take)],
        ("I16",),
        (kinds.kill_a_token, slow_commits),
    ),
    "linger is set at the abort only": Mutant(
        "D18",
        [],
        ("I6",),
        (kinds.kill_behind_a_cut,),
        spoil=without.unlingering,
        way={},
    ),
    "retention takes what is parked": Mutant(
        "I22",
        [],
        ("I22",),
        (kinds.collect_garbage, kinds.drop_taken, *_KILLS),
        spoil=without.unspared,
    ),
    "a slot that was renewed across a timeline is sure": Mutant(
        "I25",
        [],
        ("I6",),
        (kinds.promote_unseen,),
        policy="hold",
        spoil=without.sure_when_renewed,
    ),
    "what has an issue row across a timeline is sure": Mutant(
        "I25",
        [],
        ("I6",),
        (threats.promote_behind_a_throttle,),
        policy="hold",
        spoil=without.sure_of_rows,
    ),
    "an end is told in one commit and settled in another": Mutant(
        "I21",
        [(Receipts, "write_batch", without.in_two_commits)],
        ("I21",),
        (kinds.refuse_messages, *_KILLS),
    ),
    "a webhook is answered before its event is on disk": Mutant(
        "I26",
        [(StraightAnswers, "wait_for_event", without.answered_at_once)],
        ("I6", "I8"),
        (Faults.kill_coreapp, Faults.unknown_outcome),
    ),
    "an event is on disk before what it proves": Mutant(
        "I26",
        [(Receipts, "write_batch", without.in_two_commits)],
        ("I6",),
        (threats.lose_answers_and_owners,),
        way={"spread_ms": 50, "delivered": 0.0, "read": 0.0},
    ),
    "what a closed slot was offered counts as stored": Mutant(
        "I26",
        [(StraightAnswers, "closed", without.stored_when_closed)],
        ("I6", "I8"),
        (Faults.unknown_outcome,),
    ),
    "what a lost owner was offered counts as stored": Mutant(
        "I26",
        [(StatusOffers, "lost", without.stored_when_lost)],
        ("I6", "I8"),
        (Faults.kill_coreapp,),
    ),
    "a repeat is answered before its original is on disk": Mutant(
        "I26",
        [(StraightAnswers, "wait", without.answered_at_once)],
        ("I6", "I8"),
        (threats.repeat_all, slow_commits, *_KILLS),
    ),
    "a row goes before its straight original is on disk": Mutant(
        "I26",
        [(StraightAnswers, "is_behind", lambda *_: False)],
        ("I6", "I8"),
        (threats.repeat_all, slow_commits, *_KILLS),
    ),
    "one number for the mark": Mutant(
        "D20", [], ("I16",), (Faults.throttle, *_KILLS), spoil=numbered
    ),
    "number: the attempt is forgotten": Mutant(
        "D13", [], ("I6",), (threats.take_over_again,), spoil=numbered
    ),
    "number: lane opened in memory": Mutant(
        "D1",
        [(Lanes, "withdraw", lambda self, _to, message_id: self.answered(message_id))],
        ("I7",),
        _KILLS,
        spoil=numbered,
    ),
    "number: planned move": Mutant("D9", [], ("I12",), _MOVES, moves=True, spoil=numbered),
    "who cannot write issue rows keeps its slots": Mutant(
        "",
        [(Fitness, "problem", without.asked_of_journals_only)],
        ("I15",),
        (threats.no_disk_for_issues_for_good,),
    ),
    "who cannot read the inbox keeps its slots": Mutant(
        "",
        [(Fitness, "problem", without.asked_of_journals_only)],
        ("I8", "I9", "I15"),
        (threats.no_inbox_for_good,),
    ),
    "answers of a closed epoch are dropped": Mutant(
        "D21",
        [(CloudUpstream, "_ended", without.of_closed_epochs)],
        ("I6",),
        (Faults.unknown_outcome,),
        way=LOST,
        once=True,
    ),
}
