"""A message in doubt that ends as failed: nothing of it is over before that is on disk."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace
from warouter.owner.cloud.doubt_endings import EARLIER, EXPIRED, DoubtEndings

from warouter.flow.doubt import DoubtRule, DoubtState, Policy
from warouter.flow.issues import Issue
from warouter.flow.lanes import LaneEntry
from warouter.flow.progress import Stated, Took, Unheard, Unissued
from warouter.flow.windows import Windows
from warouter.message_id import text_of
from warouter.owner.backlog import Backlog
from warouter.owner.cloud.doubt_rules import RuleBook
from warouter.owner.cloud.doubts import SENT_SECONDS, Doubts, rule_of
from warouter.owner.cloud.facts.templates import KnownTemplates
from warouter.owner.cloud.rate.brake import Brake
from warouter.owner.slot import HEARD_SECONDS, OwnedSlot
from warouter.store.journal import OpenIssue
from warouter.store.journal.issues import DOUBTED, KEPT, NOT_TAKEN
from warouter.upstream.protocol import Answer

FENCE = 30.0
ID = bytes(20)


class Scene:
    """One slot with a message in doubt, and whoever waits for its status to be stored."""

    def __init__(self) -> None:
        me: Any = self
        self.now = 0.0
        self.stored: list[Any] = []
        self.answers: list[Any] = []
        self.readings = 0.0
        self.fence, self.held = FENCE, 1e9
        self.endings = DoubtEndings(me, me, me, me, lambda: self.now)
        self.doubts = Doubts(me, self.endings, me, me, me, Brake(), lambda: self.now)
        self.slot = OwnedSlot(3, 1)
        self.issue = self.slot.issues[ID] = Issue(7, ID, "49151", 1, 1)
        self.issue.state, self.issue.since = DoubtState.DOUBT, 0.0
        self.slot.messages.parked.shut("49151", 0.0)

    # the expiry, the recorder, the backlog

    def fail(self, _slot: Any, _entry: Any, answer: Any, told: Any) -> None:
        self.stored.append(told)
        self.answers.append(answer)

    def touch(self, _slot: Any) -> None: ...

    # the rules

    def of(self, _kind: int, _body: bytes) -> DoubtRule:
        return DoubtRule(Policy.RESEND, 60.0, 600.0, 60.0)

    # the readings of the inbox

    def read_at(self, _slot: int) -> float:
        return self.readings

    def look_soon(self) -> None: ...

    def fails(self) -> None:
        self.endings.fail(self.slot, self.issue, EXPIRED, "fail")

    def looks_at(self, now: float) -> None:
        self.now = now
        self.doubts.look_at(self.slot)

    @property
    def over(self) -> bool:
        return any(isinstance(change, Unissued) for change in self.slot.messages.changes)

    @property
    def unheard(self) -> bool:
        return Unheard("49151", HEARD_SECONDS) in self.slot.messages.changes


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_its_row_stays_until_its_status_is_on_disk(scene: Scene) -> None:
    scene.fails()
    scene.looks_at(2 * FENCE)
    assert not scene.over
    scene.stored[0].ended(scene.slot, SimpleNamespace())
    assert scene.over


def test_its_lane_stays_shut_until_the_fence(scene: Scene) -> None:
    scene.fails()
    scene.stored[0].ended(scene.slot, SimpleNamespace())
    scene.looks_at(FENCE - 1.0)
    assert not scene.over
    scene.looks_at(FENCE)
    assert scene.over


def test_a_late_answer_does_not_send_it_again(scene: Scene) -> None:
    scene.fails()
    scene.endings.not_taken(scene.slot, scene.issue)
    assert scene.issue.state is DoubtState.DOUBT
    assert len(scene.stored) == 1


def test_each_end_is_counted_and_said(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    scene.endings.not_taken(scene.slot, scene.issue)
    (said,) = caplog.records
    assert (said.message, said.by) == ("doubt ended", "answer")  # type: ignore[attr-defined]
    assert scene.endings.counts == {"answer": 1}


def test_a_message_that_only_waited_for_its_sent_was_never_in_doubt(scene: Scene) -> None:
    scene.endings.wait_for_sent(scene.slot, scene.issue, Took(7, ID.hex(), 1, "wamid.1"))
    scene.looks_at(SENT_SECONDS)
    assert scene.over
    assert scene.endings.counts == {}


def test_a_template_is_treated_as_what_it_turns_out_to_be(scene: Scene) -> None:
    """An owner that has just begun finds it in doubt, and does not know its category yet."""
    categories: dict[tuple[str, str], str] = {}
    nobody: Any = None
    templates = KnownTemplates(nobody, nobody, lambda: scene.now)
    book = RuleBook(Policy.RESEND, Windows(), FENCE, 1e9, templates)
    doubts: Any = Doubts(
        scene,  # type: ignore[arg-type]
        scene.endings,
        book,
        SimpleNamespace(read_at=lambda _slot: scene.now),
        SimpleNamespace(proven_at=lambda since: since),
        Brake(),
        lambda: scene.now,
    )
    body = b'{"type":"template","template":{"name":"promo","language":{"code":"en"}}}'
    rule_of(book, scene.issue, 0, body)
    categories["promo", "en"] = "MARKETING"
    templates.use(categories)
    scene.now = 61.0
    doubts.look_at(scene.slot)
    assert scene.issue.state is DoubtState.DOUBT


def test_an_overdue_held_message_fails_once_the_inbox_is_read(scene: Scene) -> None:
    """Its evidence may have come while nobody owned the slot, for a while or for a day."""
    scene.issue.state, scene.held = DoubtState.HELD, 100.0
    scene.looks_at(100.0)
    scene.looks_at(100.2)
    assert not scene.stored
    scene.readings = 100.3
    scene.looks_at(100.4)
    assert len(scene.stored) == 1


@pytest.mark.parametrize(
    ("state", "doubts", "open_"),
    [
        (DoubtState.OUT, 0, False),  # the usual end
        (DoubtState.DOUBT, 1, False),  # the evidence is of it
        (DoubtState.DOUBT, 2, True),
        (DoubtState.TAKEN, 1, True),  # the first request of two, which the answer was not of
    ],
)
def test_a_request_of_which_nobody_knows_is_recorded_with_the_end_by_evidence(
    scene: Scene, state: DoubtState, doubts: int, *, open_: bool
) -> None:
    scene.issue.state, scene.issue.doubts = state, doubts
    scene.endings.proven(scene.slot, ID)
    assert scene.unheard is open_


@pytest.mark.parametrize(("doubts", "open_"), [(1, False), (2, True)])
def test_or_with_the_end_by_a_status_or_an_answer(
    scene: Scene, doubts: int, *, open_: bool
) -> None:
    scene.issue.doubts = doubts
    assert scene.endings.evidence(scene.slot, Took(7, ID.hex(), 1, "wamid.1"), "status")
    assert scene.unheard is open_


@pytest.mark.parametrize(("doubts", "open_"), [(1, False), (2, True)])
def test_or_with_the_end_that_an_owner_before_this_one_has_not_recorded(
    scene: Scene, doubts: int, *, open_: bool
) -> None:
    """Its row is still there; one of its requests was taken."""
    told = ("answer", None, None, None, None, "wamid.1")
    scene.slot.found = [OpenIssue(3, 7, ID, "49151", doubts, doubts, DOUBTED, 9.0, *told)]
    scene.doubts.opened(scene.slot)
    assert scene.over
    assert scene.unheard is open_


@pytest.mark.parametrize("state", [DOUBTED, KEPT, NOT_TAKEN])
def test_a_message_reported_failed_shuts_its_lane_until_the_fence(scene: Scene, state: int) -> None:
    """Its owner died between that event and the settlement; it was sent again, and taken."""
    told = [OpenIssue(3, 7, ID, "49151", 1, 1, state, 0.0, None, 0, b"{}", None, 9.0, None)]
    scene.slot.found = [replace(row, failed=True) for row in told]
    scene.slot.issues.clear()
    scene.doubts.opened(scene.slot)
    assert scene.over is (state != DOUBTED)
    scene.readings = 9
    scene.looks_at(FENCE - 1.0)
    assert scene.over is (state != DOUBTED)
    scene.looks_at(FENCE)
    assert scene.over
    assert not scene.slot.issues
    assert not scene.stored


@pytest.mark.parametrize(("doubts", "said"), [(1, "gone"), (2, EARLIER + "gone")])
def test_a_refusal_says_so_where_an_earlier_request_may_have_been_taken(
    scene: Scene, doubts: int, said: str
) -> None:
    scene.issue.doubts = doubts
    scene.endings.refused(scene.slot, scene.issue, Answer(3, text_of(ID), 470, "Failed", "gone"))
    assert scene.answers[0].details == said


@pytest.mark.parametrize("state", [DOUBTED, KEPT, NOT_TAKEN])
def test_a_message_whose_row_is_gone_is_held_and_said_and_never_over(
    scene: Scene, caplog: pytest.LogCaptureFixture, state: int
) -> None:
    scene.slot.found = [OpenIssue(3, 7, ID, "49151", 1, 1, state, 9.0, None, *[None] * 5)]
    scene.doubts.opened(scene.slot)
    issue = scene.slot.issues[ID]
    assert (issue.state, scene.over) == (DoubtState.HELD, False)
    states = [c.state for c in scene.slot.messages.changes if isinstance(c, Stated)]
    assert states == [KEPT]
    assert scene.doubts.begun == {"gone": 1}
    assert scene.doubts.asked(scene.slot, ID, "resend")
    assert issue.state is DoubtState.HELD
    assert [said.message for said in caplog.records] == ["message row gone"]


@pytest.mark.parametrize("doubts", [0, 1])
def test_or_with_the_end_of_a_message_that_waited_to_be_sent_again(
    scene: Scene, doubts: int
) -> None:
    """Its ttl was over, or its last request was refused."""
    scene.issue.state, scene.issue.doubts = DoubtState.QUEUED, doubts
    entry = LaneEntry(7, ID, "49151", 0, b"")
    backlog: Any = SimpleNamespace(_recorder=scene)
    Backlog.settled(backlog, scene.slot, entry)
    assert scene.unheard is bool(doubts)
