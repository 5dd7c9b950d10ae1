"""The original product's needs, by its own documents. Pure.

From its document on Multiconnect are database connections, classes of RDS and older machine limits;
from its deployment templates v2.45.2 for AWS is all else. It supported up to 250 messages/s.
"""

from __future__ import annotations

import msgspec

# It encrypted for each device and sent over the internet; here the other side is a simulator.
NOT_ALIKE = "not like for like: the original encrypts and crosses the internet"


class Original(msgspec.Struct, frozen=True, kw_only=True):
    """A row of its tables. ``machines`` has one coreapp each; None is not published."""

    rate: int
    shards: int
    coreapps: int
    webapps: int
    database: str
    masters: int = 2
    older_machines: int | None = None  # the most of the document's older template
    connections: int | None = None

    @property
    def machines(self) -> int:
        return self.coreapps


# messages/s, shards, webapps, class of the database
_TEMPLATE = (
    (10, 2, 2, "db.r5.large"),
    (20, 2, 2, "db.r5.xlarge"),
    (40, 4, 2, "db.r5.xlarge"),
    (80, 8, 2, "db.r5.2xlarge"),
    (120, 16, 2, "db.r5.4xlarge"),
    (160, 16, 2, "db.r5.4xlarge"),
    (200, 32, 2, "db.r5.4xlarge"),
    (250, 32, 3, "db.r5.8xlarge"),
)
_OLDER_MACHINES = {2: 3, 4: 4, 8: 5, 16: 8, 32: 15}
_CONNECTIONS = {8: 700, 32: 1_700}  # at 100 and 250 messages/s

ORIGINALS = tuple(
    Original(
        rate=rate,
        shards=shards,
        coreapps=shards + 1,
        webapps=webapps,
        database=database,
        older_machines=_OLDER_MACHINES[shards],
        connections=_CONNECTIONS.get(shards),
    )
    for rate, shards, webapps, database in _TEMPLATE
)

# Class of RDS and the most connections that it takes, by the document.
RDS = (
    *(("db.t2.medium", 318), ("db.t2.large", 636), ("db.t2.xlarge", 1272)),
    *(("db.t2.2xlarge", 2543), ("db.r4.large", 1212), ("db.r4.xlarge", 2424)),
    *(("db.r4.2xlarge", 4848), ("db.r4.4xlarge", 9696), ("db.r4.10xlarge", 19391)),
    *(("db.r4.16xlarge", 38783), ("db.m4.large", 636), ("db.m4.xlarge", 1272)),
    *(("db.m4.2xlarge", 2543), ("db.m4.4xlarge", 5086), ("db.m4.10xlarge", 12716)),
    *(("db.m4.16xlarge", 20345), ("db.m3.medium", 298), ("db.m3.large", 596)),
    *(("db.m3.xlarge", 1192), ("db.m3.2xlarge", 2384)),
)


def original_for(rate: float) -> Original:
    """The lowest supported rate that is enough, else the highest one."""
    return next((one for one in ORIGINALS if one.rate >= rate), ORIGINALS[-1])


def rds_class(connections: int) -> str | None:
    """The class with the fewest connections that are enough; None if there is none."""
    enough = [(most, name) for name, most in RDS if most >= connections]
    return min(enough)[1] if enough else None
