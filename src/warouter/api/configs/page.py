"""Templates as 360dialog's dialect lists them: chosen, sorted, cut to a page. Pure.

``filters`` is a JSON object of names and values, ``sort`` names with a comma between, `-` before
one that goes down; clients write ``business_templates.name`` for the name. A status is written in
small letters there (clients compare it so), a category in Meta's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from warouter.errors import ParameterInvalid

DEFAULT_LIMIT = 1000
_FIELDS = ("name", "language", "status", "category", "components", "rejected_reason", "id")
_NAMES = ("id", "name", "language", "status", "category")
_PREFIX = "business_templates."
_FILTERS = msgspec.json.Decoder(dict[str, str | list[str]])


class TemplatePage(msgspec.Struct, frozen=True):
    """The part of a list that a client asks for; names as the client wrote them."""

    limit: int
    offset: int
    filters: dict[str, str | list[str]]
    sort: list[str]

    def of(self, templates: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
        """The content of the answer; ``templates`` are in the form of ``shown``."""
        found = [one for one in templates if self._wants(one)]
        for key in reversed(self.sort):  # stable: the first name counts most
            name = _plain(key.removeprefix("-"))
            found.sort(key=lambda one: str(one[name]), reverse=key.startswith("-"))
        page = found[self.offset : self.offset + self.limit]
        return {
            "waba_templates": page,
            "count": len(page),
            "total": len(found),
            "limit": self.limit,
            "offset": self.offset,
            "filters": self.filters,
            "sort": self.sort,
        }

    def _wants(self, template: Mapping[str, Any]) -> bool:
        return all(
            str(template[_plain(name)]).lower() in _lowered(wanted)
            for name, wanted in self.filters.items()
        )


def page_of(query: Mapping[str, str]) -> TemplatePage:
    """The page that a query asks for; ParameterInvalid names what is wrong."""
    return TemplatePage(
        _number(query, "limit", DEFAULT_LIMIT),
        _number(query, "offset", 0),
        _filters(query.get("filters", "")),
        _sort(query.get("sort", "")),
    )


def shown(template: Mapping[str, Any], namespace: str) -> dict[str, Any]:
    """A template of Graph's in this form."""
    found = {name: template.get(name) for name in _FIELDS}
    components = found["components"]
    return {
        **{name: value if isinstance(value, str) else "" for name, value in found.items()},
        "status": str(found["status"] or "").lower(),
        "components": components if isinstance(components, list) else [],
        "rejected_reason": str(found["rejected_reason"] or "NONE"),
        "namespace": namespace,
    }


def _number(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 6):
        raise ParameterInvalid(f"{name} must be a whole number from 0 to 999999")
    return int(text)


def _filters(text: str) -> dict[str, str | list[str]]:
    if not text:
        return {}
    try:
        found = _FILTERS.decode(text)
    except (ValueError, RecursionError):
        raise ParameterInvalid(
            "filters must be a JSON object of texts, or of lists of texts, by name"
        ) from None
    _check(found, "filters")
    return found


def _sort(text: str) -> list[str]:
    names = [name.strip() for name in text.strip("[]").replace('"', "").split(",")]
    found = [name for name in names if name]
    _check([name.removeprefix("-") for name in found], "sort")
    return found


def _check(names: Iterable[str], what: str) -> None:
    if any(_plain(name) not in _NAMES for name in names):
        raise ParameterInvalid(f"{what} may name {', '.join(_NAMES)}")


def _plain(name: str) -> str:
    return name.removeprefix(_PREFIX)


def _lowered(wanted: str | Sequence[str]) -> list[str]:
    return [one.lower() for one in ([wanted] if isinstance(wanted, str) else wanted)]
