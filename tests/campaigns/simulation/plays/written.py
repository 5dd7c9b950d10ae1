"""Plays that are written out: of a mistake that the drawn ones of a test run do not show.

Hypothesis draws what was written here in one of several hundred plays, and those take minutes.
"""

from __future__ import annotations

from tests.campaigns.simulation.plays.calls import (
    INCARNATIONS,
    SLOTS,
    THE_LEADER,
    THE_OWNER,
    Call,
    Owned,
    id_of,
    whole,
)
from warouter.cluster.plan import Takeover
from warouter.store.journal.issues import IssueRequest
from warouter.store.journal.progress import ProgressColumns

_ANOTHER_PICTURE = Takeover(3, seen_epoch=-1, to=INCARNATIONS["b"], old=None, reason="unreachable")
# A leader gives a slot away that it saw under an epoch before the one that it has now.
OLD_PICTURE = whole(
    [(Call(THE_LEADER, "take_over", {"term": None, "moves": [_ANOTHER_PICTURE], "ages": None}),)]
)
# Two messages of a lane wait, and are read one at a time.
_TWO = [
    {"slot": 3, "seq": seq, "attempts": 1, "delay_ms": 7 * seq, "reason": "refused"}
    for seq in (1, 2)
]
_PARK = {"owned": Owned(SLOTS), "wire": ProgressColumns({}, {}, {"park": _TWO})}
TWO_OF_A_LANE = whole([(Call(THE_OWNER, "write", _PARK),)])
# A status of a message came to another number than its own: the message may go again.
_SAID = {"key": "w.9:sent:1", "message_id": id_of(3, 1), "attempt": 1, "wamid": "w.9"}
_TO_ANOTHER = {"slot": 3, "kind": 0, "payload": b"{}", "number": 2, **_SAID}
_AGAIN = {"owned": 0, "rows": [IssueRequest(3, 1, id_of(3, 1), "1", attempt=2, doubts=1)]}
FOREIGN = whole([(Call("a", "say", _TO_ANOTHER), Call(THE_OWNER, "issue", _AGAIN))])
WRITTEN = (OLD_PICTURE, TWO_OF_A_LANE, FOREIGN)
