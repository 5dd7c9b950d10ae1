"""What settings of Patroni and WAROUTER_HOLD do to a failover: the rows of docs/postgresql.md."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest

from tests.deploy.needs import unless
from tests.deploy.patroni.trio import Trio
from tests.deploy.patroni.watched import Row, watched

pytestmark = unless("systemd-nspawn", "mmdebstrap", "ip")


class Group(NamedTuple):
    """Faults under one configuration; what ``dcs`` and ``hold`` leave out is as in the test.

    One that ``loses`` shows that the judge would find what synchronous replication keeps.
    """

    says: str
    faults: tuple[str, ...]
    dcs: Mapping[str, Any] = MappingProxyType({})
    hold: str = "10"
    loses: bool = False


# The test itself measures each fault as docs/postgresql.md configures it.
GROUPS = (
    Group("HOLD=28", ("postgres", "kill", "plug", "partition"), hold="28"),
    Group("start 0", ("postgres", "crash"), {"primary_start_timeout": 0}),
    Group("quorum", ("kill", "partition"), {"synchronous_mode": "quorum"}),
    Group("ttl 30", ("kill",), {"ttl": 30, "loop_wait": 10, "retry_timeout": 10}),
    Group("asynchronous", ("apart",), {"synchronous_mode": False}, loses=True),
)


async def test_rows(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    if not pytestconfig.getoption("rows"):
        pytest.skip("PATRONI=--rows measures them")
    trio = Trio()
    rows: list[Row] = []
    try:
        await trio.start()
        for number, group in enumerate(GROUPS):
            await trio.configure(group.dcs)
            async with watched(trio, f"rows_{number}", {"WAROUTER_HOLD": group.hold}) as run:
                for name in group.faults:
                    await run.round(name, label=f"{name} {group.says}".strip())
                if group.loses:
                    lost = await run.lost()
                    print(f"{lost} of {run.business.history.accepted} acknowledged are lost")
                    assert lost > 0
                else:
                    assert await run.verdict() == []
            rows += run.rows
    except BaseException:
        trio.keep_logs(tmp_path)
        raise
    finally:
        trio.remove()
    print(Row.head(), *rows, sep="\n", flush=True)
