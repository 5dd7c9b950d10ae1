"""Decides, by the switches, if a message is refused for good. Pure.

The codes are those that the API shows in a ``failed`` status. What passes is counted for the tier.
"""

from __future__ import annotations

from random import Random

import msgspec

from warouter.lab.simulator.behaviour import Behaviour
from warouter.lab.simulator.identity import Identities
from warouter.upstream.protocol import Send

DAY_S = 24 * 3600.0

NO_PAYMENT = 402
UNSIGNED = 430
RE_ENGAGEMENT = 470
SPAM = 471
EXPERIMENT = 472
IDENTITY = 480
BLOCKED = 1007
UNKNOWN_USER = 1013
INCAPABLE = 1026
LOCKED = 1031


class _TemplateName(msgspec.Struct):
    name: str = ""


class _DecidingFields(msgspec.Struct):
    """The fields of a message's body that decide."""

    type: str | None = None
    template: _TemplateName | None = None


_BODY = msgspec.json.Decoder(_DecidingFields)


class RefusalJudge:
    """Applies the last switches given to ``use``."""

    def __init__(self, identities: Identities, random: Random) -> None:
        self._identities = identities
        self._random = random
        self._wrote: dict[str, float] = {}  # sender -> when the last inbound message came
        self._reached: dict[str, float] = {}  # recipient -> first message of the tier's 24 hours
        self.use(Behaviour())

    def use(self, faults: Behaviour) -> None:
        """Apply other faults from now on."""
        self._faults = faults
        self._any = faults.refuses
        self._account = (
            (LOCKED if faults.locked else 0)
            or (UNSIGNED if faults.uncertified else 0)
            or (NO_PAYMENT if faults.no_payment else 0)
        )
        self._numbers = {
            **dict.fromkeys(faults.incapable, INCAPABLE),
            **dict.fromkeys(faults.experiment, EXPERIMENT),
            **dict.fromkeys(faults.blocked, BLOCKED),
            **dict.fromkeys(faults.unknown, UNKNOWN_USER),
        }
        if not faults.tier:
            self._reached.clear()

    def wrote(self, sender: str, now: float) -> None:
        """A customer wrote: for 24 hours any message to them is allowed."""
        self._wrote[sender] = now

    def code(self, send: Send, now: float) -> int:
        """The code of the refusal, 0 if the message passes; ``now``
        is seconds of the monotonic clock.
        """
        if not self._any:
            return 0
        template = _template(send)
        code = self.judged(send.to, template, now)
        # How the late product words it.
        return RE_ENGAGEMENT if code == UNKNOWN_USER and template is None else code

    def judged(self, to: str, template: str | None, now: float) -> int:
        """The code of the refusal of a message to ``to``, 0 if it passes; ``template`` is its name
        if it is one. A number that is not on WhatsApp is always UNKNOWN_USER.
        """
        if not self._any:
            return 0
        return self._account or self._of_person(to, template, now) or self._of_pace(to, now)

    def _of_person(self, to: str, template: str | None, now: float) -> int:
        faults = self._faults
        if code := self._numbers.get(to, 0):
            return code
        if faults.identity_check and self._identities.doubtful(to):
            return IDENTITY
        if template is not None:
            return faults.templates.get(template, 0)
        return RE_ENGAGEMENT if faults.window and not self._wrote_lately(to, now) else 0

    def _of_pace(self, to: str, now: float) -> int:
        faults = self._faults
        if faults.spam and self._random.random() < faults.spam:
            return SPAM
        if faults.tier and not self._wrote_lately(to, now):
            return self._of_tier(to, now)
        return 0

    def _of_tier(self, recipient: str, now: float) -> int:
        reached = self._reached
        if now - reached.get(recipient, float("-inf")) < DAY_S:
            return 0
        if len(reached) >= self._faults.tier:
            reached = self._reached = {to: at for to, at in reached.items() if now - at < DAY_S}
        if len(reached) >= self._faults.tier:
            return SPAM
        reached[recipient] = now
        return 0

    def _wrote_lately(self, customer: str, now: float) -> bool:
        return now - self._wrote.get(customer, float("-inf")) < DAY_S


def _template(send: Send) -> str | None:
    """The name of the template that is sent; None for any other message."""
    try:
        body = _BODY.decode(send.body)
    except msgspec.DecodeError:
        return None
    return body.template.name if body.type == "template" and body.template else None
