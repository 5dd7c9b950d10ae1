"""The tables of variables in docs/configuration.md, made from ``warouter.variables``.

`make docs` runs this as a program, which writes them into the page.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from warouter.config import UNUSED, Settings
from warouter.variables import GROUPS, SUPERVISED, Group

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"
BEGIN = "<!-- made by `make docs` from src/warouter/variables.py -->"
END = "<!-- end of what `make docs` makes -->"

_TYPES = {str: "text", int: "integer", float: "number", bool: "`0` or `1`"}


def markdown() -> str:
    """Everything between the two marks of the page."""
    unused = ",\n".join(f"`{name}`" for name in sorted(UNUSED))
    parts = [_table(group) for group in GROUPS]
    parts.append(
        "### Set by supervisors\n\n| variable | meaning |\n|---|---|\n"
        + "\n".join(f"| `{v.name}` | {v.meaning} |" for v in SUPERVISED)
    )
    parts.append(
        "### The product's names that are accepted and change nothing\n\n" + _filled(unused) + "."
    )
    return "\n\n".join(parts)


def page(text: str) -> str:
    """The page with its tables made anew."""
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n\n{markdown()}\n\n{END}{tail}"


def _table(group: Group) -> str:
    title = f"{group.title} ({group.readers})" if group.readers else group.title
    fields = {field.encode_name: field for field in msgspec.structs.fields(Settings)}
    rows = [
        f"| `{v.name}` | {_type(fields[v.name])} | {v.unit} | {_shown(fields[v.name].default)} |"
        f" {v.meaning} |"
        for v in group.variables
    ]
    head = "| variable | type | unit | default | meaning |\n|---|---|---|---|---|"
    return "\n".join([f"### {title}\n", head, *rows])


def _type(field: msgspec.structs.FieldInfo) -> str:
    """In words, with the limits of its ``Meta``."""
    said = msgspec.json.schema(field.type)
    low, high = said.get("minimum"), said.get("maximum")
    name = _TYPES[type(field.default)]
    if high is not None:
        return f"{name}, {low} to {high}"
    return name if low is None else f"{name}, at least {low}"


def _shown(default: object) -> str:
    if isinstance(default, bool):
        return f"`{int(default)}`"
    text = f"{default:g}" if isinstance(default, float) else str(default)
    return f"`{text}`" if text else ""


def _filled(text: str) -> str:
    """One paragraph of lines of at most 100 characters."""
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) >= 100:
            lines.append("")
        lines[-1] += f" {word}" if lines[-1] else word
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
