"""The page: between two marks stands what is made of the results, all else is written by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bench.report import cloud, cost, load
from bench.report.form import number
from bench.report.plots import plots
from bench.report.results import Figures, read

PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"
END = "<!-- end -->"
# By name: which results, and what is made of them.
BLOCKS: dict[str, tuple[str, Callable[[Figures], str]]] = {
    "cost": ("idle", cost.cost),
    "parts": ("idle", cost.parts),
    "memory": ("idle", cost.memory),
    "accepts": ("e2e", load.accepts),
    "peers": ("peers", load.peers),
    "cloud": ("cloud", cloud.cloud),
}


def page(text: str) -> str:
    """The page with its tables made anew."""
    for name in BLOCKS:
        head, mark, rest = text.partition(begin(name))
        if not mark:
            raise ValueError(f"{PAGE.name} has no place for {name}")
        text = f"{head}{block(name)}{rest.partition(END)[2]}"
    return text


def block(name: str) -> str:
    """With its marks."""
    results, make = BLOCKS[name]
    figures = read(results)
    parts = [make(figures)] if figures else ["Not measured."]
    if figures and name == next(one for one, (of_it, _) in BLOCKS.items() if of_it == results):
        parts.append(of(figures))  # once for all tables of a run
    return "\n\n".join([begin(name), *parts, END])


def begin(name: str) -> str:
    """The mark before it."""
    return f"<!-- {name}: made by `python -m bench.report` from bench/results -->"


def of(figures: Figures) -> str:
    """What the figures are of, in a sentence."""
    about = figures["about"]
    words = (
        f"Commit {about['commit']}, {about['day']}, Python {about['python']}, {about['machine']}"
    )
    said = [f"{words}."]
    if (foreign := _greatest(figures)) is not None:
        said.append(f"Others used at most {number(foreign)} cores.")
    if figures.get("quick"):
        said.append("**A quick run: these are no figures.**")
    return f"*{' '.join(said)}*"


def pictures() -> dict[str, str]:
    """The plots by file name."""
    return plots(read("idle"), read("e2e"))


def _greatest(figures: Figures) -> float | None:
    """What others used in the worst part that is shown."""
    noted = (figures, *(figures.get(side, {}) for side in ("this", "plain")))
    found = [cores for one in noted for cores in one.get("foreign_cores", {}).values()]
    return max(found, default=None)
