"""A campaign that gets SIGTERM tidies up; a second one does not break that off."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from tests.campaigns.chaos.told import STOPPED, run


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_started_faults_are_ended(number: signal.Signals) -> None:
    ended = []

    async def campaign() -> int:
        try:
            os.kill(os.getpid(), number)
            await asyncio.Event().wait()
        finally:
            os.kill(os.getpid(), number)
            await asyncio.sleep(0)  # it is heard here
            await asyncio.sleep(0)
            ended.append("the cluster")
        return 0

    assert run(campaign()) == STOPPED
    assert ended == ["the cluster"]


def test_one_that_is_told_nothing_has_its_own_exit_code() -> None:
    async def campaign() -> int:
        return 1

    assert run(campaign()) == 1
