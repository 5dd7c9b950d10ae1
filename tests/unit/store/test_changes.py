"""Changes of one record, in the form in which the database takes them."""

from __future__ import annotations

from warouter.flow.progress import LogProgress, Stated
from warouter.store.journal.issues import DOUBTED, KEPT
from warouter.store.journal.progress import SlotProgress, changes

_NONE = LogProgress(0, [], [])


def test_of_what_was_said_of_a_request_the_last_is_recorded() -> None:
    """An update that finds several rows for one takes any of them."""
    said = [Stated(1, 1, DOUBTED, 1), Stated(2, 1, DOUBTED, 1), Stated(1, 1, KEPT, 1)]
    [messages] = [SlotProgress(3, LogProgress(0, [], list(said)), _NONE, _NONE)]
    recorded = changes([messages])["issues"]
    assert {(row["seq"], row["state"]) for row in recorded} == {(1, KEPT), (2, DOUBTED)}
