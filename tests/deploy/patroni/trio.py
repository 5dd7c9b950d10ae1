"""The three members together: how they start, who leads, and when all is whole again."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import trustme

from tests.deploy import network
from tests.deploy.patroni.member import PASSWORD, Member
from tests.deploy.rootfs import rootfs
from tests.harness import prepared
from tests.harness.certificates import text_of

NUMBERS = (2, 3, 4)
# docs/postgresql.md has the same.
DCS: dict[str, Any] = {
    "ttl": 20,
    "loop_wait": 5,
    "retry_timeout": 5,
    "synchronous_mode": True,
    "postgresql": {
        "use_pg_rewind": True,
        "use_slots": True,
        "parameters": {"max_connections": 200},
    },
}
WHOLE_SECONDS = 180.0
LOOK_SECONDS = 0.2


class Trio:
    """Three machines on disks in memory: what others write to the disk delays no vote of etcd."""

    def __init__(self) -> None:
        network.make()
        self._given: dict[str, Any] = {}  # beside DCS
        self._authority = trustme.CA()
        self.folder = prepared.reachable_folder()
        self.members = [Member(rootfs("patroni"), self.folder, number) for number in NUMBERS]
        self.ca = self.folder / "ca.crt"
        self.ca.write_text(text_of(self._authority))

    def environment(self, database: str) -> dict[str, str]:
        """The WA_DB_* of warouter's processes: all three by address, TLS verified for each."""
        return {
            "WA_DB_ENGINE": "PGSQL",
            "WA_DB_HOSTNAME": ",".join(member.address for member in self.members),
            "WA_DB_PORT": "5432",
            "WA_DB_USERNAME": "warouter",
            "WA_DB_PASSWORD": PASSWORD,
            "WAROUTER_DB_NAME": database,
            "WA_DB_SSL_CA": str(self.ca),
        }

    async def start(self) -> float:
        """From nothing to three members and warouter's role; the seconds that it took."""
        began = time.monotonic()
        for member in self.members:
            member.prepare(self.members, DCS, self._authority)
        await asyncio.gather(*(asyncio.to_thread(member.boot) for member in self.members))
        await self.whole()
        await (await self.leader()).sql(f"create role warouter login password '{PASSWORD}'")
        return time.monotonic() - began

    def remove(self) -> None:
        """Pull all plugs and forget the disks."""
        for member in self.members:
            member.remove()
        shutil.rmtree(self.folder)

    async def create(self, database: str) -> None:
        await (await self.leader()).sql(f"create database {database} owner warouter")

    async def configure(self, dcs: Mapping[str, Any]) -> None:
        """``DCS`` and this, in place of what was configured before; then all is whole."""
        change = dict.fromkeys(self._given) | DCS | dict(dcs)  # None takes a setting away
        answer = await (await self.leader()).ask("/config", change)
        assert answer is not None, f"Patroni did not take {change}"
        self._given = dict(dcs)
        await self.whole()

    # what is seen

    @property
    def standby(self) -> str:
        """What Patroni calls one that commits wait for, in the mode that it was given."""
        mode = self._given.get("synchronous_mode", DCS["synchronous_mode"])
        return {True: "sync_standby", "quorum": "quorum_standby"}.get(mode, "replica")

    async def view(self, *without: Member) -> list[dict[str, Any]]:
        """The members as the first one says that answers; none if nobody does."""
        for member in self.members:
            if member not in without and member.alive:
                answer = await member.ask("/cluster")
                if answer:
                    return list(answer["members"])
        return []

    async def leader(self, *without: Member) -> Member:
        """Who leads and takes writes, as those say who are not left out; waits for one."""
        give_up = time.monotonic() + WHOLE_SECONDS
        while time.monotonic() < give_up:
            names = {row["name"] for row in await self.view(*without) if row["role"] == "leader"}
            for member in self.members:
                if member.name in names and member not in without and await member.takes_writes():
                    return member
            await asyncio.sleep(LOOK_SECONDS)
        raise AssertionError(f"nobody leads: {await self.view(*without)}")

    async def whole(self) -> int:
        """Wait until all three say that one leads, two stream, and a commit waits for a standby;
        the timeline. One that comes back shows for some seconds what it knew before.
        """
        give_up = time.monotonic() + WHOLE_SECONDS
        while time.monotonic() < give_up:
            views = [await member.ask("/cluster") for member in self.members]
            if all(views) and all(_whole(view["members"], self.standby) for view in views):
                timelines = {row["timeline"] for view in views for row in view["members"]}
                if len(timelines) == 1:
                    return int(timelines.pop())
            await asyncio.sleep(LOOK_SECONDS)
        raise AssertionError(f"not whole after {WHOLE_SECONDS:g} s: {views}")

    def keep_logs(self, folder: Path) -> None:
        """What the units said, for who reads it after a failure."""
        folder.mkdir(parents=True, exist_ok=True)
        for member in self.members:
            if member.alive:
                (folder / f"{member.name}.log").write_text(member.journal())


def _whole(rows: list[dict[str, Any]], standby: str) -> bool:
    if len(rows) != len(NUMBERS) or len({row.get("timeline") for row in rows}) != 1:
        return False
    states = sorted(row["state"] for row in rows)
    roles = [row["role"] for row in rows]
    ready = states == ["running", "streaming", "streaming"]
    return ready and roles.count("leader") == 1 and standby in roles
