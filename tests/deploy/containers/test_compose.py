"""The shipped compose.yaml, unchanged: up, the demo, coreapps killed, stopped and added, down.

The demo is the judge: it ends with 0 only if nothing was lost, repeated or out of order.
"""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.containers.compose import GRACE, Compose
from tests.deploy.containers.engine import SHIPPED, TOOLS, Engine
from tests.deploy.needs import unless
from warouter._hash import SLOTS

# Podman's own helpers, which are in no PATH.
HELPERS = [x for x in ("aardvark-dns", "netavark") if not Path("/usr/lib/podman", x).exists()]
pytestmark = [
    unless("buildah", "podman", "crun", "nft", "mmdebstrap"),
    pytest.mark.skipif(bool(HELPERS), reason=f"not run (apt-get install {' '.join(HELPERS)})"),
]

MESSAGES, RATE = 7_000, 60
PASSED = 300  # messages between two events
DEMO_SECONDS = 300.0


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    engine = Engine()
    engine.begin()
    try:
        engine.build()
        yield engine
    finally:
        engine.end()


@pytest.fixture(scope="module")
def cluster(engine: Engine) -> Iterator[Compose]:
    compose = Compose(engine)
    begun = time.monotonic()
    compose.up()
    print(f"\nup and healthy in {time.monotonic() - begun:.0f} s")
    try:
        yield compose
    finally:
        compose.call("down", "--volumes", check=False)


def test_the_image_is_small_and_has_what_it_promises(engine):
    image = engine.inspect("warouter:latest")
    config = image["Config"]
    assert config["User"] == "990:990"
    assert config["Entrypoint"] == ["/opt/warouter/bin/warouter"]
    assert config["StopSignal"] == "SIGTERM"
    assert image["Healthcheck"]["Test"][-1] == "healthcheck"
    assert config["Labels"]["org.opencontainers.image.licenses"] == "Apache-2.0"
    run = ("podman", "run", "--rm", "--network=none", "--entrypoint=/bin/sh", "warouter:latest")
    assert not engine.call(*run, "-c", "command -v gcc cc make pip || true")
    missing = "find /opt/warouter/lib -name '*.py' -not -path '*/lib2to3/*' | head -1"
    assert engine.call(*run, "-c", missing), "the sources are there"
    compiled = "ls /opt/warouter/lib/python3.*/site-packages/warouter/__pycache__/*.pyc | wc -l"
    assert int(engine.call(*run, "-c", compiled)) > 10


def test_a_whole_cluster_in_one_container(engine):
    """docker run -p 9090:9090 warouter:local up"""
    name = "warouter-all"
    engine.call(
        "podman", "run", "--detach", f"--name={name}", "-p=9090:9090", "warouter:local", "up"
    )
    try:
        give_up = time.monotonic() + 120
        while "warouter is ready" not in (said := engine.call("podman", "logs", name)):
            assert time.monotonic() < give_up, said
            time.sleep(0.5)
        address = engine.inspect(name)["NetworkSettings"]["Networks"]["podman"]["IPAddress"]
        asked = engine.call(
            "curl", "-sk", "-o", "/dev/null", "-w", "%{http_code}", f"https://{address}:9090/"
        )
        assert asked == "200", asked
        engine.call("podman", "stop", "--time=60", name, seconds=90)
        assert engine.inspect(name)["State"]["ExitCode"] == 0
    finally:
        engine.call("podman", "rm", "--force", "--time=1", name)


def test_the_demo_runs_against_it(cluster):
    assert {role: len(cluster.names(role)) for role in ("master", "coreapp", "webapp")} == {
        "master": 2,
        "coreapp": 3,
        "webapp": 1,
    }
    judged(cluster.call(*demo(600, 60), seconds=DEMO_SECONDS))


def test_nothing_is_lost_when_coreapps_are_killed_stopped_and_added(cluster):
    command = [TOOLS / "podman-compose", "--file", "compose.yaml", *demo(MESSAGES, RATE)]
    with subprocess.Popen(
        command,
        cwd=SHIPPED,
        env=cluster.engine.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as running:
        try:
            hurt(cluster, running)
            said, _ = running.communicate(timeout=DEMO_SECONDS)
        finally:
            running.kill()
    assert running.returncode == 0, said[-3000:]
    judged(said)


def hurt(cluster: Compose, demo: subprocess.Popen[str]) -> None:
    """All that is to happen while the demo sends."""
    passes(cluster, PASSED)
    victim = owner(cluster)
    cluster.engine.call("podman", "kill", "--signal=KILL", victim)
    cluster.until(lambda: sum(owned(cluster).values()) == SLOTS, "all slots have owners again")
    print(f"\nkilled {victim}")
    passes(cluster, PASSED)
    stopped = owner(cluster)
    begun = time.monotonic()
    cluster.engine.call(
        "podman", "stop", f"--time={GRACE['coreapp']}", stopped, seconds=GRACE["coreapp"] + 60
    )
    took = time.monotonic() - begun
    assert cluster.engine.inspect(stopped)["State"]["ExitCode"] == 0
    print(f"stopped {stopped} in {took:.1f} s")
    passes(cluster, PASSED)
    assert demo.poll() is None, "all of it happened while the demo was sending"
    cluster.call("up", "--detach", "--no-recreate", "--scale", "coreapp=5", "coreapp")
    cluster.until(lambda: len(cluster.names("coreapp")) == 5, "5 coreapps run")


def test_a_stop_is_in_time_and_what_was_accepted_is_sent_after_it(cluster):
    before = set(cluster.names("coreapp") + cluster.names("webapp") + cluster.names("master"))
    cluster.call("stop", "webapp", "coreapp", "master")
    for name in before:
        state = cluster.engine.inspect(name)["State"]
        assert state["ExitCode"] == 0, (name, state)
    cluster.call("down")
    cluster.up()
    judged(cluster.call(*demo(300, 60), seconds=DEMO_SECONDS))


def demo(messages: int, rate: int) -> tuple[str, ...]:
    return (
        *("--profile", "demo", "run", "--rm", "-T", "--no-deps", "demo"),
        *("demo", "--data-dir=/etc/warouter/demo", "--webhook-host=simulator"),
        *(f"--messages={messages}", f"--rate={rate}"),
    )


def judged(said: str) -> None:
    """What the demo counted; it has ended with 0."""
    for what in ("accepted", "lost", "repeated", "out of order", "API errors"):
        found = re.search(rf"│ {what} +│ (\S+) ", said)
        assert found, said[-3000:]
        print(f"{what}: {found[1]}", end="; ")
        assert what == "accepted" or found[1] == "0", said[-3000:]


def passes(cluster: Compose, count: int) -> None:
    """So many messages more reach the simulator."""
    goal = arrived(cluster) + count
    cluster.until(lambda: arrived(cluster) >= goal, f"{count} messages more arrive")


def arrived(cluster: Compose) -> int:
    return sum(len(ids) for ids in cluster.record()["ids"].values())


def owned(cluster: Compose) -> dict[str, int]:
    """The running containers that own slots, each with how many."""
    addresses = {cluster.address(name): name for name in cluster.names("coreapp")}
    return {addresses[host]: n for host, n in cluster.owners().items() if host in addresses}


def owner(cluster: Compose) -> str:
    """The one with the most shards."""
    found = owned(cluster)
    return max(found, key=lambda name: found[name])
