"""The steps by which the schema came to be: ``schema/``, in the order of their numbers.

Step 0001, the baseline, is ``schema/functions`` and ``schema/tables``, each in the order of their
names. Functions come first, since tables have triggers; so their bodies, which name tables, are not
checked as they are made. Each later step is a file ``schema/NNNN_name.sql``. Steps only add, and
each says in its first lines which builds may still run on the schema after it:

    -- runs with: 2        builds whose newest step is 0002 or later

A step that does not say so needs itself. Indexes on large tables are in a step of their own,

    -- outside a transaction        each of its statements by itself

all ``create index concurrently if not exists``, which no writer waits for. What a try that was
broken off left of one is dropped first: it would count as there, and serve nobody.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from pathlib import Path
from typing import NamedTuple

from warouter.errors import CommandError

BASELINE = "0001_baseline"
SCHEMA = Path(__file__).parent / "schema"
_UNCHECKED = "set local check_function_bodies = off;\n"
_RUNS_WITH = re.compile(r"^-- runs with: (\d+)$")
_OUTSIDE = "-- outside a transaction"
_INDEX = re.compile(r"create index concurrently if not exists (\w+)\s")
_COMMENT = re.compile(r"^--.*\n", re.MULTILINE)


class Migration(NamedTuple):
    version: int
    name: str
    sql: str

    @property
    def runs_with(self) -> int:
        """Number of the newest step of the oldest build that can run on the resulting schema."""
        for line in self._head:
            if found := _RUNS_WITH.match(line):
                return int(found[1])
        return self.version

    @property
    def indexes(self) -> dict[str, str]:
        """The statements of a step that runs outside a transaction, by the index each creates."""
        if _OUTSIDE not in self._head:
            return {}
        lines = [line for line in self.sql.splitlines() if not line.startswith("--")]
        statements = [each.strip() for each in "\n".join(lines).split(";")]
        found = {each: _INDEX.match(each) for each in statements if each}
        if wrong := [each for each, made in found.items() if made is None]:
            raise CommandError(
                f"{self.name}: outside a transaction there may only be"
                f" CREATE INDEX CONCURRENTLY IF NOT EXISTS, not: {wrong[0]}"
            )
        return {made[1]: each for each, made in found.items() if made is not None}

    @property
    def _head(self) -> list[str]:
        """The comment that the step begins with."""
        return list(itertools.takewhile(lambda line: line.startswith("--"), self.sql.splitlines()))

    @property
    def checksum(self) -> str:
        """Of its SQL, without lines that are comments: who calls a function may change."""
        return hashlib.sha256(_COMMENT.sub("", self.sql).encode()).hexdigest()


def migrations() -> list[Migration]:
    """The steps of this build, in order."""
    later = _files(SCHEMA)
    return [
        baseline(SCHEMA),
        *(Migration(int(each.name[:4]), each.name, each.read_text("utf-8")) for each in later),
    ]


def baseline(schema: Path) -> Migration:
    """Step 0001, as a folder ``schema`` has it."""
    return Migration(
        1, BASELINE, _UNCHECKED + _sql_in(schema / "functions") + _sql_in(schema / "tables")
    )


def _sql_in(folder: Path) -> str:
    return "".join(each.read_text("utf-8") for each in _files(folder))


def _files(folder: Path) -> list[Path]:
    found = [each for each in folder.iterdir() if each.name.endswith(".sql")]
    return sorted(found, key=lambda each: each.name)
