"""The end of a process by one of its tasks."""

from __future__ import annotations

import asyncio

import pytest

from warouter.node.runtime import run_until

ERROR = OSError(24, "Too many open files")


@pytest.mark.parametrize("error", [ERROR, None])
async def test_the_task_that_ends_a_process_is_named_in_its_log(
    error: OSError | None, caplog: pytest.LogCaptureFixture
) -> None:
    async def ends() -> None:
        if error is not None:
            raise error

    task = asyncio.create_task(ends(), name="number")
    with pytest.raises(OSError if error else RuntimeError):
        await run_until(asyncio.Event(), [task])
    (record,) = caplog.records
    assert (record.message, vars(record)["task"]) == ("task failed", "number")
    assert (record.exc_info or (None, None))[1] is error
