"""A message in doubt at its owner: nothing of it is over before that is on disk."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from warouter.flow.doubt.events import AnsweredTaken, EvidenceStored
from warouter.flow.doubt.states import DoubtState, Issue, Treatment
from warouter.flow.doubt.verdict import DoubtRule, Policy
from warouter.flow.lanes import LaneEntry
from warouter.flow.progress import Stated, Took, Unissued
from warouter.flow.windows import Windows
from warouter.owner.cloud.doubt_rules import SENT_SECONDS, RuleBook
from warouter.owner.cloud.doubts import Doubts
from warouter.owner.cloud.facts.templates import KnownTemplates
from warouter.owner.cloud.finds import Finds
from warouter.owner.cloud.hearsay import Hearsay
from warouter.owner.cloud.looks import DoubtLooks
from warouter.owner.cloud.rate.brake import Brake
from warouter.owner.slot import OwnedSlot
from warouter.store.journal import StoredIssue
from warouter.store.journal.issues import ASIDE, DOUBTED, ISSUED, KEPT, NOT_TAKEN, SAID

FENCE = 30.0
ID = bytes(20)


class Scene:
    """One slot with a message in doubt, and the ends of it that are to be told."""

    def __init__(self) -> None:
        me: Any = self
        self.now = 0.0
        self.ends: list[Any] = []
        self.readings, self.under_way = 0.0, False
        self.fence, self.held = FENCE, 1e9
        self.doubts = Doubts(me, me, me, me, me, Brake(), self.clock)
        self.found_: list[Issue] = []
        self.finds_ = Finds(self.doubts, me, me, self.clock)
        self.looks = DoubtLooks(self.doubts, self.finds_, me, me, me, me, Brake(), self.clock)
        self.hearsay = Hearsay(self.doubts, me, self.clock)
        self.slot = OwnedSlot(3, 1)
        self.keeps(Issue(7, ID, "49151", DoubtState.DOUBT, 1, 1, 1, since=0.0))
        self.slot.messages.parked.shut("49151", 0.0)

    def clock(self) -> float:
        return self.now

    # the expiry, the recorder, the backlog

    def fail(self, _slot: Any, _entry: Any, _answer: Any, end: Any) -> None:
        self.ends.append(end)

    def touch(self, _slot: Any) -> None: ...

    def look_soon(self) -> None: ...

    # what this process knows of requests of an epoch that has ended

    def found(self, _slot: OwnedSlot, issue: Issue) -> None:
        self.found_.append(issue)

    # the rules, the readings of the inbox, the proof that webhooks come in

    version = 0

    def of(self, _treatment: Treatment) -> DoubtRule:
        return DoubtRule(Policy.RESEND, 60.0, 600.0, 60.0)

    def next_look(self, _issue: Issue, now: float) -> float:
        return now  # at each look

    def treatment(self, _kind: int, _body: bytes) -> Treatment:
        return Treatment()

    def read_at(self, _slot: int) -> float:
        return self.readings

    def proven_at(self, _since: float) -> float:
        return math.inf

    # what a test does and sees

    def fails(self) -> None:
        """Its ttl is over."""
        self.keeps(replace(self.slot.issues[ID], ends=0.0))
        self.looks_at(0.0)

    def keeps(self, issue: Issue) -> None:
        self.slot.issues.keep(issue, 0.0)

    def looks_at(self, now: float) -> None:
        self.now = now
        self.looks.look_at(self.slot)

    def finds(self, row: StoredIssue) -> None:
        """An owner before this one left that row, which is read with its message."""
        self.slot = OwnedSlot(3, 1)
        self.finds_.take(self.slot, row)
        self.doubts.in_lane(self.slot, ID)

    @property
    def state(self) -> DoubtState | None:
        issue = self.slot.issues.get(ID)
        return issue.state if issue is not None else None

    @property
    def over(self) -> bool:
        return any(isinstance(change, Unissued) for change in self.slot.messages.changes)

    @property
    def shut(self) -> bool:
        return self.slot.messages.parked["49151"].shut


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_its_row_stays_until_its_status_is_written(scene: Scene) -> None:
    scene.fails()
    scene.looks_at(2 * FENCE)
    assert not scene.over
    scene.ends[0].ended(scene.slot, SimpleNamespace(id=ID))
    assert scene.over


def test_its_lane_stays_shut_until_the_fence(scene: Scene) -> None:
    scene.fails()
    scene.ends[0].ended(scene.slot, SimpleNamespace(id=ID))
    scene.looks_at(FENCE - 1.0)
    assert (scene.over, scene.shut) == (False, True)
    assert [(c.seq, c.state) for c in scene.slot.messages.changes] == [(7, SAID)]
    scene.looks_at(FENCE)
    assert (scene.over, scene.shut) == (True, False)


def test_a_late_answer_does_not_send_it_again(scene: Scene) -> None:
    scene.fails()
    assert scene.hearsay.heard(scene.slot, ID, 1, None)
    assert scene.state is DoubtState.SAYING
    assert len(scene.ends) == 1


def test_each_end_is_counted_and_said(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    assert scene.hearsay.heard(scene.slot, ID, 1, None)
    (said,) = caplog.records
    assert (said.message, vars(said)["by"]) == ("doubt ended", "answer")
    assert scene.doubts.ended == {"answer": 1}


def test_a_message_that_only_waited_for_its_sent_was_never_in_doubt(scene: Scene) -> None:
    out = Issue(7, ID, "49151", DoubtState.OUT, 1, 1)
    scene.doubts.tell(scene.slot, out, AnsweredTaken(Took(0, ID.hex(), 1, "wamid.1")))
    scene.looks_at(SENT_SECONDS)
    assert scene.over
    assert scene.doubts.ended == {}


def test_a_template_is_treated_as_what_it_turns_out_to_be(scene: Scene) -> None:
    """An owner that has just begun finds it in doubt, and does not know its category yet."""
    nobody: Any = None
    templates = KnownTemplates(nobody, nobody, nobody, scene.clock)
    book = RuleBook(Policy.RESEND, Windows(), FENCE, 1e9, templates)
    readings: Any = SimpleNamespace(read_at=lambda _slot: scene.now)
    proving: Any = SimpleNamespace(proven_at=lambda since: since)
    given: Any = scene.doubts, scene.finds_, nobody
    looks = DoubtLooks(*given, book, readings, proving, Brake(), scene.clock)
    body = b'{"type":"template","template":{"name":"promo","language":{"code":"en"}}}'
    scene.keeps(replace(scene.slot.issues[ID], treatment=book.treatment(0, body)))
    templates.use({("promo", "en"): "MARKETING"})
    scene.now = 59.0
    looks.look_at(scene.slot)
    assert scene.state is DoubtState.DOUBT
    scene.now = 61.0
    looks.look_at(scene.slot)
    assert scene.state is DoubtState.ASIDE


def test_an_overdue_held_message_fails_once_the_inbox_is_read(scene: Scene) -> None:
    """Its evidence may have come while nobody owned the slot, for a while or for a day."""
    scene.held = 100.0
    scene.keeps(replace(scene.slot.issues[ID], state=DoubtState.HELD))
    scene.looks_at(100.0)
    scene.looks_at(100.2)
    assert not scene.ends
    scene.readings = 100.3
    scene.looks_at(100.4)
    assert len(scene.ends) == 1


ROW = StoredIssue(
    *(3, 7, ID, "49151"),
    *(0, None, None, 9.0, True),
    *(1, 1, 0, DOUBTED, 9.0, None, 0.0, False, None),
)


def test_a_message_that_an_owner_before_proved_taken_is_over_as_it_is_found(scene: Scene) -> None:
    """That owner had not recorded its end; its row is still there."""
    scene.finds(replace(ROW, wamid="wamid.1"))
    assert scene.over
    assert scene.slot.issues == {}
    assert scene.doubts.ended == {"status": 1}


@pytest.mark.parametrize(
    ("row", "state", "shut"),
    [
        (DOUBTED, DoubtState.DOUBT, True),
        (SAID, DoubtState.SAID, True),
        (ASIDE, DoubtState.ASIDE, False),
        (KEPT, DoubtState.HELD, False),
        (NOT_TAKEN, DoubtState.QUEUED, False),
    ],
)
def test_a_message_is_found_in_the_state_that_its_row_says(
    scene: Scene, row: int, state: DoubtState, *, shut: bool
) -> None:
    scene.finds(replace(ROW, state=row))
    assert scene.state is state
    assert ("49151" in scene.slot.messages.parked and scene.shut) is shut
    assert [issue.id for issue in scene.found_] == [ID]
    assert scene.slot.messages.changes == []  # nothing new


def test_the_row_of_a_request_under_way_is_no_find(scene: Scene) -> None:
    """It was read while the message was here, which has ended since."""
    scene.finds(replace(ROW, state=ISSUED))
    assert scene.slot.issues == {}


def test_an_ended_message_is_not_found_again_by_a_row_that_was_read_before(scene: Scene) -> None:
    slot = scene.slot
    scene.keeps(replace(slot.issues[ID], state=DoubtState.ENDED))
    scene.finds_.take(slot, ROW)
    assert slot.issues == {}


def test_a_doubt_of_a_takeover_is_counted_once_and_its_row_says_when_to_look(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    scene.finds(replace(ROW, cause="takeover", fresh=True))
    assert [said.message for said in caplog.records] == ["message doubted"]
    assert scene.doubts.begun == {"takeover": 1}
    (noted,) = [c for c in scene.slot.messages.changes if isinstance(c, Stated)]
    assert (noted.state, noted.look_ms) == (DOUBTED, 0)


def test_a_message_told_as_failed_shuts_its_lane_until_the_fence(scene: Scene) -> None:
    """Its owner died before the fence of its request was past."""
    scene.finds(replace(ROW, state=SAID, age=0.0))
    scene.looks_at(FENCE - 1.0)
    assert not scene.over
    scene.looks_at(FENCE)
    assert scene.over
    assert not scene.slot.issues
    assert not scene.ends


def test_one_read_behind_a_returned_message_that_is_out_shuts_the_lane_once_that_landed(
    scene: Scene,
) -> None:
    """The earlier one was aside, and has gone again before this one was read."""
    lanes = scene.slot.lanes
    lanes.block("49151")
    assert lanes.push(LaneEntry(6, b"6" * 20, "49151", 0, b"{}", parked=True))
    lanes.take()
    scene.slot.messages.parked.reopen("49151", 0.0, 1)
    scene.doubts.in_lane(scene.slot, ID)
    assert (lanes.is_out(b"6" * 20), scene.shut) == (True, False)
    lanes.answered(b"6" * 20)
    scene.doubts.in_lane(scene.slot, ID)
    assert scene.shut


def test_a_doubt_that_ends_behind_a_returned_message_leaves_that_out(scene: Scene) -> None:
    """Its row was not read into the lane: the earlier one was held, and was sent once more."""
    lanes = scene.slot.lanes
    lanes.block("49151")
    earlier = LaneEntry(6, b"6" * 20, "49151", 0, b"{}", parked=True)
    assert lanes.push(earlier)
    lanes.take()
    scene.doubts.tell(scene.slot, scene.slot.issues[ID], EvidenceStored())
    assert lanes.is_out(earlier.id)
    assert not scene.shut


def test_nothing_goes_from_memory_while_the_inbox_is_read(scene: Scene) -> None:
    """A row of before its last attempt would bring it back, and that attempt's number be given
    twice.
    """
    scene.keeps(replace(scene.slot.issues[ID], state=DoubtState.QUEUED, attempt=2))
    scene.slot.issues.park(ID, 0)
    scene.under_way = True
    scene.looks.let_go([scene.slot])
    assert scene.state is DoubtState.QUEUED
    scene.under_way = False
    scene.looks.let_go([scene.slot])
    assert scene.state is None


def test_a_word_that_fails_a_message_is_heard_once_that_is_written(scene: Scene) -> None:
    scene.keeps(replace(scene.slot.issues[ID], state=DoubtState.HELD))
    assert not scene.hearsay.asked(scene.slot, ID, "fail")
    assert not scene.hearsay.asked(scene.slot, ID, "fail")
    assert len(scene.ends) == 1
    scene.ends[0].ended(scene.slot, SimpleNamespace(id=ID))
    assert scene.hearsay.asked(scene.slot, ID, "fail")


@pytest.mark.parametrize("state", [DOUBTED, ASIDE, NOT_TAKEN])
def test_messages_read_with_one_that_is_proven_wait_until_its_end_is_recorded(
    scene: Scene, state: int
) -> None:
    """Its row came with a page of the parked table: a crash now would leave both in doubt."""
    scene.finds(replace(ROW, state=state, wamid="wamid.1"))
    lanes, behind = scene.slot.lanes, LaneEntry(8, b"8" * 20, "49151", 0, b"{}", parked=True)
    assert lanes.push(behind)
    assert lanes.take() == []
    _, settled = scene.slot.messages.record_begins()
    lanes.recorded(settled)
    assert lanes.take() == [behind]


def test_a_lane_that_goes_on_beside_a_message_aside_is_not_held_up_by_its_end(scene: Scene) -> None:
    lanes, next_ = scene.slot.lanes, LaneEntry(8, b"8" * 20, "49151", 0, b"{}")
    scene.keeps(replace(scene.slot.issues[ID], state=DoubtState.ASIDE))
    assert lanes.push(next_)
    assert lanes.take() == [next_]
    scene.doubts.tell(scene.slot, scene.slot.issues[ID], EvidenceStored())
    _, settled = scene.slot.messages.record_begins()
    lanes.recorded(settled)
    assert (lanes.take(), lanes.is_out(next_.id)) == ([], True)


@pytest.mark.parametrize("state", [DOUBTED, KEPT, NOT_TAKEN])
def test_a_message_whose_row_is_gone_is_held_and_said_and_never_over(
    scene: Scene, caplog: pytest.LogCaptureFixture, state: int
) -> None:
    scene.finds(replace(ROW, state=state, kind=None, message_age=None, stored=False, fresh=True))
    assert (scene.state, scene.over) == (DoubtState.GONE, False)
    states = [c.state for c in scene.slot.messages.changes if isinstance(c, Stated)]
    assert states == ([] if state == KEPT else [KEPT])
    assert scene.doubts.begun == {"gone": 1}
    assert scene.hearsay.asked(scene.slot, ID, "resend")
    assert scene.state is DoubtState.GONE
    assert [said.message for said in caplog.records] == ["message row gone"]
