"""That a seed is a run, and the same one each time; ``make simulate`` runs many."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.campaigns.simulation.cloud import faults as cloud
from tests.campaigns.simulation.cloud.world import CloudWorld
from tests.campaigns.simulation.kinds import DRAWN
from tests.campaigns.simulation.world import Result, run

SALT = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"  # not that of this process


def test_a_run_is_long_and_has_faults() -> None:
    result = run(3)
    assert result.seconds >= 30
    assert sum(result.hits.values()) >= 3
    assert result.messages
    assert result.violations == []


def cloud_run(seed: int) -> Result:
    return run(seed, kinds=cloud.DRAWN, digest=True, world=CloudWorld)


def test_a_run_with_the_cloud_api_has_requests_in_doubt() -> None:
    result = cloud_run(7)
    assert result.violations == []
    assert any(entry[1] == "accepted" for entry in result.trace)
    assert any(entry[1] == "doubted" for entry in result.trace)


@pytest.mark.parametrize("upstream", ["simulator", "cloud"])
def test_the_same_seed_is_the_same_run_in_any_process(upstream: str) -> None:
    """Salted hashes and addresses of objects differ between processes: neither may decide."""

    def digest(seed: int) -> str:
        if upstream == "cloud":
            return cloud_run(seed).digest
        return run(seed, kinds=DRAWN, digest=True).digest

    digests = {digest(seed) for seed in (7, 7)}
    shown = subprocess.run(
        [sys.executable, "-m", "tests.campaigns.simulation", "--seed", "7", "--upstream", upstream],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": SALT},
    )
    digests.add(shown.stdout.split("trace ")[1].split()[0])
    assert len(digests) == 1
    assert digest(8) not in digests
