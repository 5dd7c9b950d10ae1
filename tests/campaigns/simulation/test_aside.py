"""The model of consumers that go aside finds nothing wrong; ``make simulate`` runs more seeds.

Its mutants are in ``test_mutants.py``.
"""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.campaigns.simulation.aside.report import report_aside
from tests.campaigns.simulation.aside.world import DRAWN, run_aside
from tests.campaigns.simulation.world import Result
from tests.harness.patch import patched
from warouter.flow.aside import Aside, AsideReason, Entering

SEEDS = 100


def test_no_run_breaks_a_promise_and_every_step_is_taken() -> None:
    steps = Counter[str]()
    for seed in range(SEEDS):
        result = run_aside(seed)
        assert result.violations == [], f"seed {seed}"
        steps.update(result.hits)
    assert steps.keys() == DRAWN.keys()
    assert min(steps.values()) > SEEDS // 2


def test_consumers_enter_again_and_owners_die_while_one_leaves() -> None:
    """Two turns that are rare, and for which the protocol has rules of their own."""
    again, held = Aside.enter_again, list[int]()

    def counted(self: Aside, why: AsideReason, of: Entering) -> None:
        held.append(len(self.held))
        again(self, why, of)

    with patched([(Aside, "enter_again", counted)]):
        for seed in range(SEEDS):
            run_aside(seed)
            if any(held) and not all(held):
                break
    assert any(held)  # by the same owner
    assert not all(held)  # as the next one opens


def test_the_same_seed_is_the_same_run_in_any_process() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "tests.campaigns.simulation.aside", "--seed", "7"],
        capture_output=True,
        text=True,
        check=True,
    )
    digest = run_aside(7).digest
    assert shown.stdout.split("trace ")[1].split()[0] == digest
    assert run_aside(8).digest != digest


def test_a_failed_seed_is_told_with_how_to_see_it_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def results() -> Iterator[Result]:
        yield run_aside(3)
        yield run_aside(4)._replace(violations=[(12.0, "I7", "5 goes to 11 after 6")])

    assert report_aside(results()) == 1
    said = capsys.readouterr().out
    assert "aside: 2 seeds" in said
    assert "aside seed 4: I7 at step 12: 5 goes to 11 after 6" in said
    assert "python -m tests.campaigns.simulation.aside --seed 4 --trace" in said
