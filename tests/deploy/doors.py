"""The WhatsApp side of a site: the simulator on HOST, behind one of its doors.

It keeps the record that a run is judged by, so that it is on none of the machines that are hurt.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from trustme import CA

from tests.deploy.network import HOST
from tests.harness.certificates import issued
from warouter.config import load
from warouter.local import cloud_emulator
from warouter.local.cluster import SAMPLE
from warouter.local.environment import of_child
from warouter.local.process import Process
from warouter.local.seed import seed_number
from warouter.local.upstream import authority_key, certificate

CONTROL_PORT, PORT, SERVICES_PORT, GRAPH_PORT = 6261, 6260, 6262, 6270
WEBHOOK_PORT = 9095
CONTROL_URL = f"http://127.0.0.1:{CONTROL_PORT}"
DOUBT_SECONDS = "6"
# As those of the campaign: windows are short, nothing is throttled, answers take their time.
_FAULTS = (
    *("level=0", "pair_s=0", "latency_ms=20", "latency_most_ms=400", "retry_ms=500"),
    *("retry_most_s=2", "timeout_ms=2000"),
)


class Door(Protocol):
    """What a site needs of it: the ``variables`` of its processes."""

    name: str
    variables: dict[str, str]

    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    async def register(self, database: Mapping[str, str]) -> None:
        """The number, in the migrated database of these variables."""
        ...


class NativeDoor:
    """Keeps claims with epochs, and drops repeats by id."""

    name = "native"

    def __init__(self, folder: Path) -> None:
        arguments = [
            *("simulator", "--host", HOST, "--port", str(PORT), "--data-dir", str(folder)),
            *("--control-port", str(CONTROL_PORT), "--services-port", str(SERVICES_PORT)),
        ]
        self._process = Process("simulator", "simulator", arguments, of_child({}), folder)
        self.variables = {
            "WAROUTER_UPSTREAM_ADDRESS": f"{HOST}:{PORT}",
            "WAROUTER_UPSTREAM_SERVICES": f"{HOST}:{SERVICES_PORT}",
        }

    async def start(self) -> None:
        await self._process.start()

    async def stop(self) -> None:
        await self._process.stop()

    async def register(self, database: Mapping[str, str]) -> None:
        settings = load(database)
        cert = await certificate(CONTROL_URL, *SAMPLE)
        await seed_number(settings, *SAMPLE, cert, await authority_key(CONTROL_URL))


class CloudDoor:
    """Speaks the Graph API as Meta does, over TLS, and never drops a repeat.

    Its webhooks go through one address, as Meta's through the load balancer.
    """

    name = "cloud"

    def __init__(self, folder: Path, authority: CA) -> None:
        pair = issued(authority, name=HOST)
        certificate, key = folder / "graph.crt", folder / "graph.key"
        certificate.write_text(pair.pem)
        key.write_text(pair.key)
        given = cloud_emulator.emulated(folder, GRAPH_PORT, tls=True)
        given["WAROUTER_CLOUD_BASE_URL"] = f"https://{HOST}:{GRAPH_PORT}"
        webhooks = [cloud_emulator.webhook_url(HOST, WEBHOOK_PORT, tls=True)]
        arguments = cloud_emulator.arguments(
            GRAPH_PORT, CONTROL_PORT, HOST, webhooks, "".join(SAMPLE), _FAULTS
        )
        arguments += ["--tls", str(certificate), str(key)]
        self._folder, self._given = folder, given
        self._process = Process("simulator", "simulator", arguments, of_child(given), folder)
        self.variables = {
            "WAROUTER_CLOUD_BASE_URL": given["WAROUTER_CLOUD_BASE_URL"],
            "WAROUTER_CLOUD_DOUBT_SECONDS": DOUBT_SECONDS,
            "WAROUTER_CLOUD_RATE": "1000",
        }

    async def start(self) -> None:
        await self._process.start()

    async def stop(self) -> None:
        await self._process.stop()

    def secret(self, name: str) -> str:
        """TOKEN, APP_SECRET or VERIFY_TOKEN."""
        return Path(self._given[f"WAROUTER_CLOUD_{name}_FILE"]).read_text().strip()

    async def register(self, database: Mapping[str, str]) -> None:
        cert, key = cloud_emulator.own_certificate(self._folder, "".join(SAMPLE))
        settings = load({**database, **self._given, "WAROUTER_UPSTREAM": "cloud"})
        await seed_number(settings, *SAMPLE, cert, key)
