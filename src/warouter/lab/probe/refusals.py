"""Which of Meta's refusals end a run, and what to do about each. Pure.

To go on after some of them harms the number; after three others in a row nothing is measured but
the refusal.
"""

from __future__ import annotations

from warouter.upstream.cloud.answers import Class, Judged
from warouter.upstream.cloud.meanings import TABLE

IN_A_ROW = 3
# Meta's codes that end it at once, beside those of Class.OPERATOR.
ENDING = {
    130497: "the business may not write to this country: leave its numbers out",
    131042: "the account's payment is not in order: see to it in the billing of Meta's business"
    " settings",
    131048: "too many messages of this number were blocked or reported as spam: send nothing until"
    " WhatsApp Manager shows a better quality",
    131064: "the account is limited for misuse of templates: see its violations in WhatsApp"
    " Manager",
    134011: "the terms of payments are not accepted: accept them in WhatsApp Manager",
}
_OFTEN = {
    Class.LANE: "too many for one phone, and perhaps not the probe's alone: stop whatever else"
    " writes to it, or give more phones as --to",
    Class.NOT_TAKEN: "too many for the number, or Meta is not well: stop whatever else sends with"
    " this token, and run it again later with fewer --messages",
    Class.PAUSE: "Meta works on the number: run it again later",
}


class RunRefusals:
    """Watches the refusals of one run, in the order of its answers."""

    def __init__(self) -> None:
        self._last = Class.TAKEN
        self._count = 0

    def answered(self, judged: Judged, words: str) -> str:
        """Why this answer ends the run, "" if it does not; ``words`` are Meta's, fit to show."""
        self._count = self._count + 1 if judged.cls is self._last else 1
        self._last = judged.cls
        if judged.cls is Class.OPERATOR:
            return f"Meta refuses the token or the number ({words}): see `warouter cloud check`."
        if judged.meta_code in ENDING:
            return _sentence(judged.meta_code, words)
        if judged.cls in _OFTEN and self._count >= IN_A_ROW:
            code = f"{judged.meta_code}, " if judged.meta_code >= 0 else ""
            return f"Meta refused {self._count} in a row ({code}{words}): {_OFTEN[judged.cls]}."
        return ""


def failed(code: int) -> str:
    """The sentence with which the code of a ``failed`` status ends a run, "" if it does not."""
    if code in ENDING:
        return _sentence(code, "in a status")
    if code in TABLE and TABLE[code].cls is Class.OPERATOR:
        return f"Meta refuses the number ({code}, in a status): see `warouter cloud check`."
    return ""


def _sentence(code: int, words: str) -> str:
    return f"Meta refuses what the number sends ({code}, {words}): {ENDING[code]}."
