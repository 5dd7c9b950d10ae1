"""The wheels where there is neither a compiler nor a network, the .rpm, and the SBOM."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.deploy.package import rpm
from tests.deploy.package.conftest import DIST, NEEDED, PACKED
from tests.deploy.package.root import USER, Root
from warouter import __version__
from warouter.errors import CommandError

pytestmark = [NEEDED, PACKED]

SOURCE = Path(__file__).parents[3]


def test_an_ordinary_user_installs_the_wheels_and_runs_the_demo(root: Root) -> None:
    for compiler in ("cc", "gcc", "g++"):
        try:
            root.run("which", compiler)
        except CommandError:
            continue
        raise AssertionError(f"{compiler} is there")
    root.run("python3", "-m", "venv", "venv", user=USER)
    pip = ["venv/bin/pip", "install", "--quiet", "--no-index"]
    root.run(*pip, "--find-links", "/dist/wheelhouse-cp313", "warouter[local]", user=USER)
    said = root.run("venv/bin/warouter", "demo", "--messages", "600", user=USER)
    assert re.search(r"accepted +│ 600 ", said), said
    assert re.search(r"lost +│ 0 ", said), said


def test_wheels_run_on_any_linux_of_the_last_ten_years() -> None:
    wheels = [file.name for file in DIST.glob(f"warouter-{__version__}-*.whl")]
    assert any("-cp313-" in name for name in wheels)
    assert all("manylinux_2_17_x86_64" in name for name in wheels), wheels


def test_the_rpm_has_what_the_deb_has(root: Root, deb: Path) -> None:
    package = rpm.read(DIST / f"warouter-{__version__}.x86_64.rpm")
    listed = root.run("dpkg-deb", "--contents", f"/dist/{deb.name}")
    in_deb = {re.split(r" -> |/$", line.split(maxsplit=5)[5])[0] for line in listed.splitlines()}
    assert len(package.files) > 1000
    assert {f".{name}" for name in package.files} <= in_deb
    env = package.files["/etc/warouter/warouter.env"]
    assert env.mode & 0o777 == 0o600
    assert env.flags & (rpm.CONFIG | rpm.NOREPLACE) == rpm.CONFIG | rpm.NOREPLACE
    assert "/usr/bin/python3.13" in package.requires
    # After the files of the version before are gone, which it would link.
    assert package.posttrans == (SOURCE / "deploy/package/postinst.sh").read_text()
    assert package.postinstall == ""


def test_the_sbom_names_what_the_lock_has_and_the_package() -> None:
    bom = json.loads((DIST / f"warouter-{__version__}.cdx.json").read_text())
    named = {(part["name"].lower(), part["version"]) for part in bom["components"]}
    lock = (SOURCE / "deploy/requirements.lock").read_text()
    locked = {
        (name, version)
        for name, version, marker in re.findall(r"(?m)^([a-z0-9-]+)==(\S+)(.*)\\$", lock)
        if "python_full_version <" not in marker
    }
    vendored = {("htmx.org", "4.0.1"), ("uplot", "1.6.32")}
    assert named == {*locked, *vendored, ("warouter", __version__)}
