"""A name server that says nothing: links that clients chose hang, the cluster's own names do not.

Every process has its database by name here (``network``), so an owner whose sessions end must look
it up while links of messages wait for the silent one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.campaigns.chaos.lab import LOOK_SECONDS, Lab
from tests.campaigns.chaos.marks import Mark
from tests.campaigns.chaos.nameserver import NameServer
from tests.campaigns.chaos.nemeses.database import end_sessions
from tests.campaigns.chaos.nemesis import an_owner, nemesis
from tests.campaigns.chaos.network import LINK

LINKS = 40  # over all owners
AT_A_TIME = 2  # as many names as a loop looks up at a time: one more would wait for these
FOUND_SECONDS = 4.0
_SINCE = """
select count(*) as n from pg_stat_activity
 where datname = current_database() and application_name like 'wa:%:localhost:' || $1
   and backend_start > $2"""


@nemesis(LINK, of=[an_owner])  # names as links: in network namespaces only
async def silent_names(lab: Lab, mark: Mark) -> None:
    """Links of many recipients hang, and an owner's sessions are ended three times meanwhile."""
    (name,) = mark.victims
    names = lab.hosts.names
    assert names is not None
    async with _silence(names):
        for _ in range(LINKS):
            await _send_link(lab)
        host = lab.network.database_host(name)
        await lab.until(lambda: len(names.names_of(host)) >= AT_A_TIME)
        for _ in range(3):
            (row,) = await lab.database.sql("select clock_timestamp() as now")
            await end_sessions(lab, mark)
            await asyncio.sleep(0.3)
        if not await _is_back(lab, name, row["now"]):
            mark.wrong.append(f"I15: {name} did not find its database while links were looked up")


@asynccontextmanager
async def _silence(names: NameServer) -> AsyncIterator[None]:
    names.silent = True
    try:
        yield
    finally:
        names.silent = False
        names.answer()


async def _send_link(lab: Lab) -> None:
    """To a recipient of its own, outside the load's chains; it is to end as failed."""
    history = lab.history
    number = len(history.doomed)
    to, picture = f"49152{number:07d}", {"link": f"http://silent-{number}.example.com/picture.png"}
    history.doomed.add(await lab.business.message(to, type="image", image=picture))


async def _is_back(lab: Lab, name: str, since: object) -> bool:
    for _ in range(int(FOUND_SECONDS / LOOK_SECONDS)):
        (row,) = await lab.database.sql(_SINCE, name, since)
        if row["n"]:
            return True
        await asyncio.sleep(LOOK_SECONDS)
    return False
