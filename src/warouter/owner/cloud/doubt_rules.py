"""How a message in doubt is treated, by its kind and by what its sender asked for."""

from __future__ import annotations

from warouter.flow.doubt import DoubtRule, Policy
from warouter.flow.windows import Wait, Windows
from warouter.kinds import MESSAGE, POLICY_NAMES, READ_MARK, base_of, has_priority, policy_of
from warouter.owner.cloud.facts.templates import AUTHENTICATION, KnownTemplates


class RuleBook:
    """The rules of one number. ``fence``: so long a request may still be taken, at most ``base``'s
    shortest window. ``usual``: the window of an ordinary message, ``held``: seconds until what is
    held ends as failed.
    """

    def __init__(
        self,
        policy: Policy,
        windows: Windows,
        fence: float,
        held: float,
        templates: KnownTemplates,
    ) -> None:
        self._policy = policy
        self._windows = windows
        self.fence = min(fence, windows.of(Wait.AUTHENTICATION).ends)
        self.usual = windows.of(Wait.ORDINARY).ends
        self.held = held
        self._templates = templates

    def was_held(self, body: bytes | memoryview) -> None:
        """The Cloud API has taken this message, and holds it back for a while."""
        self._templates.was_held(body)

    def urgent(self, kind: int, body: bytes | memoryview) -> bool:
        """True if its sender said so, and for an authentication template: its reader waits. Read
        marks wait for nobody, as they cost nothing.
        """
        if kind != MESSAGE and (has_priority(kind) or base_of(kind) == READ_MARK):
            return True
        return self._templates.category(body) == AUTHENTICATION

    def of(self, kind: int, body: bytes | memoryview) -> DoubtRule:
        window = self._windows.of(self._wait(body))
        asked = POLICY_NAMES[policy_of(kind)]
        policy = Policy(asked) if asked else self._policy
        return DoubtRule(policy, window.ends, window.blind, window.lane)

    def _wait(self, body: bytes | memoryview) -> Wait:
        if self._templates.may_be_held(body):
            return Wait.HELD
        authenticates = self._templates.category(body) == AUTHENTICATION
        return Wait.AUTHENTICATION if authenticates else Wait.ORDINARY
