"""Refusals with a code that nobody knows. Pure.

One of them is the end of its message. Many in a row, and nothing taken between, are no fault of the
messages: Meta has changed something, and an operator must look. So the number stops then, and the
messages wait; one that was refused waits longer, so that another one is tried first.
"""

from __future__ import annotations

from msgspec.structs import replace

from warouter.upstream.cloud.answers import Class, Judged

MANY = 10
WAIT_MS = 60_000


class Strange:
    """Counts them, by the code that came last."""

    def __init__(self) -> None:
        self._code = -1
        self._in_a_row = 0

    def judged(self, judged: Judged) -> Judged:
        """Judge an answer by those before it, too: many unknown codes stop the number."""
        if judged.cls is Class.TAKEN:
            self._in_a_row = 0
        if not judged.strange:
            return judged
        if judged.meta_code != self._code:
            self._code, self._in_a_row = judged.meta_code, 0
        self._in_a_row += 1
        if self._in_a_row < MANY:
            return judged
        said = f"{self._in_a_row} messages in a row were refused with this unknown code"
        return replace(
            judged, cls=Class.OPERATOR, wait_ms=WAIT_MS, details=f"{said}: {judged.details}"
        )
