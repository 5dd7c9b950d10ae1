"""Which requests go to ``marketing_messages``: templates of that category, where Meta has let the
account in. All others go to ``messages``, as does a template that the former edge has refused.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from warouter.upstream.cloud.answers import Class, Judged
from warouter.upstream.cloud.template import template_of

log = logging.getLogger(__name__)

MESSAGES, MARKETING = EDGES = "messages", "marketing_messages"
# The account, the template or the number may not use this edge; nothing was taken.
_NOT_HERE = frozenset({131055, 131063, 134100})


class Marketing:
    """``on``: the edge is to be used where it can be."""

    def __init__(self, *, on: bool) -> None:
        self.on = on
        # By number, and only of those that have some.
        self._templates: dict[int, frozenset[tuple[str, str]]] = {}

    def learn(
        self, number: int, categories: Mapping[tuple[str, str], str], *, onboarded: bool
    ) -> None:
        """Take what Meta says of a number's account and its templates, by name and language."""
        found = (key for key, category in categories.items() if category == "MARKETING")
        self._use(number, frozenset(found if self.on and onboarded else ()))

    def edge(self, number: int, body: bytes) -> str:
        """The edge for a request of a number with this body."""
        if not self._templates:  # nearly always
            return MESSAGES
        return MARKETING if template_of(body) in self._templates.get(number, ()) else MESSAGES

    def judged(self, number: int, body: bytes, edge: str, judged: Judged) -> Judged:
        """Judge the answer of an edge to a number's request.

        A message that is refused for the edge's sake goes to the other one at once, under the same
        attempt.
        """
        if edge != MARKETING or judged.meta_code not in _NOT_HERE:
            return judged
        template, ours = template_of(body), self._templates.get(number, frozenset())
        if template in ours:  # until the templates are read again
            self._use(number, ours - {template})
            said = {"template": template[0], "code": judged.meta_code, "details": judged.details}
            log.warning("marketing template refused by its edge", extra=said)
        return Judged(Class.NOT_TAKEN, details=judged.details)

    def _use(self, number: int, templates: frozenset[tuple[str, str]]) -> None:
        if templates:
            self._templates[number] = templates
        else:
            self._templates.pop(number, None)
