"""No case of the clients' list (C01 to C50) lacks a test, with either upstream."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

from tests.harness.integration import UPSTREAMS

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "tests" / "api").glob("test_conformance_*.py"))
CASES = set(range(1, 51))


def cases_of(name: str) -> set[int]:
    """The numbers that the name of a test speaks of: ``c09_c10_settings``, ``c17_to_c24_sends``."""
    found = set()
    for first, last in re.findall(r"_c(\d\d)(?:_to_c(\d\d))?(?=_|$)", name):
        found |= set(range(int(first), int(last or first) + 1))
    return found


def test_every_case_runs_with_every_upstream() -> None:
    # What pytest would run, and not what stands in the files: parameters come from fixtures.
    command = [sys.executable, "-m", "pytest", "--collect-only", "--quiet", *map(str, FILES)]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    found: dict[str, set[int]] = defaultdict(set)
    for name, parameters in re.findall(r"::(test_\w+)\[([^\n]*)\]", listed):
        for upstream in UPSTREAMS:
            if upstream in parameters.split("-"):
                found[upstream] |= cases_of(name)
    missing = {upstream: sorted(CASES - found[upstream]) for upstream in UPSTREAMS}
    assert missing == {upstream: [] for upstream in UPSTREAMS}
    assert set().union(*found.values()) == CASES


def test_names_are_read_as_they_are_meant() -> None:
    assert cases_of("test_c09_c10_settings") == {9, 10}
    assert cases_of("test_c17_to_c24_what_is_taken_is_delivered") == set(range(17, 25))
    assert cases_of("test_a_case_that_is_none") == set()
