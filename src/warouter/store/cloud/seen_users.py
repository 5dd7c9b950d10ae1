"""Users whose ids this webapp has written lately, and what was said of them.

Each status of a message shows its user, and nearly all say the same: those cost no statement.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping

from warouter.cloud_number import NumberCloud
from warouter.upstream.cloud.batch import Element

MOST_SEEN = 20_000  # one that is forgotten is written once more, which changes nothing
# Another webapp may have learned otherwise since, so a user is written anew after so long.
SEEN_SECONDS = 3_600.0

_Said = tuple[str, str, str, str]


class SeenUsers:
    """By portfolio and id of the user. ``numbers`` are ours, by id; ``clock`` in seconds."""

    def __init__(
        self, numbers: Mapping[int, NumberCloud], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._numbers = numbers
        self._clock = clock
        self._seen: OrderedDict[tuple[int, str], tuple[_Said, float]] = OrderedDict()

    def has(self, element: Element) -> bool:
        """True if an element says nothing of its user that is not written."""
        if element.previous_user_id or element.changed_to:
            return False
        if not element.user_id:
            return True
        said, until = self._seen.get(self._user(element), (None, 0.0))
        return said == _said(element) and self._clock() < until

    def written(self, elements: Iterable[Element]) -> None:
        """Remember the users of these."""
        until = self._clock() + SEEN_SECONDS
        for element in elements:
            if not element.user_id:
                continue
            user = self._user(element)
            self._seen.pop(user, None)
            if not element.previous_user_id and not element.changed_to:
                self._seen[user] = _said(element), until
        while len(self._seen) > MOST_SEEN:
            self._seen.popitem(last=False)

    def _user(self, element: Element) -> tuple[int, str]:
        return self._numbers[element.number].portfolio, element.user_id


def _said(element: Element) -> _Said:
    return element.wa_id, element.parent_user_id, element.username, element.name
