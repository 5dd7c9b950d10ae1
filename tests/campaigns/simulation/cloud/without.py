"""What stands in the place of the product's functions, so that it lacks a rule: see ``mutants``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from msgspec.structs import replace

from tests.campaigns.simulation.cloud.world import CloudWorld
from warouter._hash import slot_of
from warouter.flow import proof
from warouter.flow.doubt.effects import NoteChange
from warouter.flow.doubt.events import FailureStored, OperatorAsked, RequestBegun
from warouter.flow.doubt.found import FoundRow
from warouter.flow.doubt.states import KEPT, REQUESTED, UNKNOWN, Issue
from warouter.flow.doubt.verdict import DoubtVerdict, Policy, verdict
from warouter.flow.lanes import Lanes
from warouter.flow.progress import Took, Unissued
from warouter.link.offers import StatusOffers
from warouter.link.wire import StatusOutcome
from warouter.owner.cloud import finds
from warouter.owner.cloud.asking import ask
from warouter.owner.cloud.doubts import Doubts
from warouter.owner.cloud.hearsay import Hearsay
from warouter.owner.cloud.issuer import Issuer, Marking
from warouter.owner.cloud.requests import Requests
from warouter.owner.cloud.straight_answers import StraightAnswers
from warouter.owner.quiesce import Quiesce
from warouter.owner.receipts import Receipts
from warouter.store.cloud import receive
from warouter.store.journal.fitness import Fitness
from warouter.store.journal.messages import Messages
from warouter.upstream.cloud.answers import Class, Judged
from warouter.upstream.cloud.graph.client import CloudUpstream
from warouter.upstream.cloud.graph.exchange import Exchanged, ExchangeOutcome

_evidence, _verdict = Hearsay.evidence, verdict
_ended, _mark, _expire = CloudUpstream._ended, Issuer.mark, Lanes.expire
_problem = Fitness.problem
_row, _facts = receive._row, finds._facts


async def nothing_issued(_self: object, *_: object) -> dict[int, Any]:
    return {}


async def at_once(_self: Quiesce, _within: float) -> None:
    """Nobody is waited for."""


async def asked_of_journals_only(self: Fitness, *, requests: bool = False) -> str:
    return await _problem(self)


async def issued(self: Messages, owned: Any, rows: Any, issued: Sequence[Any]) -> Any:
    exceptions = await self.write_batch(owned, rows)
    return exceptions, not exceptions


def unprobing(*, probing: bool) -> RequestBegun:
    return RequestBegun(probing=False)


def any_token(self: Any, _number: int, _token: bytes) -> list[dict[str, int]]:
    self.stops.clear()
    return []


def probing(self: Any) -> None:
    """Whoever it is that is stopped."""
    ask(self._pace.of, self._probe())


def no_doubt(cls: Class, of: Callable[[Any], bool]) -> Any:
    """``CloudUpstream._judge`` that takes some unclear ends for clear ones."""
    judge = CloudUpstream._judge

    def judged(self: CloudUpstream, *given: Any) -> Judged:
        found: Judged = judge(self, *given)
        exchanged = next(one for one in given if isinstance(one, Exchanged))
        if found.cls is Class.DOUBT and of(exchanged):
            return Judged(cls, 1011, wait_ms=1, wamid=f"wamid.{id(exchanged)}")
        return found

    return judged


def cut(exchanged: Any) -> bool:
    return exchanged.outcome is ExchangeOutcome.UNKNOWN


def answered(exchanged: Any) -> bool:
    return exchanged.outcome is ExchangeOutcome.ANSWERED


def heard_in_doubt_only(self: Hearsay, slot: Any, took: Took, by: str) -> None:
    issue = slot.issues.get(bytes.fromhex(took.id))
    if issue is None or issue.state in UNKNOWN | KEPT:
        _evidence(self, slot, took, by)


def opened_with_the_end(self: Doubts, slot: Any, message_id: bytes) -> None:
    issue = slot.issues.get(message_id)
    if issue is not None:
        self.tell(slot, issue, FailureStored(0.0))


def resent(given: Any, rule: Any, fence: float, now: float) -> DoubtVerdict:
    return _verdict(given, rule._replace(policy=Policy.RESEND), fence, now)


def of_closed_epochs(self: CloudUpstream, post: Any, answers: Any, *more: Any) -> None:
    slot = answers._ownership.slots.get(post.slot)
    if slot is not None and slot.epoch == post.epoch:
        _ended(self, post, answers, *more)


def out_alone(self: Requests, slot: Any) -> bool:
    return any(issue.state in REQUESTED for issue in slot.issues.values())


def still_marked(issue: Issue, _attempt: int) -> NoteChange:
    return NoteChange(Unissued(issue.seq, 0))  # of no attempt


def begun_first(self: Issuer, marking: Marking) -> None:
    _mark(self, marking)
    self._issued.on_issued(marking.owned, marking)


def told_nobody(self: Issuer, batch: list[Marking], _exceptions: Any) -> None:
    self._marking.subtract(row.owned for row in batch)
    self._marking = +self._marking


def expired_in_memory(self: Lanes, now: float) -> Any:
    gone = _expire(self, now)
    self._ended({entry.seq for entry in gone})
    return gone


def by_its_number(element: Any, shown: str) -> Any:
    return _row(element, shown)._replace(slot=slot_of(shown))


def proven_by_one_event(
    age: float,
    _cohort: object,
    listeners: Any,
    *,
    offset: float | None,
    windows: Any,
    spread: float,
) -> proof.ProofState:
    heard = proof._heard(age - spread, listeners, offset, windows)
    return proof.ProofState.PROVEN if heard else proof.ProofState.IDLE


def from_the_takeover(row: Any) -> FoundRow:
    return _facts(replace(row, age=0.0))


def counting_anew(row: Any) -> FoundRow:
    return _facts(replace(row, spared=0))


async def in_two_commits(self: Receipts, owned: Any, rows: Sequence[Any]) -> Any:
    """The settlement waits for the next record."""
    return await self._journal.append_events(owned, rows)


def answered_at_once(self: StraightAnswers, _slot: object, _number: int, place: Any) -> bool:
    self._end([place], stored=True)
    return True


def stored_when_closed(self: StraightAnswers, slot: Any) -> None:
    for number in list(self._events[slot.slot]):
        self.ack(slot.slot, [number])


def stored_when_lost(self: StatusOffers, via: Any) -> None:
    for number, offer in list(self._offers.items()):
        if offer.via == via:
            self.stored(StatusOutcome(number, []))


async def offered_to_nobody(_self: StatusOffers, _statuses: object) -> set[tuple[int, str]]:
    return set()


def held_at_once(word: str, _free: object, _fence: float) -> OperatorAsked:
    return OperatorAsked(word, free=True, fence=0.0)


def unmatching(world: CloudWorld) -> None:
    world.tables.issues.known = lambda _row: None


def unlooking(world: CloudWorld) -> None:
    world.tables.issues.looks = False


def one_id_each(world: CloudWorld) -> None:
    world.tables.issues.several = False


def unspared(world: CloudWorld) -> None:
    world.tables.spares = False


def sure_when_renewed(world: CloudWorld) -> None:
    world.tables.doubts_all = False


def sure_of_rows(world: CloudWorld) -> None:
    world.tables.issues.unsures = False


def unwatched(world: CloudWorld) -> None:
    world.watchdogs = False


def unlingering(world: CloudWorld) -> None:
    world.upstream.lingers = False
