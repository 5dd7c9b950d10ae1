"""Work beside everything else: who hears of its errors, for every place that begins some."""

from __future__ import annotations

import ast
import asyncio
import gc
from collections.abc import Iterator

import pytest

from tests.harness.sources import FILES, SOURCE, reads_sources, tree
from warouter import background

BEGINNERS = {"create_task", "ensure_future", "run_coroutine_threadsafe", "TaskGroup"}

# Every function that begins a task by itself, and who hears of an error in it. A new one is
# written with background.begin or, for work of a slot, with owner.tasks, or belongs here.
PROCESS = "ends the process, which is restarted and whose slots others take over"
CALLER = "raised to who awaits it"
HEARD = {
    "net/acceptor.py:_admit": "_begin catches everything: its connection ends",
    "api/app.py:_following": "run() catches everything, every round",
    "api/contacts/book.py:_ask": "_answers catches everything: its callers get their outcome",
    "api/account/registration.py:_ask": CALLER,
    "api/access/tokens.py:_load": CALLER,
    "background.py:begin": "told to `failed`",
    "lab/demo/demo_command.py:_until_told": CALLER,
    "lab/demo/demo_command.py:_shown": CALLER,
    "lab/simulator/simulator_command.py:_serve_until_told": CALLER,
    "cli/up.py:_until": CALLER,
    "console/feed.py:_joined": "run() catches everything, every round",
    "console/stream.py:send": CALLER,
    "link/client.py:set_addresses": "_keep catches everything and tries again",
    "local/cluster.py:_start": "keep() catches what a start may raise and tries again",
    "lab/demo/run.py:_send_all": CALLER,
    "lab/demo/run.py:_act": CALLER,
    "local/process.py:wait_ready": "waits only",
    "lab/demo/scene.py:own_cluster": CALLER,
    "media/staging.py:_begun": CALLER,
    "node/console.py:main": PROCESS,
    "node/coreapp.py:main": PROCESS,
    "node/coreapp.py:tasks": PROCESS,
    "node/master.py:_beating": CALLER,
    "node/master.py:main": PROCESS,
    "node/runtime.py:run_until": "waits only",
    "node/webapp.py:tasks": PROCESS,
    "owner/callbacks/feed.py:run": PROCESS,
    "owner/beats.py:run": PROCESS,
    "owner/cloud/drain.py:run": PROCESS,
    "owner/media/uploads.py:_take_off": CALLER,
    "owner/recorder.py:flush": CALLER,
    "store/aside.py:_let_go": "closing catches everything",
    "store/cached_reading.py:get": CALLER,
    "store/servers.py:open_writable": CALLER,
    "upstream/client.py:run": PROCESS,
    "upstream/cloud/graph/recovery.py:run": PROCESS,
    "webhook/callbacks.py:_start_posts": "_deliver catches everything: it ends its slots' epochs",
    "webhook/callbacks.py:run": PROCESS,
}


@reads_sources
def test_every_place_that_begins_a_task_is_known() -> None:
    assert set(_places()) == HEARD.keys()


def _places() -> Iterator[str]:
    for path in FILES:
        for function in ast.walk(tree(path)):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) and any(
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute | ast.Name)
                and _name(node.func) in BEGINNERS
                for node in ast.walk(function)
            ):
                yield f"{path.relative_to(SOURCE)}:{function.name}"


def _name(function: ast.Attribute | ast.Name) -> str:
    return function.attr if isinstance(function, ast.Attribute) else function.id


async def test_an_error_is_told() -> None:
    told: list[Exception] = []

    async def broken() -> None:
        await asyncio.sleep(0)
        raise KeyError("nobody thought of it")

    await background.begin(broken(), told.append)
    assert [repr(error) for error in told] == ["KeyError('nobody thought of it')"]


async def test_a_task_that_nobody_holds_is_kept_until_it_ends() -> None:
    ended = asyncio.Event()

    async def work() -> None:
        await asyncio.sleep(0.01)
        ended.set()

    background.begin(work(), pytest.fail)
    gc.collect()
    await ended.wait()


async def test_a_cancelled_task_is_no_error() -> None:
    task = background.begin(asyncio.sleep(3600), pytest.fail)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_wait_ends_with_the_event_or_its_time_and_leaves_nothing_behind() -> None:
    event = asyncio.Event()
    forever = asyncio.create_task(event.wait())
    await background.wait_for(event, 0.001)  # asyncio keeps its waiters where it is told to be
    await background.wait_for(event, -1.0)
    assert not event.is_set()
    assert not forever.done()  # the time of one is not that of another
    left = asyncio.create_task(background.wait_for(event, 3600.0))
    cancelled = asyncio.create_task(background.wait_for(event, 3600.0))
    await asyncio.sleep(0)
    cancelled.cancel()
    await asyncio.gather(cancelled, return_exceptions=True)
    assert cancelled.cancelled()
    event.set()
    await left
    await forever
    await background.wait_for(event, 3600.0)  # it is set
    assert not vars(event)["_waiters"]


@pytest.mark.parametrize("seconds", [0.25, 0.2, 1.0])
async def test_resting_ends_with_a_quarter_of_a_second(seconds: float) -> None:
    step = background.REST_STEP_SECONDS
    began = asyncio.get_running_loop().time()
    await background.rest(seconds)
    woke = asyncio.get_running_loop().time()
    assert woke - began >= seconds - step / 2 - 0.002
    # Nobody wakes before a quarter has begun; how long after says what the machine does beside it.
    turn = round((began + seconds) / step) * step
    assert woke >= turn - 0.002
