"""The .deb on a fresh Debian 13: what it brings, what an upgrade and a removal leave."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from tests.deploy.package.conftest import DIST, NEEDED, PACKED
from tests.deploy.package.root import USER, Root
from warouter import __version__
from warouter.errors import CommandError

pytestmark = [NEEDED, PACKED]

SOURCE = Path(__file__).parents[3]
FORMER = "0.1.99"
ENV = "/etc/warouter/warouter.env"
# A process that has started and loads something only when it is asked to.
LATE = """
import sys, warouter._hash
print("started", flush=True)
sys.stdin.readline()
import warouter.api.sealed, phonenumbers.data.region_LU
print(warouter.api.sealed.__file__)
"""


def test_the_package_has_program_units_account_and_documents(installed: Root) -> None:
    said = installed.run("warouter", "--version", user=USER)
    assert said.split()[-1] == __version__
    assert installed.run("/opt/warouter/bin/warouter", "--version", user=USER) == said
    assert installed.run("sh", "-c", "id -u warouter; id -g warouter") == "990\n990\n"
    for unit in (SOURCE / "deploy" / "systemd").glob("*.service"):
        placed = installed.file(f"/usr/lib/systemd/system/{unit.name}")
        assert placed.read_bytes() == unit.read_bytes()
        assert placed.stat().st_mode & 0o777 == 0o644
    env = installed.file(ENV).stat()
    assert (env.st_mode & 0o777, env.st_uid) == (0o600, 0)
    secrets = installed.file("/etc/warouter/secrets").stat()
    assert (secrets.st_mode & 0o777, secrets.st_uid, secrets.st_gid) == (0o750, 0, 990)
    assert installed.file("/usr/share/doc/warouter/installation.md").exists()
    assert installed.file("/usr/share/warouter/monitoring/warouter.rules.yml").exists()
    assert installed.file("/usr/share/warouter/credentials/coreapp.conf").exists()


def test_packaged_files_are_compiled_and_belong_to_root(installed: Root) -> None:
    before = installed.files()

    installed.run("/opt/warouter/bin/warouter", "demo", "--help")
    assert installed.files() == before, "root had to compile something"
    assert installed.run("dpkg", "--verify", "warouter") == ""
    writable = ["find", "/usr/lib/warouter", "!", "-type", "l", "-perm", "/022"]
    assert installed.run(*writable, "-o", "!", "-user", "root") == ""
    assert installed.run("head", "-n1", "/opt/warouter/bin/warouter").startswith(
        "#!/usr/lib/warouter/"
    )
    config = installed.file(f"/usr/lib/warouter/{__version__}/pyvenv.cfg").read_text()
    assert "executable = /usr/bin/python3.13" in config


def test_an_upgrade_keeps_the_env_file_and_what_processes_run_from(
    root: Root, deb: Path, tmp_path: Path
) -> None:
    root.run("dpkg", "--install", f"/tmp/{former(deb, root, tmp_path)}")
    edited = root.file(ENV).read_text() + "WA_DB_PORT=5433\n"
    root.file(ENV).write_text(edited)
    process = root.start(f"/usr/lib/warouter/{FORMER}/bin/python", "-c", LATE)
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"

    for _ in range(2):  # also while it is not the version before
        root.run("dpkg", "--install", "--force-confold", f"/dist/{deb.name}")

    assert root.file(ENV).read_text() == edited
    assert root.file(ENV).stat().st_mode & 0o777 == 0o600
    assert root.run("warouter", "--version").split()[-1] == __version__
    loaded, _ = process.communicate("\n", timeout=60)
    assert loaded.startswith(f"/usr/lib/warouter/{FORMER}/"), "the former version is gone"

    root.run("dpkg", "--install", f"/dist/{deb.name}")
    assert not root.file(f"/usr/lib/warouter/{FORMER}").exists(), "it is kept for good"
    assert root.run("warouter", "--version").split()[-1] == __version__


def test_removal_and_purge_leave_the_account_and_what_an_operator_wrote(
    root: Root, deb: Path
) -> None:
    before = root.files()
    root.run("dpkg", "--install", f"/dist/{deb.name}")
    key = root.file("/etc/warouter/tls.key")
    key.write_text("secret")

    root.run("dpkg", "--remove", "warouter")
    kept = {"./etc/warouter", "./etc/warouter/secrets", "./etc/warouter/tls.key"}
    account = {"./etc/passwd-", "./etc/group-", "./etc/shadow-", "./etc/gshadow-"}
    assert root.files() - before - account == {*kept, f".{ENV}"}

    root.run("dpkg", "--purge", "warouter")
    assert root.files() - before - account == kept - {"./etc/warouter/secrets"}
    assert "warouter" in root.run("getent", "passwd", "warouter")

    key.unlink()
    root.run("dpkg", "--install", f"/dist/{deb.name}")
    root.run("dpkg", "--purge", "warouter")
    assert root.files() - before - account == set()


def test_the_package_leaves_an_installation_by_hand_alone(root: Root, deb: Path) -> None:
    mine = root.file("/opt/warouter/bin/warouter")
    mine.parent.mkdir(parents=True)
    mine.write_text("by hand")
    with pytest.raises(CommandError, match="/opt/warouter is a folder of another installation"):
        root.run("dpkg", "--install", f"/dist/{deb.name}")
    assert mine.read_text() == "by hand"


def test_packing_twice_gives_the_same_bytes(deb: Path, tmp_path: Path) -> None:
    (tmp_path / "wheelhouse-cp313").symlink_to(DIST / "wheelhouse-cp313")
    subprocess.run(["deploy/package/pack.sh", ".", tmp_path], cwd=SOURCE, check=True)
    for name in (
        deb.name,
        f"warouter-{__version__}.x86_64.rpm",
        f"warouter-{__version__}.cdx.json",
    ):
        assert digest(tmp_path / name) == digest(DIST / name), name


def former(deb: Path, root: Root, folder: Path) -> str:
    """The same package as an older version with another example; its name in the root's /tmp."""
    tree = folder / "former"
    subprocess.run(["dpkg-deb", "--raw-extract", deb, tree], check=True)
    package = tree / "usr/lib/warouter/package"
    for file in (tree / "DEBIAN/control", package / "bin/warouter", package / "pyvenv.cfg"):
        file.write_text(file.read_text().replace(__version__, FORMER))
    example = tree / ENV.lstrip("/")
    example.write_text(example.read_text() + "# of the version before\n")
    made = f"warouter_{FORMER}_amd64.deb"
    build = ["dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", tree]
    subprocess.run(
        [*build, root.file(f"/tmp/{made}")], check=True, env={**os.environ, "LC_ALL": "C"}
    )
    return made


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
