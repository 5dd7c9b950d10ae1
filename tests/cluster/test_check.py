"""`warouter check` and the line `trust` of `warouter status` on a cluster of `warouter up`."""

from __future__ import annotations

import msgspec

from tests.cluster.conftest import Start
from tests.harness.shell import command, printed


async def test_a_fresh_cluster_has_nothing_open(start: Start) -> None:
    cluster, _ = await start()
    folder = str(cluster.folder)
    result = await command(None, "check", "--json", "--verbose", "--data-dir", folder)
    found = [msgspec.json.decode(line) for line in result.stdout.splitlines()]
    levels: dict[str, set[str]] = {}
    for finding in found:
        levels.setdefault(finding["level"], set()).add(finding["name"])
    assert levels.keys() <= {"ok", "note", "warning"}
    # What the newest wheel's PostgreSQL and the machine of the test are like.
    about = {"postgres-old", "disk-full", "descriptors-few", "login-superuser"}
    assert levels.get("warning", set()) <= about
    assert result.exit_code == ("warning" in levels)
    shown = await printed(None, "status", "--data-dir", folder)
    assert " · links on this host · " in " ".join(shown.split())
    assert "without TLS" not in shown
