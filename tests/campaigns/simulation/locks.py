"""Advisory locks of transactions: shared or exclusive, with a queue each, held to the end."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

TERM, SLOT = -1, 0  # the term's lock has one key, below all slots


class Lock(NamedTuple):
    """A wish: ``key`` is TERM or a slot."""

    key: int
    exclusive: bool


class _State:
    __slots__ = ("exclusive", "holders", "queue")

    def __init__(self) -> None:
        self.holders: set[Transaction] = set()
        self.exclusive = False
        self.queue: deque[tuple[Transaction, bool]] = deque()

    def grants(self, exclusive: bool) -> bool:
        return not self.holders or not (exclusive or self.exclusive)


class Transaction:
    """Takes its locks one after the other, in the order given, then calls ``granted``."""

    def __init__(self, wants: list[Lock], granted: Callable[[], None]) -> None:
        self.wants = wants
        self.granted = granted
        self.held = 0  # of ``wants``
        self.waits = False
        self.ended = False


class Locks:
    """All locks of one database."""

    def __init__(self) -> None:
        self._states: dict[int, _State] = {}

    def acquire(self, transaction: Transaction) -> None:
        """Go on taking locks; calls ``granted`` once all are held."""
        wants = transaction.wants
        while transaction.held < len(wants):
            want = wants[transaction.held]
            state = self._states.get(want.key)
            if state is None:
                state = self._states[want.key] = _State()
            if state.queue or not state.grants(want.exclusive):
                state.queue.append((transaction, want.exclusive))
                transaction.waits = True
                return
            self._take(state, transaction, want.exclusive)
        transaction.granted()

    def release(self, transaction: Transaction) -> None:
        """The transaction ends, one way or the other."""
        if transaction.ended:
            return
        transaction.ended = True
        keys = transaction.wants[: transaction.held + transaction.waits]
        for want in keys:
            state = self._states[want.key]
            state.holders.discard(transaction)
        woken: list[Transaction] = []
        for want in keys:
            woken += self._grant(self._states[want.key])
        for other in woken:
            if not other.ended:
                self.acquire(other)

    def _grant(self, state: _State) -> list[Transaction]:
        woken: list[Transaction] = []
        while state.queue:
            transaction, exclusive = state.queue[0]
            if transaction.ended:
                state.queue.popleft()
                continue
            if not state.grants(exclusive):
                break
            state.queue.popleft()
            transaction.waits = False
            self._take(state, transaction, exclusive)
            woken.append(transaction)
        return woken

    def _take(self, state: _State, transaction: Transaction, exclusive: bool) -> None:
        state.holders.add(transaction)
        state.exclusive = exclusive
        transaction.held += 1
