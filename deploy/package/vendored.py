"""Adds to an SBOM what lies in the package as files of others: VENDORED.md lists them.

usage: vendored.py VENDORED.md SBOM.json
"""

from __future__ import annotations

import json
import re
import sys
from base64 import b64decode
from pathlib import Path
from typing import Any

_ROW = re.compile(r"(?m)^\| (\S+) \| ([\d.]+) \| (\S+) \| (https://\S+) \| sha512-(\S+) \|$")


def components(listed: str) -> list[dict[str, Any]]:
    """The packages of the list, as CycloneDX 1.6 has them."""
    return [
        {
            "bom-ref": f"pkg:npm/{name}@{version}",
            "externalReferences": [{"type": "distribution", "url": url}],
            "hashes": [{"alg": "SHA-512", "content": b64decode(integrity).hex()}],
            "licenses": [{"license": {"id": licence}}],
            "name": name,
            "purl": f"pkg:npm/{name}@{version}",
            "type": "library",
            "version": version,
        }
        for name, version, licence, url, integrity in _ROW.findall(listed)
    ]


def add(bom: dict[str, Any], vendored: list[dict[str, Any]]) -> None:
    """Beside the packages of Python; warouter is what depends on them."""
    refs = [part["bom-ref"] for part in vendored]
    (holder,) = [part["bom-ref"] for part in bom["components"] if part["name"] == "warouter"]
    bom["components"] += vendored
    bom["dependencies"] += [{"ref": ref} for ref in refs]
    for dependency in bom["dependencies"]:
        if dependency["ref"] == holder:
            dependency["dependsOn"] = sorted([*dependency.get("dependsOn", []), *refs])


if __name__ == "__main__":
    path = Path(sys.argv[2])
    read = json.loads(path.read_text())
    add(read, components(Path(sys.argv[1]).read_text()))
    path.write_text(json.dumps(read, indent=2) + "\n")
