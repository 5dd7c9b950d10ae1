"""A log-in by name and password, at the API or at the console: the same guard, the same rule for
default passwords, and the same rows of the audit log.
"""

from __future__ import annotations

import logging
import shlex
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from warouter.access.guard import Guard
from warouter.access.names import DEFAULT_USERNAME
from warouter.access.passwords import Passwords, check_new_password
from warouter.access.recorded_action import recorded
from warouter.cloud_number import FIRST
from warouter.errors import ApiError, LoginRefused, PasswordChangeRequired
from warouter.http.source import prefix_of
from warouter.store.account.accounts import ADMIN, Accounts, User
from warouter.store.account.logins import name_of
from warouter.store.audit import DONE, Audit
from warouter.store.refusal_sums import Note

log = logging.getLogger(__name__)

DEFAULT_PASSWORD = "secret"
SET_PASSWORD = "warouter user set-password"
LOG_IN = "log in"
LOG_OUT = "log out"
END_TOKEN = "end the least used token"


class Given(NamedTuple):
    """The values of a log-in. ``here``: it comes from this host, without a doubt."""

    username: str
    password: str
    new_password: str | None
    source: str
    here: bool


class LogIns:
    """Checks log-ins at a number; ``changed`` is awaited when a password was changed by one.

    ``number_name`` precedes names in the audit log; number 1 has none.
    """

    def __init__(
        self,
        accounts: Accounts,
        audit: Audit,
        guard: Guard,
        changed: Callable[[], Awaitable[None]] | None = None,
        *,
        number: int = FIRST,
        number_name: str = "",
    ) -> None:
        self._accounts = accounts
        self._audit = audit
        self._guard = guard
        self._changed = changed
        self._number = number
        self._number_name = number_name

    async def verified(self, given: Given) -> tuple[User, str]:
        """(the user, the hash of the password that is theirs now).

        A ``new_password`` is set first; some clients send the present one as the new one, which
        changes nothing. Raises LoginRefused, TooManyRequests, PasswordChangeRequired, and
        ParameterInvalid for a new password that the rule refuses.
        """
        user = await self._who(given)
        if given.new_password and given.new_password != given.password:
            return user, await self._change(user, given.new_password, given.source)
        return user, await self._current_hash(user, given.password)

    def refused(self, username: str, source: str, error: ApiError) -> None:
        """Note a log-in that failed, for the audit log: equal ones are summed by address prefix."""
        if error.status < 500:
            outcome = f"{error.status}/{error.code} {error.title}"
            self._audit.refusals.note(self._actor(username), LOG_IN, prefix_of(source), outcome)

    async def done(self, username: str, source: str, action: str = LOG_IN) -> None:
        """Add a log-in to the audit log: equal ones are summed, and written at once."""
        await self._audit.add({Note(self._actor(username), action, source, DONE): 1})

    async def crowded(self, username: str, source: str, ended: int) -> None:
        """Say that a log-in ended so many other tokens of its user, which has no more at a time."""
        log.warning("tokens ended", extra={"username": username, "source": source, "tokens": ended})
        await self._audit.add({Note(self._actor(username), END_TOKEN, source, DONE): ended})

    async def _who(self, given: Given) -> User:
        """The user with this name and password; raises LoginRefused if they are wrong."""
        username = given.username
        user = await self._accounts.user(self._number, username)
        # From afar a default password is as good as none: whatever was given is checked against
        # nobody, so that right and wrong ones cost the same, count the same and get the same
        # answer.
        is_far = user is not None and user.must_change and not given.here
        known_hash = None if user is None or is_far else user.password_hash
        counted = name_of(self._number, username)
        right = await self._guard.password(given.source, counted, known_hash, given.password)
        if user is None or not right:
            log.warning("login refused", extra={"username": username, "source": given.source})
            raise LoginRefused(_only_from_here(username) if is_far else "Invalid credentials.")
        return user

    async def _change(self, user: User, new: str, source: str) -> str:
        """Change the password and return its hash; LoginRefused if the one that was checked has
        been replaced since: whoever knows only that is to set none.
        """
        check_new_password(new, "new_password")
        async with recorded(
            self._audit, self._actor(user.username), "change password", source
        ) as action:
            action.subject = user.username
            changed = await self._guard.passwords.hash(new, user.username)
            if not await self._accounts.replace_password(
                self._number, user.username, user.password_hash, changed
            ):
                raise LoginRefused("Invalid credentials.")
            if self._changed is not None:
                await self._changed()
        return changed

    async def _current_hash(self, user: User, password: str) -> str:
        """The hash of the present password, renewed if its parameters are weaker than today's."""
        if user.must_change:
            raise PasswordChangeRequired(
                "the default password must be changed: log in with new_password in the body"
            )
        passwords = self._guard.passwords
        if not passwords.is_outdated(user.password_hash):
            return user.password_hash
        renewed = await passwords.hash(password, user.username)
        present = user.username, user.password_hash
        if await self._accounts.rehash(self._number, *present, renewed):
            return renewed
        return await self._replaced_hash(user.username, password)

    async def _replaced_hash(self, username: str, password: str) -> str:
        """The hash that another log-in has renewed meanwhile; LoginRefused after a new password."""
        user = await self._accounts.user(self._number, username)
        passwords = self._guard.passwords
        async with passwords.callers_turn(username):
            if user is not None and await passwords.verify_now(user.password_hash, password):
                return user.password_hash
        raise LoginRefused("Invalid credentials.")

    def _actor(self, username: str) -> str:
        return f"{self._number_name}/{username}" if self._number_name else username


async def seed_administrator(
    accounts: Accounts, passwords: Passwords, password: str | None = None
) -> bool:
    """Create the account `admin` of number 1 unless it exists; True if it was created.

    Without ``password`` it is the product's default one, good for nothing but setting another.
    """
    present = await accounts.user(FIRST, DEFAULT_USERNAME)
    if password is None and (present is None or present.must_change):
        log.warning(
            "default password found", extra={"change_with": f"{SET_PASSWORD} {DEFAULT_USERNAME}"}
        )
    if present is not None:
        return False
    password_hash = await passwords.hash(DEFAULT_PASSWORD if password is None else password)
    return await accounts.create_user(
        FIRST, DEFAULT_USERNAME, password_hash, ADMIN, must_change=password is None
    )


def _only_from_here(username: str) -> str:
    return (
        "the default password is accepted from this host only: an operator sets another one with"
        f" `{SET_PASSWORD} {shlex.quote(username)}`"
    )
