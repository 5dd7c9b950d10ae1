"""`warouter cloud probe` with the Cloud door as its peer, which calls the probe's own listener."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from msgspec.structs import replace

from tests.harness.cloud import TO, Door, client_settings, client_variables, door
from warouter.cloud_number import NumberCloud
from warouter.cloud_settings import CloudSettings
from warouter.lab.probe.lab import Lab
from warouter.lab.probe.observed import Observed
from warouter.lab.probe.plan import Times
from warouter.lab.probe.questions import ProbeScope
from warouter.lab.probe.run import run
from warouter.lab.probe.verdicts import rows
from warouter.local.ports import free_port

# What must come is waited for as long as it takes; what must not come, so long.
TIMES = Times(
    first=60, status=60, late=0.6, patience=2.0, history=1.0, poll=0.05, person=60, gap=0.0
)


class Probing:
    """A probe of the door at ``found``, which listens at a port of its own.

    ``switches`` are set at the door once the probe says these words.
    """

    def __init__(self, found: Door) -> None:
        self.door = found
        self.port = free_port()
        self.said: list[str] = []
        self.switches: dict[str, dict[str, Any]] = {}
        self.lab: Lab | None = None
        self.pairs: Any = None
        self.trusts: ssl.SSLContext | None = None
        self.certificate: tuple[str, str] = ("", "")  # the files of the probe's own listener

    @property
    def cloud(self) -> tuple[CloudSettings, NumberCloud]:
        """The settings, and the number."""
        found = client_settings(self.door.simulator.facts, self.door.addresses.graph_url)
        cloud = replace(
            found[0],
            listen=("127.0.0.1", self.port),
            tls_cert=self.certificate[0],
            tls_key=self.certificate[1],
        )
        return cloud, found[1]

    @property
    def variables(self) -> dict[str, str]:
        """The same for a process."""
        given = client_variables(self.door.simulator.facts, self.door.addresses.graph_url)
        return {**given, "WAROUTER_CLOUD_LISTEN": f"127.0.0.1:{self.port}"}

    def subscribe(self) -> None:
        """The door calls the probe from now on, once it listens."""
        scheme = "https" if self.certificate[0] else "http"
        self.door.simulator.subscribe([f"{scheme}://127.0.0.1:{self.port}/cloud/webhook"])

    async def run(
        self,
        *questions: str,
        to: tuple[str, ...] = (TO,),
        messages: int = 8,
        unreachable: str = "",
        note: bytes = b"",
        person: Any = None,
        times: Times = TIMES,
    ) -> Observed:
        asked = ProbeScope(questions, to, unreachable, messages, bool(note), person is not None)
        self.lab = Lab(
            *(*self.cloud, asked, times, "run1", self._say),
            person=person,
            pairs=self.pairs,
            tls=self.trusts,
        )
        return await run(self.lab, note)

    def _say(self, words: str) -> None:
        self.said.append(words)
        if words in self.switches:
            self.door.use(**self.switches[words])

    async def result(self, question: str, **given: Any) -> str:
        """The result of one question."""
        (row,) = rows(await self.run(question, **given), [question])
        return row.result


@asynccontextmanager
async def probing(**switches: Any) -> AsyncIterator[Probing]:
    """A door that is set so, and a probe that it calls."""
    async with door(**switches) as found:
        probe = Probing(found)
        probe.subscribe()
        yield probe
