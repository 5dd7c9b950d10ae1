"""The registration authority's state: codes that were sent, and two-step pins. Pure.

A code is good for ten minutes and five tries, and a number may ask for five in that time. A pin may
be guessed five times, then not for a quarter of an hour. A verification may be repeated while its
code is good: whoever did not hear the answer asks again.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from hmac import compare_digest

CODE_S = 600.0
CODE_TRIES = 5
CODES = 5  # in CODE_S
PIN_TRIES = 5
PIN_WAIT_S = 900.0


class Declined(Exception):
    """The authority declines. ``reason`` is for programs, the message for people."""

    def __init__(self, reason: str, sentence: str, retry_after: int | None = None) -> None:
        super().__init__(sentence)
        self.reason = reason
        self.sentence = sentence
        self.retry_after = retry_after


@dataclass
class _KnownNumber:
    code: str = ""
    method: str = ""
    ends: float = 0.0
    tries: int = 0
    asked: list[float] = field(default_factory=list)
    salt: bytes = b""
    pin: bytes = b""  # digest; empty: two-step is off
    pin_tries: int = 0
    pin_blocked: float = 0.0


def draw_code() -> str:
    """A random code of six digits."""
    return f"{secrets.randbelow(1_000_000):06d}"


class NumberAuthority:
    """Codes and pins by number. ``now`` is monotonic seconds; a
    number is digits, country code first.
    """

    def __init__(self, draw: Callable[[], str] = draw_code) -> None:
        self._draw = draw
        self._numbers: dict[str, _KnownNumber] = {}

    def request(self, number: str, method: str, pin: str | None, now: float) -> str:
        """A new code, sent by ``method``; raises Declined (pin_missing, pin_wrong, wait)."""
        known = self._numbers.setdefault(number, _KnownNumber())
        self._check_pin(known, pin, now)
        known.asked = [at for at in known.asked if now - at < CODE_S]
        if len(known.asked) >= CODES:
            raise _wait("too many codes were requested", known.asked[0] + CODE_S - now)
        known.asked.append(now)
        known.code, known.method = self._draw(), method
        known.ends, known.tries = now + CODE_S, 0
        return known.code

    def verify(self, number: str, code: str, now: float) -> bool:
        """Check a code; returns if two-step is on. Raises Declined (code) if it is wrong."""
        known = self._numbers.get(number)
        if known is None or not known.code:
            raise Declined("code", "no code was requested")
        if now >= known.ends:
            raise Declined("code", "the code has expired: request another one")
        if known.tries >= CODE_TRIES:
            raise Declined("code", "the code was tried too often: request another one")
        if not compare_digest(known.code.encode(), code.encode()):
            known.tries += 1
            raise Declined("code", "the code is wrong")
        return bool(known.pin)

    def set_pin(self, number: str, pin: str | None) -> None:
        """Turn two-step on with the pin, or off (None)."""
        known = self._numbers.setdefault(number, _KnownNumber())
        known.salt = secrets.token_bytes(16)
        known.pin = b"" if pin is None else _digest(known.salt, pin)
        known.pin_tries, known.pin_blocked = 0, 0.0

    def codes(self, now: float) -> dict[str, dict[str, object]]:
        """The last code of each number, as in an SMS to its owner."""
        return {
            number: {
                "code": known.code,
                "method": known.method,
                "valid_s": round(known.ends - now, 3),
            }
            for number, known in self._numbers.items()
            if known.code and now < known.ends
        }

    def _check_pin(self, known: _KnownNumber, pin: str | None, now: float) -> None:
        if not known.pin:
            return
        if not pin:
            raise Declined("pin_missing", "two-step verification is on: the pin is required")
        if now < known.pin_blocked:
            raise _wait("the pin was guessed too often", known.pin_blocked - now)
        if compare_digest(known.pin, _digest(known.salt, pin)):
            known.pin_tries = 0
            return
        known.pin_tries += 1
        if known.pin_tries >= PIN_TRIES:
            known.pin_tries, known.pin_blocked = 0, now + PIN_WAIT_S
        raise Declined("pin_wrong", "the pin is wrong")


def _wait(sentence: str, seconds: float) -> Declined:
    return Declined("wait", sentence, max(1, int(seconds + 0.999)))


def _digest(salt: bytes, pin: str) -> bytes:
    return hashlib.sha256(salt + pin.encode()).digest()
