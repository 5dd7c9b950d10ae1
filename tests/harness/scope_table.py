"""The table of scopes in docs/keys.md, made from the routes.

`make docs` runs this as a program, which writes it into the page.
"""

from __future__ import annotations

from pathlib import Path

from warouter.access.scopes import ANY, NAMES, Scope
from warouter.api.app import D360_ROUTES, ROUTES
from warouter.api.route import Access, Route

EVERY = (*ROUTES, *D360_ROUTES)
PAGE = Path(__file__).parents[2] / "docs" / "keys.md"
BEGIN = "<!-- made by `make docs` from the routes of src/warouter/api -->"
END = "<!-- end of what is made from the routes -->"
_MEANINGS = {
    Scope.SEND: "send messages, mark inbound ones as read, check contacts",
    Scope.READ: "read what becomes of messages, profiles, sticker packs",
    Scope.MEDIA: "upload, download and delete media; change sticker packs",
    Scope.TEMPLATES: "read and change message templates",
    Scope.SETTINGS: "read and change settings, the webhook, the profile",
    Scope.MONITOR: "read health, metrics and statistics",
    Scope.EVENTS: "reserved for reading events",
    Scope.PEOPLE: "reserved for what people have asked for",
    Scope.ADMIN: "all of these, and users, keys, shards, registration, backups",
    Scope.OPERATE: "reserved for what concerns several numbers",
}


def page(text: str) -> str:
    """The page with its table made anew."""
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n\n{markdown()}\n\n{END}{tail}"


def markdown() -> str:
    """Everything between the two marks of the page."""
    lines = ["| scope | allows | routes |", "| --- | --- | --- |"]
    for name, scope in NAMES.items():
        lines.append(f"| `{name}` | {_MEANINGS[scope]} | {_routes_of(scope)} |")
    open_ones = [route for route in EVERY if route.access in (Access.OPEN, Access.LOGIN)]
    any_one = [r for r in EVERY if r.scope == ANY and r not in open_ones]
    lines.append(f"| none, for a token | end the token | {_named(any_one)} |")
    lines.append(f"| none | what needs no token | {_named(open_ones)} |")
    return "\n".join(lines)


def _routes_of(scope: Scope) -> str:
    return _named([route for route in EVERY if route.scope == scope]) or "none yet"


def _named(routes: list[Route]) -> str:
    methods: dict[str, list[str]] = {}
    for route in routes:
        methods.setdefault(route.path, []).append(route.method)
    return ", ".join(f"`{' '.join(names)} {path}`" for path, names in methods.items())


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
