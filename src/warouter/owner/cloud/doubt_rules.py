"""How a message in doubt is treated, by its kind and by what its sender asked for."""

from __future__ import annotations

from warouter.flow.doubt.schedule import next_look
from warouter.flow.doubt.states import Issue, Treatment
from warouter.flow.doubt.verdict import DoubtRule, Policy
from warouter.flow.windows import Wait, Windows
from warouter.kinds import MESSAGE, POLICY_NAMES, READ_MARK, base_of, has_priority, policy_of
from warouter.owner.cloud.facts.templates import AUTHENTICATION, KnownTemplates
from warouter.upstream.cloud.template import template_of

SENT_SECONDS = 5.0  # for which a ``sent`` is waited for, where that is asked for


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
        self._rules: dict[tuple[str, Wait], DoubtRule] = {}

    def was_held(self, body: bytes | memoryview) -> None:
        """The Cloud API has taken this message, and holds it back for a while."""
        self._templates.was_held(body)

    def urgent(self, kind: int, body: bytes | memoryview) -> bool:
        """True if its sender said so, and for an authentication template: its reader waits. Read
        marks wait for nobody, as they cost nothing.
        """
        if kind != MESSAGE and (has_priority(kind) or base_of(kind) == READ_MARK):
            return True
        return self._templates.category(template_of(body)) == AUTHENTICATION

    @property
    def version(self) -> int:
        """The number of times that what is known of templates has changed."""
        return self._templates.version

    def next_look(self, issue: Issue, now: float) -> float:
        """Return when time may change the state of this message."""
        rule = self.of(issue.treatment)
        return next_look(issue, rule, self.fence, self.held, SENT_SECONDS, now)

    def treatment(self, kind: int, body: bytes | memoryview) -> Treatment:
        """Return what is known for ever of how a message is treated, by its kind and body."""
        return Treatment(POLICY_NAMES[policy_of(kind)] or "", template_of(body))

    def of(self, treatment: Treatment) -> DoubtRule:
        """The rule for it, by what is known of its template now."""
        wait = self._wait(treatment.template)
        rule = self._rules.get((treatment.policy, wait))
        if rule is None:
            window = self._windows.of(wait)
            policy = Policy(treatment.policy) if treatment.policy else self._policy
            rule = DoubtRule(policy, window.ends, window.blind, window.lane)
            self._rules[treatment.policy, wait] = rule
        return rule

    def _wait(self, template: tuple[str, str]) -> Wait:
        if self._templates.may_be_held(template):
            return Wait.HELD
        authenticates = self._templates.category(template) == AUTHENTICATION
        return Wait.AUTHENTICATION if authenticates else Wait.ORDINARY
