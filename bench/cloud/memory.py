"""Memory of a coreapp that has sent to many users and goes on at a thousand a second.

Each answer and each status shows the user id (BSUID) of a recipient beside the number, so that in
the end each of them is an identity in the database, and known to the coreapp that wrote it.
"""

from __future__ import annotations

from pathlib import Path

from bench.cloud.extent import Extent
from bench.cloud.site import FAST, LOAD_CONNECTIONS, UNLIMITED, cloud_site, warm
from bench.e2e.lives import Samples
from bench.e2e.site import Found

OWNERS = 4
PER_SECOND = 1_000.0
SECONDS = 120.0


async def measure(folder: Path, extent: Extent) -> tuple[Found, list[str]]:
    """The greatest coreapp, and what was wrong."""
    async with cloud_site(folder, OWNERS, UNLIMITED, FAST) as here:
        await warm(here)
        samples = Samples(here)
        order = here.order(
            LOAD_CONNECTIONS,
            extent.lasts(SECONDS),
            per_second=PER_SECOND,
            recipients=extent.identities,
        )
        async with samples.taken():
            found = await here.measured(order)
        known = await here.database.fetchval("select count(*) from contact_identity")
        most = {name: max(mib) for name, mib in samples.resident.items()}
        figures: Found = {
            "memory": {
                "coreapp_mib": max(mib for name, mib in most.items() if name.startswith("coreapp")),
                "by_mib": most,
                "identities": known,
                "per_s": round(found["lives"] / found["seconds"]),
            },
            "foreign_cores": {"memory": round(found["foreign_cores"], 2)},
        }
        return figures, await here.check("memory")
