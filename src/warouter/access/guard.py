"""Checks of passwords and pins, under the limits on failed attempts.

Who must wait is refused at once, before anybody waits for a turn to have something hashed. All of a
check, the limits once more among it, is then done in one turn, so that no more attempts are ever
checked and not yet counted than there are turns.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from warouter.access.passwords import AttemptKind, Passwords
from warouter.app_settings import Network
from warouter.errors import TooManyRequests
from warouter.http.source import limited_address, prefix_of
from warouter.store.account.logins import PIN, USER, Attempt, Logins


class Guard:
    """Checks what is given from a ``source``, an address as text; proxies that are ``trusted``
    have no limit of their own.
    """

    def __init__(self, logins: Logins, passwords: Passwords, trusted: Sequence[Network]) -> None:
        self.passwords = passwords
        self._logins = logins
        self._trusted = trusted

    async def password(
        self, source: str, username: str, password_hash: str | None, password: str
    ) -> bool:
        """True if a stranger's password is right; no ``password_hash``: there is no such user.

        TooManyRequests (429 with Retry-After) when the name must wait at that address, or the
        address.
        """
        attempt = await self._admitted(source, USER, username)
        standing = AttemptKind.KNOWN if attempt.known else AttemptKind(1 + attempt.failed)
        async with self.passwords.strangers_turn(attempt.prefix, username, standing):
            return await self._checked(attempt, password_hash, password)

    async def pin(
        self, source: str, session: str, number: str, pin_hash: str | None, pin: str
    ) -> bool:
        """True if a caller's pin is right. Failures count for the number, whatever address they
        come from; turns are shared by ``session``.

        TooManyRequests as for a password.
        """
        attempt = await self._admitted(source, PIN, number)
        async with self.passwords.callers_turn(session):
            return await self._checked(attempt, pin_hash, pin)

    async def look(self, source: str, what: str, name: str) -> Attempt:
        """An attempt with the failures that count for it."""
        address = limited_address(source, self._trusted)
        return await self._logins.look(what, name, prefix_of(source), address)

    async def _admitted(self, source: str, what: str, name: str) -> Attempt:
        attempt = await self.look(source, what, name)
        refuse(attempt.wait)
        return attempt

    async def _checked(self, attempt: Attempt, password_hash: str | None, password: str) -> bool:
        refuse(await self._logins.begin(attempt))
        right = await self.passwords.verify_now(password_hash, password)
        if right:
            await self._logins.succeeded(attempt)
        else:
            await self._logins.failed(attempt)
        return right


def refuse(wait: float) -> None:
    """Raises TooManyRequests if there are seconds to wait."""
    if wait > 0:
        seconds = math.ceil(wait)
        raise TooManyRequests(f"too many failed attempts, wait {seconds} s", retry_after=seconds)
