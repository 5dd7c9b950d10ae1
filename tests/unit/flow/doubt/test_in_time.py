"""Any sequence of events, on a clock: promises hold, and every message in doubt has its end."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from random import Random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from tests.unit.flow.doubt.in_time import Slot
from tests.unit.flow.doubt.ledger import FENCE, ON_DISK, Message, Request
from warouter.flow.doubt import events as on
from warouter.flow.doubt.states import KEPT, UNKNOWN, DoubtState, Issue
from warouter.flow.doubt.verdict import DoubtRule, Policy

S = DoubtState
LANES = ("a", "b")
RULES = st.builds(
    DoubtRule,
    policy=st.sampled_from(Policy),
    window=st.sampled_from((20.0, 60.0, 200.0)),
    blind=st.just(400.0),
    lane=st.sampled_from((60.0, 200.0)),
    most=st.integers(1, 3),
    in_all=st.integers(3, 5),
)
MESSAGES = st.tuples(st.sampled_from(LANES), RULES, st.sampled_from((math.inf, math.inf, 30.0)))
# Seconds until a look; if a proof comes, and the inbox is read before it; if the brake is on.
WAITS = (
    (0.5, False, False, False),
    (9.0, True, True, False),
    (12.0, True, False, True),
    (FENCE, True, True, False),
    (70.0, True, True, False),
    (210.0, False, True, False),
)
Act = Callable[[], object]


class Owning(RuleBasedStateMachine):
    """A slot to which whatever may happen does, in any order."""

    slot: Slot

    @initialize(drawn=st.lists(MESSAGES, min_size=3, max_size=12))
    def start(self, drawn: list[tuple[str, DoubtRule, float]]) -> None:
        self.slot = Slot([Message(seq, *each) for seq, each in enumerate(drawn, 1)])

    @rule(seed=st.integers(0, 1 << 32))
    def happens(self, seed: int) -> None:
        """A few times in a row, one of whatever may happen. Drawn evenly, as few ways lead far."""
        drawn = Random(seed)
        for _ in range(5):
            acts = [*self.of_owner(drawn), *self.of_messages(drawn), *self.of_meta(drawn)]
            if acts:
                drawn.choice(acts)()

    # whatever may happen

    def of_owner(self, drawn: Random) -> Iterator[Act]:
        slot, memory = self.slot, self.slot.memory
        if slot.rows:
            yield partial(self.wait, *drawn.choice(WAITS))
            if drawn.random() < 0.3:
                yield partial(slot.take_over, frozen=drawn.random() < 0.5)
        if memory.notes or memory.leaving:
            yield slot.record
        elif self.in_state(ON_DISK):
            yield slot.forget
        if memory.lane - memory.read:
            yield slot.load
        if slot.inbox:
            yield slot.read
        yield from (partial(slot.store, said) for said in memory.said)
        yield from (partial(self.thaw, n) for n in range(len(slot.ghosts)))

    def of_messages(self, drawn: Random) -> Iterator[Act]:
        slot = self.slot
        for head in self.heads:
            yield partial(slot.issues_row, head)
        for seq in self.in_state({S.ISSUED}):
            back = partial(slot.tell, seq, on.RowTakenBack())
            begin = partial(slot.begin, seq, probing=drawn.random() < 0.3)
            yield drawn.choice((begin, begin, begin, back))
        for message in self.late:
            yield partial(slot.expire, message)
        kept = self.in_state(KEPT | UNKNOWN)
        if kept and drawn.random() < 0.3:
            yield partial(self.ask, drawn.choice(kept), drawn.choice(("resend", "fail", "hold")))

    def of_meta(self, drawn: Random) -> Iterator[Act]:
        for request in self.open:
            if drawn.random() < 0.5:
                yield partial(self.slot.takes, request)
        for request in self.heard:
            end = drawn.choice(("not taken", "refused", "unclear", "unclear"))
            yield partial(self.answers, request, end)
        if self.slot.taken and drawn.random() < 0.3:
            seq, attempt = drawn.choice(self.slot.taken)
            yield partial(self.slot.comes, seq, attempt, "status")

    def wait(self, seconds: float, proof: bool, read: bool, brake: bool) -> None:
        self.slot.pass_time(seconds)
        if proof:
            self.slot.proof = self.slot.now
        if read:
            self.slot.read()
        self.slot.look(brake=brake)

    def ask(self, seq: int, word: str) -> None:
        free = self.slot.is_free(self.slot.messages[seq])
        if word == "resend" and self.slot.memory.issues[seq].state in KEPT:
            self.slot.repeated.add(seq)
        self.slot.tell(seq, on.OperatorAsked(word, free, FENCE))

    def thaw(self, n: int) -> None:
        """A former owner begins its request after all."""
        ghost = self.slot.ghosts.pop(n)
        self.slot.writes(ghost.message, ghost.attempt, heard=True)
        self.slot.requests[-1].epoch = -1

    def answers(self, request: Request, end: str) -> None:
        """Meta answers; what it has taken it says so of, if anything comes."""
        if end != "unclear":
            request.over = True
            end = "taken" if request.taken else end
        self.slot.hear(request, end)

    # what there is

    def in_state(self, states: frozenset[DoubtState] | set[DoubtState]) -> list[int]:
        return sorted(s for s, issue in self.slot.memory.issues.items() if issue.state in states)

    @property
    def heads(self) -> list[Message]:
        return [head for to in LANES if (head := self.slot.head(to))]

    @property
    def heard(self) -> list[Request]:
        return [request for request in self.slot.requests if request.heard]

    @property
    def open(self) -> list[Request]:
        return [r for r in self.slot.requests if not r.over and self.slot.now < r.until]

    @property
    def late(self) -> list[Message]:
        """Messages that grew too old in their lanes."""
        memory, waits = self.slot.memory, (S.QUEUED, S.PLACED, S.ISSUED)
        here = [self.slot.messages[seq] for seq in sorted(memory.lane & memory.read)]
        late = [m for m in here if m.ends <= self.slot.now and m.to not in memory.shut]
        new = Issue(0, b"", "")
        return [m for m in late if memory.issues.get(m.seq, new).state in waits]

    # the end

    def teardown(self) -> None:
        """Time goes on, nothing else goes wrong, and no webhook comes: every message ends."""
        if not hasattr(self, "slot"):
            return
        for _ in range(200):
            if not self.slot.open:
                break
            self.goes_on()
        assert not self.slot.open, "a message has no end"
        taken = {seq for seq, _ in self.slot.taken}
        assert taken | self.slot.told.keys() == self.slot.messages.keys(), "one is over in silence"

    def goes_on(self) -> None:
        """Each of the owner's loops has its turn, and Meta takes whatever is sent."""
        slot = self.slot
        slot.load()
        for head in self.heads:
            slot.issues_row(head)
        for seq in self.in_state({S.ISSUED}):
            slot.begin(seq, probing=False)
        for request in self.heard:
            if request in self.open:
                slot.takes(request)
            self.answers(request, "not taken")
        self.wait(10.0, proof=True, read=True, brake=False)
        for message in self.late:
            slot.expire(message)
        for said in list(slot.memory.said):
            slot.store(said)
        slot.record()


TestOwning = Owning.TestCase
TestOwning.settings = settings(max_examples=300, stateful_step_count=20, deadline=None)
