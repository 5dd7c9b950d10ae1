"""`warouter simulator` by hand: serving, injecting, reading the record, setting faults."""

import asyncio
import json
import re
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import msgspec
import pytest

from tests.harness.shell import printed, refused
from tests.harness.simulator import TO, World, running
from tests.harness.wait import PATIENCE


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with running() as world:
        yield world


async def _run(*arguments: str) -> str:
    return await printed(None, "simulator", *arguments)


@pytest.fixture
def data_dir(world: World, tmp_path: Path) -> str:
    cluster = {"simulator": {"control_url": world.addresses.control_url}}
    (tmp_path / "cluster.json").write_bytes(msgspec.json.encode(cluster))
    return str(tmp_path)


async def test_inject_record_and_faults_by_hand(world: World, data_dir: str) -> None:
    owner = await world.owner()
    injected = await _run("inject", "--data-dir", data_dir, "--from", TO, "--body", "hi")
    assert (await owner.event()).key == json.loads(injected)["id"]
    record = await _run("record", "--data-dir", data_dir, "--ids")
    assert (json.loads(record)["inbound"], json.loads(record)["ids"]) == (1, {})
    switches = ["repeat=0.5", f"unknown={TO}", f"blocked={TO},49151", 'templates={"promo":2061}']
    shown = await _run("faults", "--data-dir", data_dir, *switches)
    assert json.loads(shown)["unknown"] == [TO]
    assert (world.simulator.faults.repeat, world.simulator.faults.unknown) == (0.5, (TO,))
    assert world.simulator.faults.blocked == (TO, "49151")
    assert world.simulator.faults.templates == {"promo": 2061}
    await _run("faults", "--url", world.addresses.control_url, "--clear")
    assert world.simulator.faults.repeat == 0
    await _run("record", "--data-dir", data_dir, "--forget")
    assert (await world.record())["inbound"] == 0


async def test_inject_a_file_and_an_object(world: World, data_dir: str, tmp_path: Path) -> None:
    owner = await world.owner()
    picture = tmp_path / "picture.png"
    picture.write_bytes(b"png")
    common = ["inject", "--data-dir", data_dir, "--from", TO, "--type"]
    await _run(*common, "image", "--file", str(picture), "--body", "look")
    image = msgspec.json.decode((await owner.event()).payload)["image"]
    assert (image["mime_type"], image["caption"]) == ("image/png", "look")
    await _run(*common, "location", "--json", '{"latitude": 1, "longitude": 2}')
    location = msgspec.json.decode((await owner.event()).payload)["location"]
    assert location == {"latitude": 1, "longitude": 2}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["faults", "repeat=2"], "the simulator refused: .*repeat"),
        (["faults", "repeat"], "NAME=VALUE"),
        (["faults", "repeat=much"], "not JSON"),
        (["inject", "--from", "abc", "--body", "x"], "the simulator refused: .*digits"),
        (["inject", "--from", TO, "--json", "{"], "not JSON"),
        (["record", "--url", "http://127.0.0.1:1"], "no simulator answers"),
        (["record", "--url", "nonsense"], "no simulator answers"),
        (["record", "--data-dir", "/nonexistent"], "--url"),
    ],
)
async def test_errors_at_the_command_line_are_one_sentence(
    data_dir: str, arguments: list[str], says: str
) -> None:
    chosen = [] if {"--url", "--data-dir"} & {*arguments} else ["--data-dir", data_dir]
    assert re.search(says, await refused(None, "simulator", *arguments, *chosen))


async def test_a_data_directory_without_a_simulator(tmp_path: Path) -> None:
    for content in (b"{}", b"[]", b"{", b'{"simulator": null}'):
        (tmp_path / "cluster.json").write_bytes(content)
        record = await refused(None, "simulator", "record", "--data-dir", str(tmp_path))
        assert "--url" in record


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
async def test_the_command_serves_until_it_is_stopped(stop: signal.Signals) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from warouter.lab.simulator.simulator_command import simulator; simulator()",
        *("--port", "0", "--control-port", "0", "--services-port", "0"),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE):
        line = (await process.stdout.readline()).decode()
        found = re.search(r"at ([\d.]+):(\d+), services port \d+, control port (http://\S+)", line)
        assert found is not None
        async with aiohttp.ClientSession() as http, http.get(found[3]) as answer:
            assert answer.status == 200
        process.send_signal(stop)
        assert await process.wait() == 0


async def test_help_explains_every_switch(world: World) -> None:
    _, faults = await world.ask("GET", "/faults")
    for arguments in (["--help"], ["faults", "--help"]):
        output = await _run(*arguments)
        assert all(f"{name} (" in output for name in faults)
