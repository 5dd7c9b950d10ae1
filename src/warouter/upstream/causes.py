"""Every error code with its titles, causes and remedies, and Meta's codes behind it.

The words are in ``static/errors.toml``. docs/errors.md (by `make docs`) and GET /v1/errors show the
same.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from warouter import STATIC, codes
from warouter.errors import ApiError
from warouter.upstream.cloud.meanings import TABLE, Class, Meaning


class Cause(msgspec.Struct, frozen=True, rename={"place": "in"}):
    """``place`` is the HTTP status of an answer, or one of ``PLACES``."""

    place: str
    cause: str
    do: str


PLACES = {
    "status": "status `failed`",
    "message": "inbound message",
    "top": "callback",
    "health": "`/v1/health`",
}

# What becomes of a message that Meta answers with a code of the class.
BECOMES = {
    Class.FINAL: "`failed`",
    Class.NOT_TAKEN: "sent again",
    Class.LANE: "sent again; the recipient waits",
    Class.PAUSE: "sent again; the number waits",
    Class.OPERATOR: "waits; the number stops",
    Class.DOUBT: "in doubt",
}


class MetaCodes(NamedTuple):
    """Meta's codes from ``first`` to ``last``, which mean the same."""

    first: int
    last: int
    words: str
    meaning: Meaning

    @property
    def label(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first} to {self.last}"


class Code(NamedTuple):
    """An error code of the API with all that is known of it."""

    code: int
    title: str
    causes: list[Cause]
    meta: list[MetaCodes]


class _File(msgspec.Struct, frozen=True):
    about: list[str]
    code: dict[str, list[Cause]]
    meta: dict[str, str]


@functools.cache
def _read() -> _File:
    import tomllib  # loaded with the first page that shows it

    text = (STATIC / "errors.toml").read_text()
    return msgspec.convert(tomllib.loads(text), _File)


def about() -> list[str]:
    """Paragraphs on all codes together."""
    return _read().about


@functools.cache
def known_codes() -> list[Code]:
    """All codes, in their order."""
    read = _read()
    meta = list(_meta_codes({int(code): words for code, words in read.meta.items()}))
    return [
        Code(code, _title(code), causes, [m for m in meta if m.meaning.code == code])
        for code, causes in sorted((int(code), causes) for code, causes in read.code.items())
    ]


def shown_place(cause: Cause) -> str:
    """Where a client meets the error, in words."""
    return PLACES.get(cause.place) or f"answer {cause.place}"


def answers() -> Iterator[type[ApiError]]:
    """Every kind of error that an answer can be."""
    found = [ApiError]
    while found:
        kind = found.pop()
        yield kind
        found += kind.__subclasses__()


def _title(code: int) -> str:
    if code in codes.CODES:
        return codes.title(code)
    return next(kind.title for kind in answers() if kind.code == code)


def _meta_codes(words: dict[int, str]) -> Iterator[MetaCodes]:
    """Meta's codes with their words; one without any belongs to the one before."""
    for first, after in itertools.pairwise([*sorted(words), None]):
        assert first is not None
        last = first
        while last + 1 in TABLE and last + 1 != after and TABLE[last + 1] is TABLE[first]:
            last += 1
        yield MetaCodes(first, last, words[first], TABLE[first])
