"""Names of users. Pure."""

from __future__ import annotations

from warouter.errors import ParameterInvalid

DEFAULT_USERNAME = "admin"
NAME_LEAST, NAME_MOST = 4, 32
# A colon would end the name in a Basic header, a slash in a path. What has one of them in the audit
# log, as key:7 or shop/anna, is a key or a user of another number.
_NEVER = frozenset(":/")


def check_username(username: str) -> None:
    """Raises ParameterInvalid unless the text can be a user name."""
    if not NAME_LEAST <= len(username) <= NAME_MOST:
        raise ParameterInvalid(f"username must have {NAME_LEAST} to {NAME_MOST} characters")
    if not username.isprintable() or username.strip() != username or _NEVER & set(username):
        raise ParameterInvalid(
            "username must not contain control characters, colons or slashes,"
            " nor start or end with a space"
        )


def can_be_looked_for(username: str) -> bool:
    """False if no user has such a name, and PostgreSQL could perhaps not even be asked for it."""
    return username.isprintable() and len(username) <= NAME_MOST and not _NEVER & set(username)
