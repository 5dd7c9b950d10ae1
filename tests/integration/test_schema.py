"""``store/schema/``: each function is sound, found by its name, and names its callers."""

from __future__ import annotations

import re
from pathlib import Path

import asyncpg
import pytest

STORE = Path(__file__).parents[2] / "src" / "warouter" / "store"
FUNCTIONS = STORE / "schema" / "functions"
CALLED_BY = re.compile(r"^-- Called by: (.*\n(?:--   .*\n)*)", re.MULTILINE)
_DEFINITIONS = """
select pg_get_functiondef(p.oid) from pg_proc p
 where p.pronamespace = current_schema()::regnamespace"""


async def test_the_bodies_of_functions_are_sound(pool: asyncpg.Pool) -> None:
    """They are not checked as they are made, before the tables that they name."""
    async with pool.acquire() as connection, connection.transaction():
        for row in await connection.fetch(_DEFINITIONS):
            await connection.execute(row[0])


@pytest.mark.parametrize("path", sorted(FUNCTIONS.glob("*.sql")), ids=lambda path: path.stem)
def test_a_function_is_found_by_its_name_and_names_its_callers(path: Path) -> None:
    text = path.read_text("utf-8")
    assert re.findall(r"^create function (\w+)", text, flags=re.MULTILINE) == [path.stem]
    said = CALLED_BY.findall(text)
    assert len(said) == 1, "a definition says in its comment who calls it"
    callers = {one.strip() for each in said for one in each.replace("\n--", "").split(", ")}
    for caller in callers - {each for each in callers if each.startswith("the trigger")}:
        source = STORE.parent / caller if "/" in caller else FUNCTIONS / f"{caller}.sql"
        assert re.search(rf"\b{path.stem}\b", source.read_text("utf-8")), caller
    assert callers >= {each.stem for each in FUNCTIONS.glob("*.sql") if _calls(each, path.stem)}


def _calls(path: Path, name: str) -> bool:
    """Whether a function calls another one."""
    lines = re.sub("--.*", "", path.read_text("utf-8"))
    return re.search(rf"(?<!function )\b{name}\(", lines) is not None
