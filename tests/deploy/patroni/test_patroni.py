"""PostgreSQL fails over by Patroni under load: nothing is lost, repeated or turned around."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.deploy.needs import unless
from tests.deploy.patroni.trio import Trio
from tests.deploy.patroni.watched import Row, watched

pytestmark = unless("systemd-nspawn", "mmdebstrap", "ip")

STEPS = ("switchover", "kill", "partition", "apart")
ROUNDS = (
    *("switchover", "postgres", "plug", "switchover", "crash"),
    *("switchover", "partition", "switchover", "postgres", "switchover"),
)


async def test_patroni_fails_over_again_and_again(
    tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    if pytestconfig.getoption("rows"):
        pytest.skip("PATRONI=--rows measures in its place")
    trio = Trio()
    try:
        print(f"\nthree members after {await trio.start():.1f} s", flush=True)
        async with watched(trio, "warouter") as run:
            print(Row.head(), flush=True)
            for name in (*STEPS, *ROUNDS):
                await run.round(name)
            assert await run.verdict() == []
    except BaseException:
        trio.keep_logs(tmp_path)
        raise
    finally:
        trio.remove()
