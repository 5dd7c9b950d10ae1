"""Plays that are written out: of a mistake that the drawn ones of a test run do not show.

Hypothesis draws what was written here in one of several hundred plays, and those take minutes.
"""

from __future__ import annotations

from tests.campaigns.simulation.plays.calls import INCARNATIONS, THE_LEADER, Call, whole
from warouter.cluster.plan import Takeover

_ANOTHER_PICTURE = Takeover(3, seen_epoch=-1, to=INCARNATIONS["b"], old=None, reason="unreachable")
# A leader gives a slot away that it saw under an epoch before the one that it has now.
OLD_PICTURE = whole(
    [(Call(THE_LEADER, "take_over", {"term": None, "moves": [_ANOTHER_PICTURE], "ages": None}),)]
)
WRITTEN = (OLD_PICTURE,)
