"""The message templates of the account, and which of them are held for a look at their quality.
Pure.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

import msgspec

HELD = "held_for_quality_assessment"


class MessageTemplate(msgspec.Struct, frozen=True):
    """One template; ``category`` is AUTHENTICATION, MARKETING or UTILITY."""

    name: str
    category: str = "UTILITY"
    language: str = "en_US"
    status: str = "APPROVED"
    components: tuple[dict[str, Any], ...] = ()
    rejected_reason: str = "NONE"

    @property
    def id(self) -> str:
        """The id of its node, made from name and language."""
        return str(10**15 + zlib.crc32(f"{self.name}:{self.language}".encode()))

    def shown(self) -> dict[str, Any]:
        """The template as the list of an account shows it."""
        shown = {"id": self.id} | msgspec.structs.asdict(self)
        return shown | {"components": list(self.components)}


class Templates:
    """Templates that a call made, under those that the switch `categories` defines."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, str], MessageTemplate] = {}

    def make(self, template: MessageTemplate) -> None:
        """Add or change a template."""
        self._made[template.name, template.language] = template

    def delete(self, name: str) -> bool:
        """Remove what calls made under a name, in all languages; False if there is none."""
        gone = [key for key in self._made if key[0] == name]
        for key in gone:
            del self._made[key]
        return bool(gone)

    def all(self, categories: Mapping[str, str]) -> list[MessageTemplate]:
        """All templates, by name."""
        switched = [MessageTemplate(name, category) for name, category in categories.items()]
        made = [t for t in self._made.values() if t.name not in categories]
        return sorted(switched + made, key=lambda t: (t.name, t.language))

    def category(self, name: str, categories: Mapping[str, str]) -> str | None:
        """The category of a template in small letters, None if nobody defined it."""
        found = categories.get(name) or next(
            (t.category for t in self._made.values() if t.name == name), None
        )
        return found.lower() if found else None
