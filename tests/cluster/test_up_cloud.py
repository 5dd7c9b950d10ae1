"""`warouter up` with the Cloud API: its own emulator, and a Graph API of somebody else."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.cluster.conftest import ONE, Start
from tests.harness.business import Business
from tests.harness.wait import soon
from warouter.lab.simulator.cloud.facts import CloudFacts
from warouter.lab.simulator.cloud.server import CloudSimulator
from warouter.local.cluster import Cluster
from warouter.local.options import CLOUD, EMULATOR
from warouter.local.process import Process

TO = "491511234567"
FACTS = CloudFacts(token="EAAtokenofthetest", app_secret="secretofthetest", number="15557770000")


async def test_a_cluster_on_the_emulator(start: Start) -> None:
    cluster, business = await start(**ONE, upstream=EMULATOR)
    await business.called_back("read", await business.message(TO))
    (sent,) = await business.come({"from": TO, "type": "text", "body": "hi"})
    await business.until(lambda: sent in {m["id"] for m in business.receiver.inbound})
    described = cluster.description()
    roles = [each["role"] for each in described["processes"]]
    assert sorted(roles) == ["coreapp", "master", "postgres", "simulator", "webapp"]
    assert_no_secrets(cluster, list(secrets_in(cluster.folder)))
    await assert_none_told(cluster, business, list(secrets_in(cluster.folder)))
    await business.set_shards(2)
    async with running(cluster):
        await joined_by_hand(cluster)
        await ports_stay(cluster, business)


async def test_a_cluster_on_the_graph_api_of_somebody_else(start: Start, tmp_path: Path) -> None:
    graph = CloudSimulator(FACTS)
    graph.number.registered = graph.number.verified = False
    address = await graph.start()
    file = tmp_path / "app-secret"
    file.write_text(FACTS.app_secret)
    given = {
        "WAROUTER_CLOUD_PHONE_NUMBER_ID": FACTS.phone_number_id,
        "WAROUTER_CLOUD_WABA_ID": FACTS.waba_id,
        "WAROUTER_CLOUD_TOKEN": FACTS.token,
        "WAROUTER_CLOUD_APP_SECRET_FILE": str(file),
        "WAROUTER_CLOUD_VERIFY_TOKEN": FACTS.verify_token,
        "WAROUTER_CLOUD_BASE_URL": address.graph_url,
    }
    try:
        cluster, business = await start(**ONE, upstream=CLOUD, environment=given)
        described = cluster.description()
        assert "simulator" not in {each["role"] for each in described["processes"]}
        assert "simulator" not in described
        assert_no_secrets(cluster, [FACTS.token, FACTS.app_secret, FACTS.verify_token])
        graph.subscribe(cluster.cloud_webhooks)
        status, _ = await business.try_call("POST", "/v1/messages", json=text())
        assert status == 503  # no number is registered
        graph.number.registered = True
        async with running(cluster):
            await soon(lambda: cluster.number is not None)
        assert cluster.description()["phone_number"] == "5557770000"
        await business.called_back("read", await business.message(TO))
        wish = {"cc": "1", "phone_number": "5557770000", "method": "sms", "cert": "YW55"}
        assert (await business.try_call("POST", "/v1/account", json=wish))[0] == 201
        contacts = {"contacts": ["+49 151 1234567", "no number"], "blocking": "wait"}
        checked = await business.call("POST", "/v1/contacts", json=contacts)
        assert [each["status"] for each in checked["contacts"]] == ["valid", "invalid"]
    finally:
        await graph.stop()


def text() -> dict[str, object]:
    return {"to": TO, "type": "text", "text": {"body": "hello"}}


@asynccontextmanager
async def running(cluster: Cluster) -> AsyncIterator[None]:
    """As `warouter up` goes on once it is ready."""
    stop = asyncio.Event()
    task = asyncio.create_task(cluster.run(stop))
    try:
        yield
    finally:
        stop.set()
        await task


def secrets_in(folder: Path) -> Iterator[str]:
    for file in folder.glob("emulator-*"):
        assert file.stat().st_mode & 0o777 == 0o600
        yield file.read_text().strip()


def assert_no_secrets(cluster: Cluster, secrets: list[str]) -> None:
    """Neither in cluster.json nor in what `ps` shows of the children."""
    assert len(secrets) == 3
    shown = (cluster.folder / "cluster.json").read_bytes()
    for process in cluster.processes.values():
        for what in ("cmdline", "environ"):
            shown += Path(f"/proc/{process.pid}/{what}").read_bytes()
    assert [secret for secret in secrets if secret.encode() in shown] == []


async def assert_none_told(cluster: Cluster, business: Business, secrets: list[str]) -> None:
    """Neither in the logs nor in what the API and the commands show."""
    told = b"".join(file.read_bytes() for file in (cluster.folder / "log").iterdir())
    for path in ("/v1/support", "/v1/health", "/v1/stats/app", "/v1/settings/application"):
        told += json.dumps(await business.call("GET", path)).encode()
    (message,) = list(business.receiver.statuses)[:1]
    for command in (["status", "--json"], ["doubt", "list"], ["audit"], ["trace", message]):
        arguments = [*command, "--data-dir", str(cluster.folder)]
        running = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "warouter", *arguments), stdout=subprocess.PIPE
        )
        told += (await running.communicate())[0]
        assert running.returncode == 0
    assert [secret for secret in secrets if secret.encode() in told] == []


async def joined_by_hand(cluster: Cluster) -> None:
    """A coreapp and a webapp need nothing but the folder; they serve beside the others."""
    for role in ("coreapp", "webapp"):
        arguments = [role, "--data-dir", str(cluster.folder)]
        process = Process(f"by-hand-{role}", role, arguments, {}, cluster.folder)
        try:
            await process.start()
        finally:
            assert await process.stop() == 0


async def ports_stay(cluster: Cluster, business: Business) -> None:
    """A webapp that is restarted takes webhooks, and calls, where it did before."""
    webapp = cluster.processes["webapp-1"]
    before = cluster.webapp_urls, cluster.cloud_webhooks, webapp.pid
    webapp.kill(signal.SIGKILL)
    await soon(lambda: webapp.pid != before[2] and webapp.ready.is_set())
    assert (cluster.webapp_urls, cluster.cloud_webhooks) == before[:2]
    (hook,) = cluster.cloud_webhooks
    async with business.http.get(hook) as answer:
        assert answer.status == 403  # of the listener: no verify token
    await business.called_back("read", await business.message(TO))


pytestmark = pytest.mark.timeout(240)
