"""The ledger of which callbacks came for which message.

A message is whole when it was accepted and each of its three statuses came; it is then forgotten,
so that a run of minutes stays small. What comes for it once more makes an entry that was not
accepted: a repeat, counted at the end.

Where statuses may come in another order than they happened, the last is enough: an earlier one that
comes after it is not shown any more.
"""

from __future__ import annotations

from tests.harness.receiver import Post

LEVELS = {"sent": 1, "delivered": 2, "read": 4}
LAST_IS_ENOUGH = {"sent": 1, "delivered": 3, "read": 7}
ACCEPTED = 8
WHOLE = 15


class Ledger:
    """What came for whom; with ``refusing`` the webhook says 503 and notes nothing.

    ``times`` are the monotonic seconds at which callbacks came, by id and status; None: not noted.
    """

    def __init__(self) -> None:
        self.refusing = False
        self.levels = LEVELS
        self.accepted = 0
        self.whole = 0
        self.callbacks = 0
        self.posts = 0
        self.repeats = 0
        self.times: dict[str, float] | None = None
        self._seen: dict[str, int] = {}

    def keep(self, message_id: bytes, _began: float, _now: float) -> None:
        """It was accepted, and callbacks are to come."""
        self.accepted += 1
        self._note(message_id.decode(), ACCEPTED)

    def answer(self, _post: Post) -> int:
        return 503 if self.refusing else 200

    def on_post(self, post: Post) -> None:
        """One POST of the product's that was taken."""
        self.posts += 1
        statuses = post.callback.statuses
        self.callbacks += len(statuses)
        for status in statuses:
            self._note(status.id, self.levels.get(status.status, 0))
            if self.times is not None:
                self.times.setdefault(f"{status.id} {status.status}", post.at)

    def _note(self, message_id: str, what: int) -> None:
        before = self._seen.get(message_id, 0)
        now = before | what
        self.repeats += now == before
        if now == WHOLE:
            self.whole += 1
            del self._seen[message_id]
        else:
            self._seen[message_id] = now

    def counts(self) -> dict[str, object]:
        """``whole_and_accepted`` messages, and callbacks that came more than once."""
        again = sum(not seen & ACCEPTED for seen in self._seen.values())
        return {
            "accepted": self.accepted,
            "whole_and_accepted": self.whole,
            "callbacks": self.callbacks,
            "repeated_callbacks": self.repeats + again,
            "posts": self.posts,
        }
