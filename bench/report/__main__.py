"""``python -m bench.report`` writes the tables and plots of docs/benchmarks.md from bench/results.

What was not run keeps its place, empty.
"""

from __future__ import annotations

from bench.report.page import PAGE, page, pictures


def main() -> None:
    PAGE.write_text(page(PAGE.read_text()))
    for name, picture in pictures().items():
        (PAGE.parent / name).write_text(picture)


if __name__ == "__main__":
    main()
