"""The system's programs that tests run: each is looked for here, so that a machine that lacks them
can be played (`make test-bare`).

A test says what it wants by the mark ``program``; ``tests/conftest.py`` skips it where that is
missing, with the words "not run" that `.ci/run` looks for.
"""

from __future__ import annotations

import os
import shutil

# The Debian package that brings a program.
PACKAGES = {
    "buildah": "buildah",
    "crun": "crun",
    "curl": "curl",
    "fusermount3": "fuse3",
    "git": "git",
    "haproxy": "haproxy",
    "ip": "iproute2",
    "mmdebstrap": "mmdebstrap",
    "netavark": "netavark",
    "nft": "nftables",
    "nginx": "nginx",
    "podman": "podman",
    "promtool": "prometheus",
    "systemd-nspawn": "systemd-container",
}

INSTALL = "apt-get install "


def find(name: str) -> str | None:
    """Its path, or None. Debian keeps servers in sbin, where the path of a user does not lead."""
    folders = os.environ.get("PATH", "").split(":")
    beside = [f"{folder.removesuffix('bin')}sbin" for folder in folders if folder.endswith("/bin")]
    return shutil.which(name, path=":".join([*folders, *beside]))


def lacking(*names: str) -> str:
    """How to install those of them that are not here; "" if all are."""
    missing = sorted({PACKAGES[name] for name in names if find(name) is None})
    return INSTALL + " ".join(missing) if missing else ""
