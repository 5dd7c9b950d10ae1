"""What a suite needs of this machine, and the sentence that says what is missing."""

from __future__ import annotations

import os
import shutil

import pytest

# The Debian package that brings a program.
PACKAGES = {
    "buildah": "buildah",
    "crun": "crun",
    "ip": "iproute2",
    "kubectl": "kubectl",
    "mmdebstrap": "mmdebstrap",
    "netavark": "netavark",
    "nft": "nftables",
    "podman": "podman",
    "systemd-nspawn": "systemd-container",
}


def lacking(*programs: str) -> str:
    """Why a suite that runs them as root cannot run here; empty if it can."""
    if os.geteuid() != 0:
        return "needs root, for namespaces of its own"
    missing = sorted({PACKAGES[name] for name in programs if shutil.which(name) is None})
    return f"apt-get install {' '.join(missing)}" if missing else ""


def unless(*programs: str) -> pytest.MarkDecorator:
    """Skips a module's tests where something is missing, with the word that `.ci/run` looks for."""
    reason = lacking(*programs)
    return pytest.mark.skipif(bool(reason), reason=f"not run ({reason})")
