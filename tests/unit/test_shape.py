"""The tree's shape is counted from its text."""

from __future__ import annotations

from tests.harness.shape import Source, figures

ONE = "class Reader:\n    def read(self) -> int:\n        return 1\n"


def test_each_figure_counts_what_it_names() -> None:
    found = dict(
        figures(
            [
                Source("src/warouter/a.py", ONE),
                Source("src/warouter/lab/b.py", ONE + "\n\nclass _Private:\n    pass\n"),
                Source("src/warouter/c.pyx", "cdef int n\n"),
                Source("src/warouter/d.sql", "select 1\n"),
                Source("tests/e.py", "class Reader:\n    pass\n"),
            ]
        )
    )
    assert found == {
        "gateway, lines of Python": "3",
        "laboratory, lines of Python": "7",
        "Cython, lines": "1",
        "SQL, lines": "1",
        "tests, lines of Python": "2",
        "files of src: median, p90, max": "7, 7, 7",
        "functions of src: median, p90, max": "2, 2, 2",
        "class names used twice, of all": "1 of 1 (100.0%)",
    }
