"""The caller of a request: a user with a token, or a program with a key."""

from __future__ import annotations

from datetime import datetime

import msgspec

from warouter.access.scopes import ANY, Scope, includes
from warouter.app_settings import Network
from warouter.log import of_number
from warouter.store.account.accounts import ADMIN
from warouter.store.account.author import Author, by_key, by_token


class Realm:
    """A number, and the generation of what is known of its users, tokens and keys.

    The generation grows whenever an earlier answer about one of them may be wrong now; so whoever
    keeps such an answer keeps its realm and generation with it.
    """

    __slots__ = ("generation", "number")

    def __init__(self, number: int) -> None:
        self.number = number
        self.generation = 0


class Grant(msgspec.Struct, frozen=True):
    """The rights of a key, by its id. Without ``networks`` it may be used from anywhere, without
    ``expires`` it has no end.
    """

    key: int
    scopes: Scope
    networks: tuple[Network, ...] = ()
    expires: datetime | None = None


class Caller(msgspec.Struct, frozen=True):
    """Whoever makes a request: a user, or a program with a key, which has a ``grant``.

    ``hash`` is the SHA-256 of the token or key; the API key and open endpoints have none.
    ``username`` of a key is ``key:ID``, which no user can be called. ``number_name`` is that of the
    number, but for number 1, whose users were there before there were others.
    """

    username: str
    role: str
    hash: bytes = b""
    must_change: bool = False
    number: int = 1
    grant: Grant | None = None
    number_name: str = ""

    def __repr__(self) -> str:
        return f"Caller({self.username!r})"

    @property
    def actor(self) -> str:
        """The caller in the audit log and in other logs: ``NAME/user`` for other numbers than 1.

        No user can have a slash in the name.
        """
        return f"{self.number_name}/{self.username}" if self.number_name else self.username

    @property
    def session(self) -> str:
        """Distinguishes callers with the same name, such as the holder of a stolen token."""
        return self.hash.hex()

    @property
    def author(self) -> Author:
        """Asks, in the transaction of a change, whether the token or key lives still."""
        return by_token(self.hash) if self.grant is None else by_key(self.hash)

    @property
    def scopes(self) -> Scope:
        """The scopes that this caller may give to a key."""
        if self.grant is not None:
            return self.grant.scopes
        return Scope.ADMIN | Scope.OPERATE if self.role == ADMIN else ANY

    @property
    def logged(self) -> dict[str, object]:
        """Fields of a log line about what they did: their name, and a number but number 1."""
        return {"by": self.username, **of_number(self.number)}

    def lacks(self, scope: Scope) -> bool:
        """True if this is a key without the scope."""
        return self.grant is not None and not includes(self.grant.scopes, scope)
