"""Small rules that the checks of all message types share. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from warouter.api.messages import schema
from warouter.errors import ParameterInvalid, ParameterMissing

T = TypeVar("T")


def required(value: T | None, path: str) -> T:
    """``value``; raises ParameterMissing if it is absent or null."""
    if value is None:
        raise ParameterMissing(f"{path} is required")
    return value


def filled(value: str | None, path: str, most: int | None = None) -> str:
    """A required string that is not empty and has at most ``most`` characters."""
    if value is None:
        raise ParameterMissing(f"{path} is required")
    if not value:
        raise ParameterInvalid(f"{path} must not be empty")
    if most is not None:
        short(value, path, most)
    return value


def short(value: str | None, path: str, most: int) -> None:
    """An optional string of at most ``most`` characters."""
    if value is not None and len(value) > most:
        raise ParameterInvalid(f"{path} has {len(value)} characters, at most {most} are allowed")


def filled_list(value: Sequence[T] | None, path: str, most: int | None = None) -> Sequence[T]:
    """A required list of 1 to ``most`` elements."""
    if value is None:
        raise ParameterMissing(f"{path} is required")
    if not value:
        raise ParameterInvalid(f"{path} must not be empty")
    if most is not None and len(value) > most:
        raise ParameterInvalid(f"{path} has {len(value)} elements, at most {most} are allowed")
    return value


def one_of(value: str | None, path: str, allowed: Sequence[str]) -> str:
    """A required string that is one of ``allowed``."""
    if value is None:
        raise ParameterMissing(f"{path} is required")
    if value not in allowed:
        raise ParameterInvalid(f"{path} must be one of {', '.join(allowed)}")
    return value


def check_media(media: schema.Media | None, path: str, ids: list[str]) -> None:
    """Requires exactly one of id and link; an id is added to ``ids``.

    A link is passed on unfetched: one that turns out dead later is a `failed` status.
    """
    if media is None:
        raise ParameterMissing(f"{path} is required")
    if media.id and media.link:
        raise ParameterInvalid(f"{path} must have either id or link, not both")
    if media.id:
        ids.append(media.id)
    elif media.link:
        _check_link(media.link, f"{path}.link")
    else:
        raise ParameterMissing(f"{path}.id or {path}.link is required")


def _check_link(link: str, path: str) -> None:
    short(link, path, schema.LINK_CHARS)
    scheme, _, rest = link.partition("://")
    if scheme.lower() not in ("http", "https") or not rest or rest[0] in "/?#:@":
        raise ParameterInvalid(f"{path} must be a URL that starts with http:// or https://")
    if not link.isprintable():
        raise ParameterInvalid(f"{path} must not contain control characters")
