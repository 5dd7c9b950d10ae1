"""The Cloud door: Meta's Graph API and its webhooks. It has no fence and drops no repeat.

By default windows are short, evidence comes within seconds and nothing is throttled, so that a
fault heals in ten seconds; ``defaults`` leaves windows, rates and repeats as the product and the
door have them.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

import aiohttp
import msgspec

from tests.campaigns.chaos.doors import Arrival, Row, doubts
from tests.campaigns.chaos.doors import requests as judge
from tests.campaigns.chaos.doors.doubts import Doubt
from tests.campaigns.chaos.doors.requests import Whole
from tests.campaigns.chaos.marks import Mark
from tests.harness.certificates import alone
from warouter._hash import slot_of
from warouter.flow.causes import word_of
from warouter.flow.pairs import PAIR_SECONDS
from warouter.flow.windows import BASE_SECONDS, BLIND_FACTOR, Wait, Windows
from warouter.local.cluster import Cluster
from warouter.local.options import EMULATOR
from warouter.message_id import text_of

if TYPE_CHECKING:
    from tests.campaigns.chaos.lab import Lab

SHORT_WINDOW = 6.0  # longer than any fault that leaves a request to be taken late
UNTHROTTLED = {
    "level": 0,
    "pair_s": 0,
    "latency_ms": 20,
    "latency_most_ms": 120,
    "retry_ms": 500,
    "retry_most_s": 2,
    "timeout_ms": 2000,
}
AS_META = {"latency_ms": 100, "latency_most_ms": 350}
MARKETING = "spring_sale"  # a template of that category
FAST = 5000  # messages/s that the product may send
WHOLE = aiohttp.ClientTimeout(total=120.0)  # for a record of a million requests
OPEN_SECONDS = 5.0  # a request without an end is looked at again for so long
_DOUBTS = """
select extract(epoch from at)::float8 as wall, id, coalesce(cause, '') as cause, was, became
  from doubt_log order by at"""
_STORED = "select count(*) as n from event where kind = 1"


class CloudDoor:
    cluster: Cluster
    name = EMULATOR
    fences = False
    parks: ClassVar = {"code": 131056, "code_share": 0.3}
    # The product keeps the rate of each recipient whatever this door takes: a load beyond it would
    # only wait, for longer than the run lasts.
    pair_seconds = 1.25 * PAIR_SECONDS

    def __init__(self, *, defaults: bool = False) -> None:
        self.window = BASE_SECONDS if defaults else SHORT_WINDOW
        self.inbound = 5 if defaults else 20
        self.patience = 30.0 + BLIND_FACTOR * self.window
        self._defaults = defaults
        self._certificate = Path()
        self._since = float("-inf")
        self._seen: set[str] = set()
        self._told: dict[str, Any] = {}

    def options(self, folder: Path, host: str) -> dict[str, Any]:
        """Over TLS: plain http is for loopback only, and hosts are namespaces here."""
        self._certificate, key = folder / "graph.crt", folder / "graph.key"
        pair = alone(host)
        self._certificate.write_text(pair.pem)
        key.write_text(pair.key)
        switches: dict[str, Any] = {"categories": {MARKETING: "MARKETING"}}
        switches |= AS_META if self._defaults else UNTHROTTLED
        return {
            "upstream": EMULATOR,
            "simulator_host": host,
            "emulator_tls": (str(self._certificate), str(key)),
            "emulator_faults": tuple(f"{n}={json.dumps(value)}" for n, value in switches.items()),
        }

    @property
    def token_file(self) -> Path:
        """Both the product's and the door's."""
        return Path(self.cluster.settings.number_cloud.token.path)

    def port(self) -> int:
        port = urlsplit(self.cluster.settings.cloud.base_url).port
        assert port is not None
        return port

    def environment(self, host: str, port: int) -> dict[str, str]:
        found = {
            "WAROUTER_CLOUD_BASE_URL": f"https://{host}:{port}",
            "SSL_CERT_FILE": str(self._certificate),
        }
        if not self._defaults:
            found |= {
                "WAROUTER_CLOUD_DOUBT_SECONDS": f"{self.window:g}",
                "WAROUTER_CLOUD_RATE": str(FAST),
            }
        return found

    def query(self) -> str:
        return f"since={self._since}"

    def new(self, record: dict[str, Any]) -> list[Arrival]:
        requests = record.pop("requests")
        found = []
        for request in requests:
            reference = request["reference"]
            if request["accepted"] is not None and reference not in self._seen:
                self._seen.add(reference)
                slot = slot_of(request["recipient"])
                found.append((request["accepted"], slot, request["id"], 0))
        self._go_on(requests)
        return sorted(found)

    def _go_on(self, requests: Sequence[Row]) -> None:
        """Ask next for what began after the first that is open, and for nothing old."""
        if not requests:
            return
        old = requests[-1]["begun"] - OPEN_SECONDS
        open_ = (r["begun"] for r in requests if r["outcome"] == "open" and r["begun"] > old)
        first = next(open_, None)
        self._since = requests[-1]["begun"] if first is None else first - 1e-6
        self._seen = {
            r["reference"]
            for r in requests
            if r["begun"] > self._since and r["accepted"] is not None
        }

    async def has_told(self, lab: Lab) -> None:
        """What it keeps back longest shows what was taken twice."""
        give_up = time.monotonic() + self.patience
        while time.monotonic() < give_up:
            async with lab.business.http.get(lab.cluster.control_url) as answer:
                state = await answer.json()
            if not state["statuses_due"] and not state["unacknowledged"]:
                return
            await asyncio.sleep(0.2)

    async def judged(self, lab: Lab, marks: Sequence[Mark], log: Sequence[Row]) -> list[str]:
        history = lab.history
        whole = await self._whole(lab)
        requests = whole.requests
        ids = judge.first_taken(requests)
        inversions = judge.overtaken(whole, history.number)
        history.on_record({"ids": ids, "inversions": inversions})
        history.wanted = ("read",)  # what comes after a later status is not shown any more
        judge.dated(history.sends, log, time.time() - time.monotonic())
        twice = judge.twice(requests, marks, self.window, history.cautious)
        rows = await lab.database.sql(_DOUBTS, seconds=60.0)
        logged = {line["id"] for line in _said(lab.folder, "message taken twice")}
        begun = [_doubt(row) for row in rows if row["became"] == 2]
        ended = [_doubt(row) for row in rows if row["was"] == 2]
        taken = {i for some in ids.values() for i in some}
        failed = {i for i in history.cautious if "failed" in history.statuses[i]}
        became = [row["became"] for row in rows if row["was"] == 2]
        self._told = doubts.figures(begun, ended, became, _said(lab.folder, "doubt ended")) | {
            "held": len(history.held),
            "requests": len(requests),
            "taken_twice_where_nobody_could_know": len(twice.excused),
            "taken_twice_wrongly": len(twice.wrong),
            "failed_though_taken": len(failed & taken),
        }
        return [
            *judge.protocol(whole),
            *judge.attempts_in_order(requests)[:3],
            *twice.wrong[:5],
            *judge.unlogged(twice.excused, logged),
            *judge.doubts_of_moves(begun, marks),
            *_unexplained(lab),
            *await self._inbound(lab),
        ]

    def told(self) -> dict[str, Any]:
        return self._told

    async def _whole(self, lab: Lab) -> Whole:
        url = f"{lab.cluster.control_url}/record?requests=1"
        async with lab.business.http.get(url, timeout=WHOLE) as answer:
            return msgspec.json.decode(await answer.read(), type=Whole)

    async def waiting(self, lab: Lab) -> set[str]:
        """As an operator hears of them: held, or in doubt until a window ends that outlasts a run.

        What was issued and not begun when its owner died has no evidence, and waits for its window.
        """
        long = Windows(self.window).of(Wait.HELD).ends
        return {
            one["id"]
            for one in await self._listed()
            if one["state"] == "held" or (one["id"] in lab.history.slow and _age(one) < long)
        }

    async def _listed(self) -> list[dict[str, Any]]:
        command = ("-m", "warouter", "doubt", "list", "--json", "--data-dir")
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *command,
            str(self.cluster.folder),
            stdout=asyncio.subprocess.PIPE,
        )
        said, _ = await process.communicate()
        listed: list[dict[str, Any]] = msgspec.json.decode(said)
        return listed

    async def _inbound(self, lab: Lab) -> list[str]:
        (row,) = await lab.database.sql(_STORED)
        told = len(lab.history.injected)
        return [f"I9: {row['n']} of {told} inbound messages are stored"] if row["n"] != told else []


def cloud_of(lab: Lab) -> CloudDoor:
    """The door of a lab, for faults that only this one has."""
    assert isinstance(lab.door, CloudDoor)
    return lab.door


def _age(listed: dict[str, Any]) -> float:
    """Seconds in doubt."""
    return time.time() - datetime.fromisoformat(listed["since"]).timestamp()


def _doubt(row: Row) -> Doubt:
    return Doubt(row["wall"], text_of(row["id"]), word_of(row["cause"]))


def _unexplained(lab: Lab) -> list[str]:
    """Nothing refuses what the chains send, so none of it may fail."""
    history = lab.history
    failed = [i for i in history.number if "failed" in history.statuses[i]]
    silent = [i for i in history.cautious if not {"read", "failed"} & {*history.statuses[i]}]
    return [
        *([f"I5: {len(failed)} messages were called back as failed"] if failed else []),
        *([f"I5: {len(silent)} messages never ended"] if silent else []),
    ]


def _said(folder: Path, event: str) -> list[dict[str, Any]]:
    """Lines of this event in the logs of all owners."""
    logs = [path.read_bytes() for path in (folder / "log").glob("coreapp-*.log*")]
    name = event.encode()
    lines = (line for log in logs for line in log.splitlines() if name in line)
    found = (msgspec.json.decode(line) for line in lines if line.startswith(b"{"))
    return [line for line in found if line["event"] == event]
