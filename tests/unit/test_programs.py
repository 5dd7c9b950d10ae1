"""Programs of the system: whoever lacks one still passes `make test`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness import bare, programs

ROOT = Path(__file__).parents[2]


def test_all_are_looked_for_in_one_place() -> None:
    own = ROOT / "tests" / "harness" / "programs.py"
    files = (ROOT / "tests").rglob("*.py")
    looks = re.compile(r"shutil\.which|\bimport which")
    assert {path for path in files if looks.search(path.read_text())} == {own}


def test_debian_keeps_servers_beside_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sbin").mkdir()
    (server := tmp_path / "sbin" / "haproxy").touch(0o755)
    monkeypatch.setenv("PATH", f"/nowhere:{tmp_path}/bin")
    assert programs.find("haproxy") == str(server)
    assert programs.lacking("haproxy", "nginx", "promtool") == "apt-get install nginx prometheus"


def test_tests_without_their_program_leave_nothing_open(tmp_path: Path) -> None:
    """Those that once skipped with a server open, which is an error at teardown."""
    file = ROOT / "tests" / "integration" / "test_front_proxies.py"
    python = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist")
    done = subprocess.run(
        (*python, "-m", "program", str(file)),
        cwd=ROOT,
        env=os.environ | {"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    for name in ("haproxy", "nginx"):  # by the place of the test, which says what did not run
        said = rf"test_front_proxies\.py:\d+: not run \(apt-get install {name}\)$"
        assert re.search(said, done.stdout, re.M), done.stdout


@pytest.mark.skipif(not programs.find("dpkg-query"), reason="not run (needs Debian's dpkg)")
def test_the_bare_path_has_what_readme_asks_for_and_nothing_that_tests_look_for(
    tmp_path: Path,
) -> None:
    readme = (ROOT / "README.md").read_text()
    assert all(f"`{name}`" in readme for name in bare.PREREQUISITES)
    bare.fill(tmp_path / "bin")
    here = {path.name for path in (tmp_path / "bin").iterdir()}
    assert {"gcc", "make", "sh", "unshare", "mount", "tar"} <= here
    assert not here & set(programs.PACKAGES)
