"""What happened in a run with the Cloud API: requests, acceptances, evidence, doubts.

What is wrong at once is said at once, the rest by ``judge``.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from tests.campaigns.simulation import history
from tests.campaigns.simulation.cloud.issues import (
    ASIDE,
    DOUBTED,
    IN_DOUBT,
    ISSUED,
    KEPT,
    NOT_TAKEN,
    SAID,
    Issue,
)
from warouter.flow.windows import Wait, Windows
from warouter.upstream.cloud.graph.exchange import Exchanged, ExchangeOutcome
from warouter.upstream.cloud.reference import parse_reference

Reference = tuple[bytes, int]
VAIN = 5  # answers in a row that say nothing
MOMENT = 0.1  # seconds, in which what begins already begins
RAISED = 100  # by a change of timeline: doubt_heads
SLACK = 0.96  # of a window: clocks differ by 2 % each
WAITS = {"promo": Wait.HELD, "code": Wait.AUTHENTICATION}


class Accepted(NamedTuple):
    """Meta took a request."""

    at: float
    id: bytes
    attempt: int
    recipient: str


class Heard:
    """What one process has heard of its requests.

    The answers to those ``in_vain`` in a row say nothing, the last that counts ``since``;
    ``probes`` have begun after that, and a status came of those ``proven`` before their answer.
    ``refused`` is when its token was, 0 if it was not.
    """

    def __init__(self) -> None:
        self.since, self.refused = 0.0, 0.0
        self.in_vain: set[Reference] = set()
        self.probes: set[Reference] = set()
        self.proven: set[Reference] = set()

    def took(self) -> None:
        """One was taken."""
        self.in_vain.clear()
        self.probes.clear()


class History(history.History):
    """``base`` is the window of an ordinary message, in seconds; ``policy`` that of the cluster."""

    def __init__(self, base: float, policy: str) -> None:
        super().__init__()
        self.base = base
        self.policy = policy
        self.windows = Windows(base)
        self.wamids: dict[str, Accepted] = {}
        self.attempts: defaultdict[bytes, list[Accepted]] = defaultdict(list)
        self.policies: dict[bytes, str] = {}  # of messages that have one of their own
        self.kinds: dict[bytes, str] = {}  # of messages that are no plain text
        self.places: dict[bytes, tuple[int, int]] = {}  # the tables'
        self.issues: dict[Reference, float] = {}
        self.written: dict[Reference, float] = {}
        self.ends: dict[Reference, float] = {}
        self.evidence: defaultdict[bytes, dict[int, float]] = defaultdict(dict)
        self.doubts: dict[Reference, float] = {}
        self.causes: Counter[str] = Counter()
        self.resends: dict[Reference, float] = {}
        self.not_taken: set[Reference] = set()
        self.kept: dict[bytes, int] = {}  # by the attempt that was the last one then
        self.asked: set[bytes] = set()  # an operator had his say
        self.to_hold: set[bytes] = set()  # as he said
        self.aside: set[bytes] = set()  # lanes did not wait for these
        self.counted: Counter[bytes] = Counter()  # owners were told that these were taken twice
        self.statuses_told: defaultdict[bytes, set[tuple[int, str, bool]]] = defaultdict(set)
        self.heard: defaultdict[UUID, Heard] = defaultdict(Heard)  # by incarnation
        self.wrote: dict[str, str] = {}  # inbound messages by wamid
        self.inbound_told: set[str] = set()
        self.once = False  # nothing that goes wrong is a reason to take a message twice
        self.moves = False  # nothing happens but planned moves, which leave no doubt
        self.spared = False  # whatever happens, nothing is held
        self.prompt = False  # whatever happens, a doubt ends with its longest wait
        # Earlier ones of its recipient that are not settled on disk, where a test asks the tables.
        self.is_failed: Callable[[bytes], bool] = lambda _id: False  # as the tables have it
        self.before: Callable[[Issue], Sequence[bytes]] = lambda _row: ()
        self._highest: dict[str, tuple[int, bytes]] = {}

    # requests

    def begins(self, process: Any, body: bytes) -> None:
        """A request is about to be written."""
        found = _reference(body)
        if found is None:
            return
        message_id, attempt = found
        if found in self.written:
            self.broken("I6", f"{message_id[-6:].hex()}.{attempt} was sent twice")
        if found not in self.issues:
            self.broken("I6", f"{message_id[-6:].hex()}.{attempt} was sent without an issue row")
        if self.is_failed(message_id):
            self.broken(
                "I21", f"{message_id[-6:].hex()}.{attempt} was sent, and told to have failed"
            )
        self.written[found] = self.now()
        self._alone(process, found)
        slot = message_id[1]
        epoch = process.node.ownership.slots[slot].epoch
        self.leaves(process.incarnation, slot, epoch, message_id)

    def _alone(self, process: Any, request: Reference) -> None:
        """While nothing is taken one request at a time begins, and none with a dead token."""
        heard, name = self.heard[process.incarnation], f"{request[0][-6:].hex()}.{request[1]}"
        if len(heard.in_vain) >= VAIN and self.now() > heard.since + MOMENT:
            if heard.probes:
                self.broken("I16", f"{name} began beside another one, while none is taken")
            heard.probes.add(request)
        known = heard.refused and self.now() > heard.refused + MOMENT
        if known and process.world.upstream.refuses_token_of(process):
            self.broken("I16", f"{name} began with a token that is known to be dead")

    def hears(self, process: Any, body: bytes, exchanged: Exchanged) -> None:
        """A process has the end of its request."""
        request, heard = _reference(body), self.heard[process.incarnation]
        if request is None:
            return
        heard.probes.discard(request)
        heard.refused = self.now() if exchanged.status == 401 else 0.0
        unclear = exchanged.outcome is ExchangeOutcome.UNKNOWN or exchanged.status >= 500
        if b'"messages":[{"id":"' in exchanged.body:
            heard.took()
        elif (unclear or exchanged.status == 200) and request not in heard.proven:
            heard.in_vain.add(request)
            heard.since = self.now() if len(heard.in_vain) == VAIN else heard.since

    def learns(self, process: Any, request: Reference) -> None:
        """A process reads a status of what Meta took."""
        heard = self.heard[process.incarnation]
        if request in heard.in_vain or request in heard.probes:
            heard.took()
        heard.proven.add(request)

    def ended(self, body: bytes) -> None:
        """For its client."""
        found = _reference(body)
        if found is not None:
            self.ends[found] = self.now()

    def turns_away(self, body: bytes) -> None:
        """Meta refuses the number, whatever is sent: the same request may come again."""
        found = _reference(body)
        if found is not None:
            self.written.pop(found, None)

    def accepts(self, reference: Reference, recipient: str, wamid: str) -> None:
        message_id, attempt = reference
        self.note("accepted", message_id[-6:].hex(), attempt)
        before = self.attempts[message_id]
        name = f"{message_id[-6:].hex()}.{attempt}"
        if attempt <= self.kept.get(message_id, 0):
            self.broken("I7", f"{name} was accepted after what is behind it could go")
        if any(each.attempt == attempt for each in before):
            self.broken("I6", f"{name}: one reference, two acceptances")
        later = [a for (i, a) in self.issues if i == message_id and a > attempt]
        if later and reference not in self.not_taken:
            self.broken("I6", f"{name} was accepted after {later[0]} was issued")
        if before and self.policy_of(message_id) != "resend" and message_id not in self.asked:
            self.broken("I6", f"{name}: accepted twice under {self.policy_of(message_id)}")
        if before and reference not in self.resends:
            self.broken("I6", f"{name} was sent although {before[-1].attempt} was taken")
        if before and self.once:
            self.broken("I6", f"{name}: accepted twice")
        found = Accepted(self.now(), message_id, attempt, recipient)
        if not before:
            self._ordered(found)
            self.taken.add(message_id)
            self.arrived[recipient].append(message_id)
        before.append(found)
        self.wamids[wamid] = found

    def policy_of(self, message_id: bytes) -> str:
        return self.policies.get(message_id, self.policy)

    def _ordered(self, found: Accepted) -> None:
        """First acceptances of a recipient come in the journal's order."""
        if found.id in self.aside or found.id in self.kept:
            return
        place = self.places.get(found.id)
        if place is None:
            self.broken("I1", f"{found.id[-6:].hex()} was accepted and is not stored")
            return
        highest, by = self._highest.get(found.recipient, (0, b""))
        if place[1] < highest:
            names = f"{found.id[-6:].hex()} after {by[-6:].hex()}"
            self.broken("I7", f"{found.recipient}: {names} was accepted")
        else:
            self._highest[found.recipient] = (place[1], found.id)

    # what is stored

    def issued(self, row: Issue, others: Iterable[Issue]) -> None:
        name = f"{row.id[-6:].hex()}.{row.attempt}"
        self.note("issued", name, row.doubts)
        if row.doubts:
            self._resent(row, name)
        self.issues[row.id, row.attempt] = self.now()
        self.not_taken.discard((row.id, row.attempt))  # it had not begun
        if row.doubts and (row.id in self.kept or self.kinds.get(row.id) == "promo"):
            return  # its lane may have gone on without it
        for other in others:
            mine = other.lane == row.lane and other.id != row.id
            if mine and other.state in (ISSUED, DOUBTED, SAID) and not self._gone_on(other):
                self.broken("I7", f"{name} was issued beside {other.id[-6:].hex()}")
        for earlier in self.before(row):
            if not any(other.id == earlier and self._gone_on(other) for other in others):
                self.broken("I7", f"{name} was issued, and {earlier[-6:].hex()} has no end on disk")

    def _resent(self, row: Issue, name: str) -> None:
        self.resends[row.id, row.attempt] = self.now()
        if self.evidence.get(row.id):
            self.broken("I6", f"{name} was issued although there is evidence")
        surely_not = {a for i, a in self.not_taken if i == row.id}
        doubted = {a for i, a in self.doubts if i == row.id and a < row.attempt} - surely_not
        last = max(doubted, default=0)
        since = self.doubts.get((row.id, last))
        window = self.window_of(row.id)
        if not self.once:  # its owner may not have known what template it is, when it decided
            window = min(window, self.base)
        decided = any(i == row.id and a > last for i, a in self.issues)
        if row.id in self.asked or since is None or decided:
            return
        self._in_time(row.id, last)
        if self.now() - since < window * SLACK:
            waited = f"{self.now() - since:.3f} s"
            self.broken("I6", f"{name} was sent again after {waited} in doubt")

    def window_of(self, message_id: bytes) -> float:
        return self.windows.of(WAITS.get(self.kinds.get(message_id, ""), Wait.ORDINARY)).ends

    def _gone_on(self, other: Issue) -> bool:
        """Its lane does not wait for it any more."""
        lane = self.windows.of(WAITS.get(self.kinds.get(other.id, ""), Wait.ORDINARY)).lane
        if self.window_of(other.id) <= lane:
            return False
        # What had stepped aside before a promotion stays there: its attempt is RAISED then.
        attempts = other.attempt, other.attempt - RAISED
        since = min(self.doubts.get((other.id, each), math.inf) for each in attempts)
        gone = self.now() - since >= lane * SLACK
        if gone:
            self.aside.add(other.id)
        return gone

    def _in_time(self, message_id: bytes, attempt: int) -> None:
        """The doubt of this attempt ends now."""
        since = self.doubts.get((message_id, attempt))
        wait = self.windows.of(WAITS.get(self.kinds.get(message_id, ""), Wait.ORDINARY))
        if self.prompt and since is not None and self.now() - since > wait.blind + self.base:
            waited = f"{self.now() - since:.1f} s"
            self.broken("I15", f"{message_id[-6:].hex()}.{attempt} was in doubt for {waited}")

    def found(self, row: Issue) -> None:
        reference = row.id, row.attempt
        cannot = reference not in self.issues or reference in self.not_taken
        if row.cause == "takeover" and cannot:
            self.broken("I16", f"{row.id[-6:].hex()}.{row.attempt} is in doubt, and cannot be out")
        self._doubted(row, self.now())

    def stated(self, row: Issue) -> None:
        self.note("stated", row.id[-6:].hex(), row.attempt, row.state, row.cause)
        reference = row.id, row.attempt
        if row.state == DOUBTED:
            self._doubted(row, self.ends.get(reference, self.now()))
        elif row.state == ASIDE:
            if not self._gone_on(row):
                self.broken("I7", f"{row.id[-6:].hex()} went aside before its time")
        elif row.state == KEPT:
            self.kept[row.id] = row.attempt
            self._in_time(*reference)
        elif row.state == NOT_TAKEN:
            self.not_taken.add(reference)

    def _doubted(self, row: Issue, since: float) -> None:
        if (row.id, row.attempt) not in self.doubts:
            self.note("doubted", row.id[-6:].hex(), row.attempt, row.cause)
            self.doubts[row.id, row.attempt] = since
            self.causes[row.cause or ""] += 1
            if self.moves:
                self.broken("I12", f"a planned move leaves {row.id[-6:].hex()} in doubt")

    def over(self, row: Issue) -> None:
        self.note("over", row.id[-6:].hex(), row.attempt, row.state)
        if row.state in (*IN_DOUBT, SAID):
            self._in_time(row.id, row.attempt)

    def evident(self, message_id: bytes, attempt: int) -> None:
        self.evidence[message_id].setdefault(attempt, self.now())

    def twice(self, message_id: bytes, attempt: int) -> None:
        self.note("twice", message_id[-6:].hex(), attempt)
        self.counted[message_id] += 1

    # webhooks

    def webhooks_taken(self, body: bytes) -> None:
        """This was answered 200: it never comes again."""
        for entry in msgspec.json.decode(body)["entry"]:
            for change in entry["changes"]:
                value = change["value"]
                self.inbound_told.update(one["id"] for one in value.get("messages", ()))
                for status in value.get("statuses", ()):
                    accepted = self.wamids[status["id"]]
                    bare = "biz_opaque_callback_data" not in status
                    told = (accepted.attempt, status["status"], bare)
                    self.statuses_told[accepted.id].add(told)
                    if not bare:  # whoever has it has to heed it
                        self.evident(accepted.id, accepted.attempt)

    @property
    def duplicates(self) -> int:
        """Messages that were taken more than once."""
        return sum(len(taken) > 1 for taken in self.attempts.values())


def _reference(body: bytes) -> Reference | None:
    return parse_reference(msgspec.json.decode(body).get("biz_opaque_callback_data", ""))
