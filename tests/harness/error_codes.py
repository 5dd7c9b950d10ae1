"""The list of docs/errors.md, made from ``warouter.upstream.causes``.

`make docs` runs this as a program, which writes it into the page.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from warouter.upstream.causes import BECOMES, Code, known_codes, shown_place

PAGE = Path(__file__).parents[2] / "docs" / "errors.md"
BEGIN = "<!-- made by `make docs` from src/warouter/static/errors.toml -->"
END = "<!-- end of what `make docs` makes -->"


def page(text: str) -> str:
    """The page with its list made anew."""
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    made = "\n\n".join(part for code in known_codes() for part in _section(code))
    return f"{head}{BEGIN}\n\n{made}\n\n{END}{tail}"


def _section(code: Code) -> Iterator[str]:
    yield f"### {code.code}"  # alone, so that forges name it as ``href`` does
    yield f"**{code.title}**"
    rows = [(shown_place(each), each.cause, each.do) for each in code.causes]
    yield _table(("where", "cause", "what to do"), rows)
    if code.meta:
        meta = [(each.label, each.words, BECOMES[each.meaning.cls]) for each in code.meta]
        yield _table(("Meta's code", "what it means", "the message"), meta)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
