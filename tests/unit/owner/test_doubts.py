"""A message in doubt at its owner: nothing of it is over before that is on disk."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from warouter.flow.doubt.events import AnsweredTaken
from warouter.flow.doubt.states import DoubtState, Issue, Treatment
from warouter.flow.doubt.verdict import DoubtRule, Policy
from warouter.flow.progress import Stated, Took, Unissued
from warouter.flow.windows import Windows
from warouter.owner.cloud.doubt_rules import RuleBook
from warouter.owner.cloud.doubts import Doubts
from warouter.owner.cloud.facts.templates import KnownTemplates
from warouter.owner.cloud.hearsay import Hearsay
from warouter.owner.cloud.looks import SENT_SECONDS, DoubtLooks
from warouter.owner.cloud.rate.brake import Brake
from warouter.owner.slot import OwnedSlot
from warouter.store.journal import OpenIssue
from warouter.store.journal.issues import DOUBTED, KEPT, NOT_TAKEN

FENCE = 30.0
ID = bytes(20)


class Scene:
    """One slot with a message in doubt, and whoever waits for its status to be stored."""

    def __init__(self) -> None:
        me: Any = self
        self.now = 0.0
        self.stored: list[Any] = []
        self.readings = 0.0
        self.fence, self.held = FENCE, 1e9
        self.doubts = Doubts(me, me, me, me, me, Brake(), self.clock)
        self.looks = DoubtLooks(self.doubts, me, me, me, Brake(), self.clock)
        self.hearsay = Hearsay(self.doubts, me, self.clock)
        self.slot = OwnedSlot(3, 1)
        self.slot.issues.keep(Issue(7, ID, "49151", DoubtState.DOUBT, 1, 1, 1, since=0.0))
        self.slot.messages.parked.shut("49151", 0.0)

    def clock(self) -> float:
        return self.now

    # the expiry, the recorder, the backlog

    def fail(self, _slot: Any, _entry: Any, _answer: Any, told: Any) -> None:
        self.stored.append(told)

    def touch(self, _slot: Any) -> None: ...

    def look_soon(self) -> None: ...

    # the rules, the readings of the inbox, the proof that webhooks come in

    def of(self, _treatment: Treatment) -> DoubtRule:
        return DoubtRule(Policy.RESEND, 60.0, 600.0, 60.0)

    def treatment(self, _kind: int, _body: bytes) -> Treatment:
        return Treatment()

    def read_at(self, _slot: int) -> float:
        return self.readings

    def proven_at(self, _since: float) -> float:
        return math.inf

    # what a test does and sees

    def fails(self) -> None:
        """Its ttl is over."""
        self.slot.issues.keep(replace(self.slot.issues[ID], ends=0.0))
        self.looks_at(0.0)

    def looks_at(self, now: float) -> None:
        self.now = now
        self.looks.look_at(self.slot)

    def finds(self, row: OpenIssue) -> None:
        """An owner before this one left that row."""
        self.slot = OwnedSlot(3, 1)
        self.slot.found = [row]
        self.looks.opened(self.slot)

    @property
    def state(self) -> DoubtState | None:
        issue = self.slot.issues.get(ID)
        return issue.state if issue is not None else None

    @property
    def over(self) -> bool:
        return any(isinstance(change, Unissued) for change in self.slot.messages.changes)

    @property
    def shut(self) -> bool:
        return self.slot.messages.parked["49151"].shut > 0


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_its_row_stays_until_its_status_is_on_disk(scene: Scene) -> None:
    scene.fails()
    scene.looks_at(2 * FENCE)
    assert not scene.over
    scene.stored[0].ended(scene.slot, SimpleNamespace(id=ID))
    assert scene.over


def test_its_lane_stays_shut_until_the_fence(scene: Scene) -> None:
    scene.fails()
    scene.stored[0].ended(scene.slot, SimpleNamespace(id=ID))
    scene.looks_at(FENCE - 1.0)
    assert (scene.over, scene.shut) == (False, True)
    scene.looks_at(FENCE)
    assert (scene.over, scene.shut) == (True, False)


def test_a_late_answer_does_not_send_it_again(scene: Scene) -> None:
    scene.fails()
    assert scene.hearsay.heard(scene.slot, ID, 1, None)
    assert scene.state is DoubtState.SAYING
    assert len(scene.stored) == 1


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
    templates = KnownTemplates(nobody, nobody, scene.clock)
    book = RuleBook(Policy.RESEND, Windows(), FENCE, 1e9, templates)
    readings: Any = SimpleNamespace(read_at=lambda _slot: scene.now)
    proving: Any = SimpleNamespace(proven_at=lambda since: since)
    looks = DoubtLooks(scene.doubts, book, readings, proving, Brake(), scene.clock)
    body = b'{"type":"template","template":{"name":"promo","language":{"code":"en"}}}'
    scene.slot.issues.keep(replace(scene.slot.issues[ID], treatment=book.treatment(0, body)))
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
    scene.slot.issues.keep(replace(scene.slot.issues[ID], state=DoubtState.HELD))
    scene.looks_at(100.0)
    scene.looks_at(100.2)
    assert not scene.stored
    scene.readings = 100.3
    scene.looks_at(100.4)
    assert len(scene.stored) == 1


ROW = OpenIssue(3, 7, ID, "49151", 1, 1, DOUBTED, 9.0, None, 0, b"{}", None, 9.0, None)


def test_a_message_that_an_owner_before_proved_taken_is_over_as_it_is_found(scene: Scene) -> None:
    """That owner had not recorded its end; its row is still there."""
    scene.finds(replace(ROW, wamid="wamid.1"))
    assert scene.over
    assert scene.slot.issues == {}
    assert scene.doubts.ended == {"status": 1}


@pytest.mark.parametrize("state", [DOUBTED, KEPT, NOT_TAKEN])
def test_a_message_reported_failed_shuts_its_lane_until_the_fence(scene: Scene, state: int) -> None:
    """Its owner died between that event and the settlement; it was sent again, and taken."""
    scene.finds(replace(ROW, state=state, age=0.0, failed=True))
    assert scene.over is (state != DOUBTED)
    scene.looks_at(FENCE - 1.0)
    assert scene.over is (state != DOUBTED)
    scene.looks_at(FENCE)
    assert scene.over
    assert not scene.slot.issues
    assert not scene.stored


@pytest.mark.parametrize("state", [DOUBTED, KEPT, NOT_TAKEN])
def test_a_message_whose_row_is_gone_is_held_and_said_and_never_over(
    scene: Scene, caplog: pytest.LogCaptureFixture, state: int
) -> None:
    scene.finds(replace(ROW, state=state, kind=None, body=None, ttl=None, message_age=None))
    assert (scene.state, scene.over) == (DoubtState.GONE, False)
    states = [c.state for c in scene.slot.messages.changes if isinstance(c, Stated)]
    assert states == [KEPT]
    assert scene.doubts.begun == {"gone": 1}
    assert scene.hearsay.asked(scene.slot, ID, "resend")
    assert scene.state is DoubtState.GONE
    assert [said.message for said in caplog.records] == ["message row gone"]
