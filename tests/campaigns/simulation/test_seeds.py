"""That a seed is a run, and the same one each time; ``make simulate`` runs many."""

from __future__ import annotations

import subprocess
import sys

from tests.campaigns.simulation.world import run


def test_a_run_is_long_and_has_faults() -> None:
    result = run(3)
    assert result.seconds >= 30
    assert sum(result.hits.values()) >= 3
    assert result.messages
    assert result.violations == []


def test_the_same_seed_is_the_same_run_in_any_process() -> None:
    """Salted hashes and addresses of objects differ between processes: neither may decide."""
    digests = {run(seed, digest=True).digest for seed in (7, 7)}
    command = [sys.executable, "-m", "tests.campaigns.simulation", "--seed", "7"]
    for salt in ("1", "2"):
        shown = subprocess.run(
            command, capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": salt}
        )
        digests.add(shown.stdout.split("trace ")[1].split()[0])
    assert len(digests) == 1
    assert run(8, digest=True).digest not in digests
