"""The compose files that are not brought up here, and what all of them keep to."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
SHIPPED = ROOT / "deploy" / "container"
UNITS = ROOT / "deploy" / "systemd"
PARSER = ROOT / ".venv-tools" / "bin" / "podman-compose"
FILES = {
    "multiconnect": ("compose.yaml",),
    "host": ("compose.host.yaml",),
    "monitoring": ("compose.yaml", "compose.monitoring.yaml"),
}


@pytest.fixture(params=sorted(FILES))
def services(request, tmp_path) -> dict[str, Any]:
    """The services as podman-compose reads them."""
    (tmp_path / "warouter.env").write_text("WA_DB_HOSTNAME=db.example.com\n")
    arguments = [word for name in FILES[request.param] for word in ("--file", name)]
    done = subprocess.run(
        [PARSER, *arguments, "config"],
        cwd=SHIPPED,
        env={"PATH": "/usr/bin", "WAROUTER_ENV": str(tmp_path / "warouter.env")},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    found: dict[str, Any] = yaml.safe_load(done.stdout)["services"]
    return found


def test_no_service_may_do_more_than_run(services):
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "/tmp" in service["tmpfs"], name
        assert service["ulimits"]["nofile"]["soft"] == "65536", name
        assert "privileged" not in service, name


def test_a_role_stops_within_the_time_of_its_unit(services):
    for name, service in services.items():
        role = str(service.get("command", [""])[0])
        unit = UNITS / f"warouter-{role}@.service"
        if unit.exists():
            seconds = re.search(r"^TimeoutStopSec=(\d+)$", unit.read_text(), re.MULTILINE)
            assert seconds
            assert service["stop_grace_period"] == f"{seconds[1]}s", name
            assert service["restart"] == "unless-stopped", name


def test_what_a_file_mounts_is_shipped(services):
    mounts = [m for service in services.values() for m in service.get("volumes", ())]
    for mount in mounts:
        source = mount.split(":")[0]
        assert not source.startswith(".") or (SHIPPED / source).is_file(), mount
