"""Who asks for a campaign by its name is told by its exit code that not all of it ran."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.needs import said_of
from tests.harness.former import BEFORE
from tests.harness.programs import PACKAGES
from warouter.store.migrations import migrations

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text()


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    of_the_caller = ("GO_ON", "MAKEFLAGS", "MAKELEVEL", "MFLAGS")
    given = {name: text for name, text in os.environ.items() if name not in of_the_caller}
    return subprocess.run(
        command, cwd=ROOT, env=given | environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(("go_on", "code"), [({}, 1), ({"GO_ON": "1"}, 0)])
def test_a_suite_without_its_programs_fails_unless_it_may_go_on(
    go_on: dict[str, str], code: int, tmp_path: Path
) -> None:
    python = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist")
    done = run(*python, "tests/deploy/patroni", PATH=str(tmp_path), **go_on)
    assert done.returncode == code, done.stdout[-3000:] + done.stderr[-3000:]
    assert done.stdout.count("Not all of it ran: ") == 1
    (line,) = re.findall("^Not all of it ran: (.*)$", done.stdout, re.M)
    root = os.geteuid() == 0
    wanted = "apt-get install iproute2 mmdebstrap systemd-container"
    assert line == (wanted if root else "needs root, for namespaces of its own")


@pytest.mark.parametrize(("go_on", "code"), [({}, 2), ({"GO_ON": "1"}, 0)])
def test_make_says_so_too(go_on: dict[str, str], code: int) -> None:
    made = ("make", "--no-print-directory", "--old-file=.venv/installed")
    done = run(*made, "test-second", "SECOND=no-such-python", **go_on)
    assert done.returncode == code, done.stderr
    said = "second Python: not run (no-such-python with its venv and headers is not here)\n"
    assert done.stdout == said


def test_a_suite_elsewhere_loads_it_by_name(tmp_path: Path) -> None:
    """As `make upgrade` does, which needs the history."""
    test = tmp_path / "test_part.py"
    test.write_text(
        "import pytest\n\ndef test_a(): pytest.skip('not run (git fetch: no commit)')\n"
    )
    done = run(sys.executable, "-m", "pytest", "-q", "-p", "tests.deploy.conftest", str(test))
    assert (done.returncode, "Not all of it ran: git fetch: no commit\n" in done.stdout) == (
        1,
        True,
    )
    assert MAKEFILE.count("-p $(WHOLE) ") == 2


def test_an_upgrade_begins_with_a_build_that_may_run_on_the_schema() -> None:
    """Of a cluster and of machines: the same one."""
    assert max(step.runs_with for step in migrations()) <= BEFORE.newest
    (commit,) = re.findall(r"(?m)^FORMER_COMMIT := (\w+)$", MAKEFILE)
    assert BEFORE.commit.startswith(commit)


def test_one_line_says_all_that_is_to_be_installed() -> None:
    skipped = [
        "Skipped: not run (apt-get install podman buildah)",
        "Skipped: not run (apt-get install netavark)",
        "Skipped: not run (needs root, for namespaces of its own)",
        "Skipped: not run (apt-get install podman)",
        "Skipped: of another kind",
    ]
    assert said_of(skipped) == (
        "apt-get install buildah netavark podman; needs root, for namespaces of its own"
    )
    assert said_of(skipped[-1:]) == ""


def test_make_apt_installs_what_campaigns_want() -> None:
    found = dict(re.findall(r"^(DEBIAN|FOR_CAMPAIGNS) := ((?:.*\\\n)*.*)$", MAKEFILE, re.M))
    listed = {name for text in found.values() for name in re.findall(r"[\w.-]+", text)}
    assert set(PACKAGES.values()) | {"netavark", "aardvark-dns"} <= listed


def test_ci_goes_on() -> None:
    assert re.search(r"^export GO_ON=1$", (ROOT / ".ci" / "run").read_text(), re.M)
