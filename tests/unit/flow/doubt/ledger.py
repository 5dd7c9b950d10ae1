"""The messages of a slot on disk, with Meta and in the inbox, on a clock; the promises of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from warouter.flow.doubt.events import FailureReason
from warouter.flow.doubt.states import KEPT, REQUESTED, UNKNOWN, DoubtState, Issue, RowState
from warouter.flow.doubt.verdict import DoubtRule
from warouter.flow.progress import Change

S = DoubtState
LEASE, WATCHDOG, REQUEST = 1.5, 10.0, 20.0
FENCE = LEASE + WATCHDOG + REQUEST
HELD, SENT = 300.0, 5.0
EVIDENCE = ("status", "taken")
REFUSAL = FailureReason(470, "Failed", "no")
BUSY = frozenset({S.PLACED, S.ISSUING, S.ISSUED, S.TAKEN}) | REQUESTED
ON_DISK = frozenset({S.DOUBT, S.ASIDE, S.RETURNING, S.HELD, S.SAID})


class Message(NamedTuple):
    """One that was accepted; its ttl is over at ``ends``."""

    seq: int
    to: str
    rule: DoubtRule
    ends: float = math.inf

    @property
    def id(self) -> bytes:
        return bytes([self.seq]) * 20


@dataclass
class Row:
    """The issue row of a message; its state began ``at``."""

    attempt: int
    doubts: int
    state: RowState
    at: float
    fresh: bool = False
    spared: int = 0


@dataclass
class Request:
    """One that has begun; Meta may take it ``until`` then. ``heard``: its owner reads the answer.
    ``passed``: others may have gone before it.
    """

    message: Message
    attempt: int
    epoch: int
    until: float
    passed: bool
    heard: bool = True
    over: bool = False
    taken: bool = False


class Ghost(NamedTuple):
    """A former owner that is frozen may begin this attempt ``until`` its watchdog ends it."""

    message: Message
    attempt: int
    until: float


class Word(NamedTuple):
    """A row of the inbox, which came ``at`` that time."""

    seq: int
    attempt: int
    what: str
    at: float


class Memory:
    """What the owner of one epoch knows."""

    def __init__(self, stored: set[int]) -> None:
        self.issues: dict[int, Issue] = {}
        self.lane = set(stored)  # the messages that are in their lanes
        self.read: set[int] = set()  # of those, what was read into them
        self.ending: set[int] = set()  # out of its lane until its status is on disk
        self.leaving: set[int] = set()
        self.over: set[int] = set()
        self.shut: set[str] = set()
        self.far: set[str] = set()  # lanes that were shut by a former owner
        self.notes: list[Change] = []
        self.said: list[tuple[int, bool, bool]] = []  # message, surely not sent, ends in its lane
        self.read_at = -math.inf


class Ledger:
    """Whatever survives an owner, and the time. It asserts what is promised as requests begin, are
    taken, and are decided of.
    """

    def __init__(self, messages: list[Message]) -> None:
        self.now = 0.0
        self.epoch = 1
        self.messages = {message.seq: message for message in messages}
        self.stored = set(self.messages)
        self.rows: dict[int, Row] = {}
        self.known: set[int] = set()
        self.told: dict[int, bool] = {}
        self.shut: set[str] = set()
        self.inbox: list[Word] = []
        self.requests: list[Request] = []
        self.ghosts: list[Ghost] = []
        self.taken: list[tuple[int, int]] = []
        self.repeated: set[int] = set()
        self.unclear: set[tuple[int, int]] = set()  # requests that nobody knows of
        self.passed: set[int] = set()
        self.proof = -math.inf

    def comes(self, seq: int, attempt: int, what: str) -> None:
        """Something of a message comes into the inbox."""
        self.inbox.append(Word(seq, attempt, what, self.now))

    @property
    def open(self) -> set[int]:
        """The messages that have no end yet."""
        return self.stored | self.rows.keys()

    # what is promised

    def writes(self, message: Message, attempt: int, *, heard: bool) -> None:
        """A request begins."""
        over = {seq for seq, _ in self.taken}
        for other in self.requests:
            same = other.message.to == message.to and not other.over and self.now < other.until
            if same:
                assert other.message != message, "two requests of one message are out"
                assert {other.message.seq, message.seq} & over, "two of one recipient are out"
        passed = message.seq in self.passed
        until = self.now + REQUEST
        self.requests.append(Request(message, attempt, self.epoch, until, passed, heard))

    def takes(self, request: Request) -> None:
        """Meta takes a request."""
        seq, before = request.message.seq, [seq for seq, _ in self.taken]
        assert (seq, request.attempt) not in self.taken, "one reference for two requests"
        assert not self.told.get(seq), "it was said not to be sent"
        if seq in before:
            assert seq in self.repeated, "taken twice, and nobody had it sent again"
        elif not request.passed:
            to = request.message.to
            assert not [s for s in before if s > seq and self.messages[s].to == to], "out of order"
        request.taken = request.over = True
        self.taken.append((seq, request.attempt))

    def resends(self, message: Message) -> None:
        """The policy sends it again."""
        self.repeated.add(message.seq)
        unclear = [attempt for seq, attempt in self.unclear if seq == message.seq]
        assert len(unclear) < message.rule.in_all, "too many may have been taken"

    def decided(self, issue: Issue, after: DoubtState) -> None:
        """Time has changed the state of a message."""
        wait = HELD if issue.state in KEPT else max(self.messages[issue.seq].rule.window, FENCE)
        over = min(issue.ends, issue.since + wait)
        if issue.state in UNKNOWN | KEPT and after not in (issue.state, S.ASIDE):
            unread = [w for w in self.inbox if w.seq == issue.seq and w.what in EVIDENCE]
            assert all(word.at > over for word in unread), "decided without what had come in"
