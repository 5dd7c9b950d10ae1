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
        self._templates: frozenset[tuple[str, str]] = frozenset()

    def learn(self, categories: Mapping[tuple[str, str], str], *, onboarded: bool) -> None:
        """Take what Meta says of the account and of its templates, by name and language."""
        found = (key for key, category in categories.items() if category == "MARKETING")
        self._templates = frozenset(found if self.on and onboarded else ())

    def edge(self, body: bytes) -> str:
        """The edge for a request with this body."""
        return MARKETING if self._templates and template_of(body) in self._templates else MESSAGES

    def judged(self, body: bytes, edge: str, judged: Judged) -> Judged:
        """Judge the answer of an edge.

        A message that is refused for the edge's sake goes to the other one at once, under the same
        attempt.
        """
        if edge != MARKETING or judged.meta_code not in _NOT_HERE:
            return judged
        template = template_of(body)
        if template in self._templates:  # until the templates are read again
            self._templates -= {template}
            said = {"template": template[0], "code": judged.meta_code, "details": judged.details}
            log.warning("marketing template refused by its edge", extra=said)
        return Judged(Class.NOT_TAKEN, details=judged.details)
