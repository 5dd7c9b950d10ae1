"""Hands the requests of an ended epoch to the next epoch of the same slot in this process.

An epoch ends with each commit of unknown outcome, and the next one begins at once. What was issued
is in doubt then; but what this process has heard, or knows that it never began, is as true as it
was.
"""

from __future__ import annotations

from collections.abc import Callable

from warouter.flow.doubt.states import UNKNOWN, Issue
from warouter.owner.cloud.rate.pace import Pace
from warouter.owner.slot import OwnedSlot
from warouter.upstream.cloud.answers import Class, Judged
from warouter.upstream.cloud.graph.client import CloudUpstream, MessagePost, RequestState

NEVER_BEGAN = Judged(Class.NOT_TAKEN)


class Carryover:
    """Carries what is known of requests on; ``hear`` takes it as if it came now."""

    def __init__(
        self,
        upstream: CloudUpstream,
        pace: Pace,
        hear: Callable[[OwnedSlot, MessagePost, Judged], None],
    ) -> None:
        self._upstream = upstream
        self._pace = pace
        self._hear = hear
        # By slot: its epoch, and the last attempt of each message that began.
        self._left: dict[int, tuple[int, dict[bytes, int]]] = {}

    def closed(self, slot: OwnedSlot) -> None:
        """Keep which requests have begun as the epoch ends."""
        self._left[slot.slot] = slot.epoch, slot.issues.begun

    def opened(self, slot: OwnedSlot) -> None:
        """Forget what was kept, unless this is the next epoch: an owner in between may have begun
        the same.
        """
        epoch, begun = self._left.get(slot.slot, (-1, {}))
        self._left[slot.slot] = slot.epoch, begun if epoch + 1 == slot.epoch else {}

    def found(self, slot: OwnedSlot, issue: Issue) -> None:
        """End the doubt of a message that is found, if this process knows its outcome."""
        if issue.state not in UNKNOWN:
            return
        known = self._known(issue, self._left.get(slot.slot, (-1, {}))[1])
        if known is not None:
            ids = slot.slot, slot.epoch, issue.id, issue.attempt
            post = MessagePost(self._pace.of, *ids, b"")
            self._hear(slot, post, known)

    def _known(self, issue: Issue, begun: dict[bytes, int]) -> Judged | None:
        fate = self._upstream.fate(issue.id, issue.attempt)
        if fate is RequestState.OUT:
            return None
        heard = self._upstream.heard(issue.id, issue.attempt)
        last = begun.get(issue.id, issue.attempt)
        never = fate is RequestState.WAITING or last < issue.attempt
        return NEVER_BEGAN if heard is None and never else heard
