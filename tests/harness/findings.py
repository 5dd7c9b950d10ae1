"""The table of `warouter check` in docs/monitoring.md, made from ``warouter.check.rules``.

`make docs` runs this as a program, which writes it into the page.
"""

from __future__ import annotations

from pathlib import Path

from warouter.check.finding import Level
from warouter.check.rules import RULES, UNREACHABLE

PAGE = Path(__file__).parents[2] / "docs" / "monitoring.md"
BEGIN = "<!-- made by `make docs` from src/warouter/check -->"
END = "<!-- end of what is made from src/warouter/check -->"
_UNREACHABLE = (
    "a PostgreSQL that cannot be asked, so that half of the rules say nothing",
    "As the sentence says; `warouter status` says the same.",
)


def markdown() -> str:
    """Everything between the two marks of the page."""
    rows = [(rule.name, rule.level, rule.looks_for, rule.todo) for rule in RULES]
    rows.append((UNREACHABLE, Level.UNKNOWN, *_UNREACHABLE))
    head = "| name | level | finds | what to do |\n|---|---|---|---|"
    return "\n".join([head, *(f"| `{n}` | {level} | {f} | {todo} |" for n, level, f, todo in rows)])


def page(text: str) -> str:
    """The page with its table made anew."""
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n\n{markdown()}\n\n{END}{tail}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
