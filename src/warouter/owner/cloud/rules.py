"""How a message in doubt is treated, by its kind and by what its sender asked for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import msgspec

from warouter.flow.doubt import DoubtRule, Policy
from warouter.flow.windows import Wait, Windows
from warouter.kinds import MESSAGE, POLICY_NAMES, READ_MARK, base_of, has_priority, policy_of

AUTHENTICATION, MARKETING = "AUTHENTICATION", "MARKETING"


class _Language(msgspec.Struct):
    code: str = ""


class _Template(msgspec.Struct):
    name: str = ""
    language: _Language = msgspec.field(default_factory=_Language)


class _Body(msgspec.Struct):
    template: _Template | None = None


_body = msgspec.json.Decoder(_Body)


class RuleBook:
    """The rules of one number. ``fence``: so long a request may still be taken, at most ``base``'s
    shortest window. ``usual``: the window of an ordinary message, ``held``: seconds until what is
    held ends as failed.
    """

    def __init__(self, policy: Policy, windows: Windows, fence: float, held: float) -> None:
        self._policy = policy
        self._windows = windows
        self.fence = min(fence, windows.of(Wait.AUTHENTICATION).ends)
        self.usual = windows.of(Wait.ORDINARY).ends
        self.held = held
        self._categories: Mapping[tuple[str, str], str] = {}
        self._held_back: set[str] = set()
        self._tell: Callable[[str], None] = lambda _template: None

    def use(self, categories: Mapping[tuple[str, str], str]) -> None:
        """The category of each template, by its name and language."""
        self._categories = categories

    def was_held(self, body: bytes | memoryview) -> None:
        """An answer said that Meta holds this message back for a while: so it may others of its
        template.
        """
        name, _ = self._template(body)
        if name and name not in self._held_back:
            self._held_back.add(name)
            self._tell(name)

    def tell(self, tell: Callable[[str], None]) -> None:
        """Tell of each template that is held back for the first time."""
        self._tell = tell

    def held_are(self, templates: Collection[str]) -> None:
        """Other owners have seen these held back."""
        self._held_back.update(templates)

    def _template(self, body: bytes | memoryview) -> tuple[str, str]:
        """The name and the language of the template in a v1 body, empty if it is none."""
        if b'"template"' not in bytes(body):
            return "", ""
        try:
            found = _body.decode(body).template
        except msgspec.MsgspecError:
            return "", ""
        return (found.name, found.language.code) if found is not None else ("", "")

    def urgent(self, kind: int, body: bytes | memoryview) -> bool:
        """True if its sender said so, and for an authentication template: its reader waits. Read
        marks wait for nobody, as they cost nothing.
        """
        if kind != MESSAGE and (has_priority(kind) or base_of(kind) == READ_MARK):
            return True
        return self._categories.get(self._template(body)) == AUTHENTICATION

    def of(self, kind: int, body: bytes | memoryview) -> DoubtRule:
        window = self._windows.of(self._wait(body))
        asked = POLICY_NAMES[policy_of(kind)]
        policy = Policy(asked) if asked else self._policy
        return DoubtRule(policy, window.ends, window.blind, window.lane)

    def _wait(self, body: bytes | memoryview) -> Wait:
        template = self._template(body)
        category = self._categories.get(template)
        if category == MARKETING or template[0] in self._held_back:
            return Wait.HELD
        return Wait.AUTHENTICATION if category == AUTHENTICATION else Wait.ORDINARY
