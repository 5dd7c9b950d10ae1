"""``python -m bench.report`` writes the tables and plots of docs/benchmarks.md from bench/results.

What was not run keeps its place, empty. It prints what the costs of warouter.sizing would be.
"""

from __future__ import annotations

from bench.report.page import PAGE, page, pictures
from bench.report.results import read
from bench.report.sizing import cloud_costs, costs


def main() -> None:
    PAGE.write_text(page(PAGE.read_text()))
    for name, picture in pictures().items():
        (PAGE.parent / name).write_text(picture)
    for name, fitted in {"idle": costs, "cloud": cloud_costs}.items():
        figures = read(name)
        if not figures.get("quick"):
            for kind, cpu in fitted(figures).items():
                print(f"{name}, {kind}: {cpu}")


if __name__ == "__main__":
    main()
