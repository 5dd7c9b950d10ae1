"""The account's templates: their categories, and those that Meta holds back.

Each coreapp asks for the categories, before it owns anything: what a successor finds in doubt waits
by its kind. What one owner sees held back all hear of, by the database.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping

from warouter.cloud_number import NumberCloud
from warouter.owner.cloud.asking import ask
from warouter.store.bounded import Fetch
from warouter.store.cloud import number as store
from warouter.upstream.cloud.graph.number_calls import NumberCalls
from warouter.upstream.cloud.template import template_of

READ_SECONDS = 3600.0
READ_AGAIN_SECONDS = 60.0
AUTHENTICATION, MARKETING = "AUTHENTICATION", "MARKETING"


class KnownTemplates:
    """Asks for the categories when that is due, and answers by a template's name and language."""

    def __init__(
        self, of: NumberCloud, fetch: Fetch, graph: NumberCalls, clock: Callable[[], float]
    ) -> None:
        self._of = of
        self._fetch = fetch
        self._graph = graph
        self._clock = clock
        self._due = -math.inf
        self._categories: Mapping[tuple[str, str], str] = {}
        self._held: set[str] = set()
        self.version = 0  # how often either of them changed

    def see_to(self) -> None:
        """Ask for the categories, if it is time."""
        now = self._clock()
        if now >= self._due:
            self._due = now + READ_AGAIN_SECONDS
            ask(self._of, self._read())

    def read_soon(self) -> None:
        """Ask again with the next look: the templates have changed."""
        self._due = -math.inf

    def use(self, categories: Mapping[tuple[str, str], str]) -> None:
        """Take the category of each template, by its name and language."""
        self.version += categories != self._categories
        self._categories = categories

    def held_are(self, names: Collection[str]) -> None:
        """Take the names of templates that other owners have seen held back."""
        self.version += not self._held.issuperset(names)
        self._held.update(names)

    def was_held(self, body: bytes | memoryview) -> None:
        """Note that Meta holds this message back for a while: so it may others of its template.
        A successor, which sees no answer of before, is to wait long enough as well.
        """
        name, _ = template_of(body)
        if name and name not in self._held:
            self._held.add(name)
            self.version += 1
            ask(self._of, store.hold_back(self._fetch, self._of.waba_id, name))

    def category(self, template: tuple[str, str]) -> str:
        """The category of a template as Meta names it; "" for one that nobody knows, or none."""
        return self._categories.get(template, "")

    def may_be_held(self, template: tuple[str, str]) -> bool:
        """True if Meta may hold messages of this template back before it sends them."""
        return self.category(template) == MARKETING or template[0] in self._held

    async def _read(self) -> None:
        self.use(await self._graph.categories(self._of))
        self._due = self._clock() + READ_SECONDS
