"""When time may change the state of a message next, so that nobody looks at it before."""

from __future__ import annotations

import math

from warouter.flow.doubt.states import KEPT, UNKNOWN, DoubtState, Issue
from warouter.flow.doubt.verdict import DoubtRule

# What waits for something else than time (a proof, a reading, the brake, its lane) is looked at
# more seldom the longer it has waited.
SOON_SECONDS = (0.2, 5.0)
SLOWER = 64.0


def next_look(
    issue: Issue, rule: DoubtRule, fence: float, held: float, sent: float, now: float
) -> float:
    """Return the time, in the caller's seconds; inf for a state that time does not change."""
    due = _due(issue, rule, fence, held, sent)
    if issue.state is DoubtState.DOUBT and rule.window > rule.lane:
        aside = issue.since + rule.lane
        due = min(due, aside)
    return due if due > now else now + _soon(now - due)


def _due(issue: Issue, rule: DoubtRule, fence: float, held: float, sent: float) -> float:
    if issue.state is DoubtState.RETURNING:
        return issue.since
    if issue.state in UNKNOWN:
        return min(issue.ends, issue.since + max(rule.window, fence))
    if issue.state in KEPT:
        return issue.since + held
    if issue.state is DoubtState.SAID:
        return issue.since + fence
    if issue.state is DoubtState.TAKEN:
        return issue.since + sent
    return math.inf


def _soon(waited: float) -> float:
    least, most = SOON_SECONDS
    return min(most, max(least, waited / SLOWER))
