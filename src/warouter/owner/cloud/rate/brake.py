"""One request at a time, while none is taken. Pure.

While all that comes back is unclear, or says that there are no more calls, each request is one more
that may have been taken and that nobody will ever know of. So the brake is set, and requests go one
at a time, each after a longer wait, until one is taken. Rules of this file:
  * unclear answers set the brake once there were ``VAIN`` of them and no message was taken between;
    a limit of calls sets it at once;
  * a request whose answer was unclear and of which a status comes was taken, and counts as such;
  * of several answers at once only the first one, and then only the probe's, makes the wait longer;
  * a request that is refused for what it is says nothing of the others: the next one may try;
  * a message in doubt is sent again only where the last answer that counts took one; else one such
    message at a time finds that out.
Times are the caller's seconds.
"""

from __future__ import annotations

import math

VAIN = 5
UNCLEAR_SECONDS = (1.0, 60.0)  # the first wait, and the longest
LIMIT_SECONDS = (1.0, 300.0)
BEGIN_SECONDS = 2.0  # a message that was to go again and did not begin cannot: its lane is shut
AGAIN_SECONDS = 60.0  # by then its request has ended
IDLE_SECONDS = 60.0  # after it might have been tried: there is nothing to send

Key = tuple[bytes, int]  # a request: the message's id, and the number of the attempt


class Brake:
    """The brake of one owner. ``taken``: the last answer that counts took a message."""

    def __init__(self) -> None:
        self.on = False
        self.taken = False
        self.times = 0  # it was set
        self._vain: set[Key] = set()  # without a clear answer, since one was taken
        self._tries = 0
        self._due = -math.inf
        self._probe: Key | None = None
        self._again: bytes | None = None  # the message that goes again
        self._again_until = -math.inf

    def shut(self, now: float) -> bool:
        """True while no request may begin."""
        return self.on and (self._probe is not None or now < self._due)

    def wait(self, now: float) -> float:
        """Seconds until the next one may begin, once that which is out has ended."""
        return max(0.0, self._due - now) if self.on else 0.0

    def felt(self, now: float) -> bool:
        """True while it keeps messages waiting: where there are none, nobody finds out that all is
        well again.
        """
        return self.on and (self._probe is not None or now < self._due + IDLE_SECONDS)

    def begins(self, request: Key, now: float) -> bool:
        """True if it may begin; it may ask more than once."""
        if self.on and self._probe is None and now >= self._due:
            self._probe = request
        may = not self.on or self._probe == request
        if may and request[0] == self._again:
            self._again_until = now + AGAIN_SECONDS
        return may

    def may_resend(self, now: float) -> bool:
        """True if a message in doubt may go once more."""
        if self.taken:
            return True
        alone = self._again is None or now >= self._again_until
        return alone and not self.shut(now)

    def resends(self, message_id: bytes, now: float) -> None:
        """Note the message that goes once more."""
        self._again, self._again_until = message_id, now + BEGIN_SECONDS

    # what came of a request

    def ended(self, request: Key) -> bool:
        """Note that a request is out no more; True if it was the probe, whose outcome follows."""
        was, message_id = self._probe == request, request[0]
        self._probe = None if was else self._probe
        self._again = None if self._again == message_id else self._again
        return was

    def took(self) -> bool:
        """A message was taken; True if that releases the brake."""
        was, self.on, self.taken = self.on, False, True
        self._vain.clear()
        self._tries = 0
        return was

    def proven(self, request: Key) -> bool:
        """A status shows that this one was taken; True if that releases the brake."""
        return (request in self._vain or request == self._probe) and self.took()

    def in_vain(self, request: Key, now: float, *, probe: bool) -> bool:
        """Count a request that was answered unclearly, or in vain; True if that sets the brake."""
        self.taken = False
        self._vain.add(request)
        if self.on:
            self._longer(now, UNCLEAR_SECONDS, 0.0, probe=probe)
            return False
        return len(self._vain) >= VAIN and self._set(now, UNCLEAR_SECONDS, 0.0)

    def limited(self, now: float, asked: float, *, probe: bool) -> bool:
        """There are no more calls for ``asked`` seconds at least; True if that sets the brake."""
        if self.on:
            self._longer(now, LIMIT_SECONDS, asked, probe=probe)
            return False
        return self._set(now, LIMIT_SECONDS, asked)

    def set(self, now: float) -> None:
        """Let one request find out whether all is well."""
        self._set(now, (0.0, 0.0), 0.0)

    def _set(self, now: float, seconds: tuple[float, float], asked: float) -> bool:
        self.on, self._tries = True, 0
        self.times += 1
        self._longer(now, seconds, asked, probe=True)
        return True

    def _longer(
        self, now: float, seconds: tuple[float, float], asked: float, *, probe: bool
    ) -> None:
        first, most = seconds
        wait = min(most, first * 2.0**self._tries) if probe else 0.0
        self._tries = min(self._tries + probe, 10)
        self._due = max(self._due if not probe else now, now + max(wait, asked))
