"""``warouter audit`` and ``warouter simulator codes`` through the command line."""

from __future__ import annotations

import time

import asyncpg
import msgspec
import pytest

from tests.harness.shell import printed, refused
from warouter.config import Settings
from warouter.lab.simulator.server import Simulator
from warouter.store.audit import Audit
from warouter.store.refusal_sums import Note


async def test_the_latest_first_as_a_table_and_as_json(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    audit = Audit(pool)
    for n in range(3):
        number = await audit.begin("admin", f"deed {n}", "203.0.113.9")
        await audit.end(number, "[bold]clerk", "done")
    await audit.add({Note("adm\x1b[31min", "log in", "203.0.113.9", "401/1005"): 17})
    shown = await printed(settings, "audit", "--last", "3")
    lines = shown.splitlines()
    assert len(lines) == 4
    assert "outcome" in lines[0]
    assert "\x1b" not in shown
    assert "adm?[31min" in lines[1]
    assert lines[1].split()[-1] == "17"
    assert "deed 2" in lines[2]
    assert "[bold]clerk" in lines[2]
    assert "deed 0" not in shown
    listed = await printed(settings, "audit", "--json")
    entries = [msgspec.json.decode(line) for line in listed.splitlines()]
    assert [e["action"] for e in entries] == ["log in", "deed 2", "deed 1", "deed 0"]
    assert entries[1] | {"at": ""} == {
        "at": "",
        "actor": "admin",
        "action": "deed 2",
        "subject": "[bold]clerk",
        "source": "203.0.113.9",
        "outcome": "done",
        "times": 1,
    }


async def test_codes_as_an_sms_would_show_them() -> None:
    simulator = Simulator()
    addresses = await simulator.start()
    try:
        code = simulator.numbers.request("491511234567", "sms", None, time.monotonic())
        shown = await printed(None, "simulator", "codes", "--url", addresses.control_url)
        found = msgspec.json.decode(shown)["codes"]["491511234567"]
        assert (found["code"], found["method"]) == (code, "sms")
        assert 590 < found["valid_s"] <= 600
    finally:
        await simulator.stop()


@pytest.mark.parametrize("days", ["0", "-1", "many"])
async def test_a_retention_that_is_none(days: str) -> None:
    env = {"WA_DB_HOSTNAME": "127.0.0.1", "WAROUTER_AUDIT_RETENTION": days}
    assert "WAROUTER_AUDIT_RETENTION" in await refused(None, "audit", **env)
