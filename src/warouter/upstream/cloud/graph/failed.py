"""How calls of the Graph API fail. Pure."""

from __future__ import annotations

from warouter.errors import WarouterError
from warouter.upstream.cloud.answers import Class, Judged

DEAD_TOKEN = 190


class CallFailed(WarouterError):
    """A call came to nothing; ``judged`` is what the answer says, None without one."""

    def __init__(self, words: str, judged: Judged | None = None) -> None:
        super().__init__(words)
        self.judged = judged

    @property
    def words(self) -> str:
        """Meta's own, or why there are none."""
        return str(self) if self.judged is None else self.judged.details or self.judged.title

    @property
    def passing(self) -> bool:
        """True if nothing is known to be wrong: it may go well the next time."""
        return self.judged is None or self.judged.cls not in (Class.FINAL, Class.OPERATOR)

    @property
    def by_request(self) -> bool:
        """Meta refused what was asked for, and not who asks: the token is well."""
        judged = self.judged
        return not self.passing and judged is not None and judged.meta_code != DEAD_TOKEN

    @property
    def for_operator(self) -> bool:
        """Token, permission, registration or policy: it stays so until somebody acts."""
        return self.judged is not None and self.judged.cls is Class.OPERATOR


class CallAway(CallFailed):
    """No answer, or none that is final: try again."""


class CallSlow(CallAway):
    """No answer in time."""


class CallRefused(CallFailed):
    """The Graph API refused what was asked for."""
