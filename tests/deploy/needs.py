"""What a suite needs of this machine, and the sentence that says what is missing.

Who asks for a suite by its name gets exit code 1 if any of it did not run (``conftest.py`` beside
this); with ``GO_ON`` in the environment, as in `.ci/run`, it is only said.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

import pytest

from tests.harness import programs
from tests.harness.programs import INSTALL


def lacking(*names: str) -> str:
    """Why a suite that runs them as root cannot run here; empty if it can."""
    if os.geteuid() != 0:
        return "needs root, for namespaces of its own"
    return programs.lacking(*names)


def unless(*names: str) -> pytest.MarkDecorator:
    """Skips a module's tests where something is missing, with the word that `.ci/run` looks for."""
    reason = lacking(*names)
    return pytest.mark.skipif(bool(reason), reason=f"not run ({reason})")


def said_of(skipped: Iterable[str]) -> str:
    """Why tests were skipped, as one line of what to do; "" if none said so."""
    reasons = [found[1] for each in skipped if (found := re.search(r"not run \((.*)\)$", each))]
    wanted: set[str] = set()
    others: set[str] = set()
    for reason in reasons:
        if reason.startswith(INSTALL):
            wanted.update(reason.removeprefix(INSTALL).split())
        else:
            others.add(reason)
    install = [INSTALL + " ".join(sorted(wanted))] if wanted else []
    return "; ".join([*install, *sorted(others)])
