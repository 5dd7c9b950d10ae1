"""Files of others are as their registry has them, and stand in the list and in the SBOM."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

FOLDER = Path(str(files("warouter"))) / "static" / "console"
LIST = FOLDER / "VENDORED.md"
SBOM = Path(__file__).parents[3] / "deploy" / "package" / "vendored.py"
OWN = {"VENDORED.md", "charts.js", "console.css", "console.js", "mark.svg"}
FILE = re.compile(r"(?m)^\| (\S+) \| (\S+) \| (\S+) \| ([0-9a-f]{64}) \|$")
PACKAGE = re.compile(r"(?m)^\| (\S+) \| ([\d.]+) \| (\S+) \| (https:\S+) \| (sha512-\S+) \|$")


def test_each_file_is_listed_and_has_the_bytes_of_its_package() -> None:
    listed = FILE.findall(LIST.read_text())
    assert {name for name, *_ in listed} == {f.name for f in FOLDER.iterdir()} - OWN
    for name, _, _, digest in listed:
        assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == digest, name


def test_each_package_has_its_licence_beside_it_and_the_integrity_of_its_tarball() -> None:
    text = LIST.read_text()
    licensed = {package for _, package, path, _ in FILE.findall(text) if path == "LICENSE"}
    found = PACKAGE.findall(text)
    assert {name for name, *_ in found} == licensed
    for name, version, licence, url, integrity in found:
        assert url == f"https://registry.npmjs.org/{name}/-/{name}-{version}.tgz"
        assert licence in {"0BSD", "MIT"}
        assert len(base64.b64decode(integrity.removeprefix("sha512-"))) == 64


def test_the_files_name_the_versions_of_the_list() -> None:
    versions = {name: version for name, version, *_ in PACKAGE.findall(LIST.read_text())}
    assert f'version="{versions["htmx.org"]}"' in (FOLDER / "htmx.min.js").read_text()
    assert f"(v{versions['uplot']})" in (FOLDER / "uPlot.iife.min.js").read_text()[:200]


def test_the_sbom_has_them_beside_warouter(tmp_path: Path) -> None:
    path = tmp_path / "bom.json"
    own = {"bom-ref": "warouter==1", "name": "warouter", "version": "1"}
    needs = [{"ref": "aiohttp"}, {"ref": "warouter==1", "dependsOn": ["aiohttp"]}]
    path.write_text(json.dumps({"components": [own], "dependencies": needs}))
    subprocess.run([sys.executable, SBOM, LIST, path], check=True)
    bom = json.loads(path.read_text())
    assert [part.get("purl") for part in bom["components"]] == [
        None,
        "pkg:npm/htmx.org@4.0.1",
        "pkg:npm/uplot@1.6.32",
    ]
    assert bom["components"][1]["licenses"] == [{"license": {"id": "0BSD"}}]
    assert len(bom["components"][1]["hashes"][0]["content"]) == 128
    assert bom["dependencies"][1]["dependsOn"] == [
        "aiohttp",
        "pkg:npm/htmx.org@4.0.1",
        "pkg:npm/uplot@1.6.32",
    ]
