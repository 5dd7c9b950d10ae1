"""S19: secrets that can be told from all else go through a cluster that meets what goes wrong. Then
everything that it wrote, said or shows of itself is searched for them.

What the database gives away to whoever reads all of it is in SECURITY.md; here it is a list.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.cluster.conftest import CALM, PAIR, running
from tests.harness.business import Business
from tests.harness.canaries import (
    CANARIES,
    OF_THE_URL,
    found_in,
    has_no_core,
    provoke,
    said_by,
)
from tests.harness.facts import Facts
from tests.harness.postgres import own_server
from tests.harness.wait import soon
from warouter.api.app import D360_ROUTES, ROUTES
from warouter.local.cluster import Cluster
from warouter.local.options import EMULATOR
from warouter.local.postgres import Postgres
from warouter.store import database

PASSWORD, KEY = CANARIES["database password"], CANARIES["api key"]
TO = CANARIES["recipient"]

# All that is to be found in the database, and why it must be there.
STORED = {
    "text",  # a message is kept until its retention
    "recipient",
    "sender",
    "provider's bearer",  # shown to the provider with each fetch
    "provider's password",
    "webhook's secret",  # signs each callback
    "webhook's header",  # goes with each callback
    *OF_THE_URL,  # goes with each callback
    "link key",  # webapps read it from the row of the node
}


@pytest.fixture
def server() -> Iterator[Postgres]:
    """A PostgreSQL that asks for a password."""
    with own_server() as server:
        yield server


async def ask_for_password(server: Postgres) -> None:
    connection = await asyncpg.connect(server.dsn("postgres"))
    await connection.execute(f"alter role postgres password '{PASSWORD}'")
    rules = server.folder / "pg_hba.conf"
    rules.write_text(re.sub(r"\btrust$", "scram-sha-256", rules.read_text(), flags=re.MULTILINE))
    await connection.execute("select pg_reload_conf()")
    await connection.close()
    await soon(lambda: refused_without_password(server))


async def refused_without_password(server: Postgres) -> bool:
    try:
        connection = await asyncpg.connect(server.dsn("postgres"))
    except asyncpg.InvalidPasswordError:
        return True
    await connection.close()
    return False


async def dump(cluster: Cluster) -> dict[str, bytes]:
    """Each table as it is copied out, byte strings as they are."""
    connection = await database.connect(cluster.settings, "dump")
    names = await connection.fetch(
        "select tablename from pg_tables where schemaname = current_schema()"
    )
    found: dict[str, bytes] = {}
    for (name,) in names:
        parts: list[bytes] = []

        async def keep(part: bytes, parts: list[bytes] = parts) -> None:
            parts.append(part)

        await connection.copy_from_table(name, output=keep, format="binary")
        found[f"table {name}"] = b"".join(parts)
    await connection.close()
    return found


async def answers(business: Business) -> dict[str, bytes]:
    """What an administrator, and who has the API key, are answered by all that can be read."""
    found: dict[str, bytes] = {}
    callers = {"admin": business.headers, "key": {"Authorization": f"Apikey {KEY}"}}
    read = [route.path for route in (*ROUTES, *D360_ROUTES) if route.method == "GET"]
    for path in {re.sub(r"\{[^/]+?\}", "admin", each) for each in read}:
        for who, headers in callers.items():
            async with business.http.get(business.cluster.url + path, headers=headers) as answer:
                said = repr(dict(answer.headers)).encode() + await answer.read()
                found[f"{path} for {who}: {answer.status}"] = said
    return found


async def commands(cluster: Cluster, message: str) -> AsyncIterator[tuple[str, bytes]]:
    """What the commands of an operator print, and what one says that has the wrong password."""
    folder = ["--data-dir", str(cluster.folder)]
    for arguments in (["status", "--json"], ["doubt", "list"], ["audit"], ["trace", message]):
        yield " ".join(arguments), await run([*arguments, *folder], {}, right=True)
    given = cluster.processes["webapp-1"].environment
    wrong = {n: v for n, v in given.items() if not n.startswith("WA_DB_PASSWORD")}
    wrong |= {"WA_DB_PASSWORD": CANARIES["wrong password"]}
    for role in ("status", "webapp", "coreapp", "master", "migrate"):
        yield f"{role} with a wrong password", await run([role], wrong, right=False)


async def run(arguments: list[str], environment: dict[str, str], *, right: bool) -> bytes:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "warouter", *arguments),
        env=environment or None,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert (process.returncode == 0) is right, said
    return said


def shown_of_processes(cluster: Cluster) -> dict[str, bytes]:
    """What the kernel shows of our processes: how they were called, and their environment."""
    found = {}
    for process in cluster.processes.values():
        for what in ("cmdline", "environ"):
            found[f"{process.name} {what}"] = Path(f"/proc/{process.pid}/{what}").read_bytes()
    return found


async def hurt(cluster: Cluster, business: Business, server: Postgres) -> None:
    """A coreapp dies as of a defect, a webapp gives itself up, and the database is away."""
    async with Facts(cluster) as facts:
        owner = await facts.process_of((await facts.map()).slots[0].owner)
    for process, how in ((owner, signal.SIGSEGV), (cluster.processes["webapp-2"], signal.SIGABRT)):
        process.kill(how)
        await soon(lambda process=process: process.restarts == 1 and process.ready.is_set())
    await business.message(TO)
    await asyncio.to_thread(server.stop)
    async with business.http.get(f"{cluster.url}/v1/health", headers=business.headers) as answer:
        assert answer.status in (401, 503)
    await asyncio.to_thread(server.start)
    await business.called_back("read", await business.message(TO))


def secrets_of(cluster: Cluster, business: Business) -> Iterator[tuple[str, bytes]]:
    """Those that were given, and those that the cluster drew."""
    for name, value in CANARIES.items():
        yield name, value.encode()
    yield "admin's password", cluster.password.encode()
    yield "token", business.headers["Authorization"].removeprefix("Bearer ").encode()
    drawn = list(cluster.folder.glob("emulator-*"))
    assert len(drawn) == 3
    for file in drawn:
        assert file.stat().st_mode & 0o777 == 0o600
        yield file.name, file.read_bytes().strip()


async def used_key(business: Business) -> str:
    """A key that was used in both fields, refused for its scope and its place, and ended."""
    wish = {"name": "canary", "scopes": ["monitor"]}
    made = (await business.call("POST", "/v1/keys", json=wish))["keys"][0]
    text: str = made["key"]
    fields = ({"Authorization": f"Bearer {text}"}, {"D360-API-KEY": text})
    tried = [("/v1/health", 200), (f"/v1/health?access_token={text}", 400), ("/v1/keys", 403)]
    for headers, (path, status) in itertools.product(fields, tried):
        await refused_or_not(business, path, headers, status, text)
    await business.call("DELETE", f"/v1/keys/{made['id']}")
    for headers in (*fields, {**fields[1], **business.headers}):  # the last names two callers
        await refused_or_not(business, "/v1/health", headers, 401, text)
    return text


async def refused_or_not(
    business: Business, path: str, headers: dict[str, str], status: int, secret: str
) -> None:
    async with business.http.get(business.cluster.url + path, headers=headers) as answer:
        assert answer.status == status
        said = repr(dict(answer.headers)).encode() + await answer.read()
    assert secret.encode() not in said


async def test_no_secret_is_where_it_need_not_be(server: Postgres) -> None:
    await ask_for_password(server)
    environment: dict[str, Any] = {
        **server.settings(),
        "WA_DB_PASSWORD": PASSWORD,
        "WA_API_KEY": KEY,
        "WAROUTER_LOG_LEVEL": "DEBUG",
        "WAROUTER_D360": "1",
        **CALM,
    }
    async with running(**{**PAIR, "webapps": 2}, upstream=EMULATOR, environment=environment) as (
        cluster,
        business,
    ):
        refused = await provoke(business)
        key = (await used_key(business)).encode()
        business.refuse = 0.3
        message = await business.message(TO)
        await business.called_back("read", message)
        await hurt(cluster, business, server)

        secrets = [*secrets_of(cluster, business), ("key", key)]
        tables = await dump(cluster)
        async with Facts(cluster) as facts:
            rows = await facts.connection.fetch("select link_key from node where role = 'coreapp'")
        links = [("link key", row[0]) for row in rows]
        stored = {name for name, _ in found_in(tables, [*secrets, *links])}
        assert stored == STORED
        # A setting, and nothing that keeps it for ever: the audit log has no value in it.
        url = [each for each in secrets if each[0] in {*OF_THE_URL, "webhook's header"}]
        assert {where for _, where in found_in(tables, url)} == {"table setting"}

        hidden = [*secrets, *links, *(("link key", key.hex().encode()) for _, key in links)]
        # What was said to the API is quoted back to who said it, and shown to operators.
        quoted = [each for each in hidden if each[0] not in ("text", "recipient")]
        said = said_by(cluster.folder) | await answers(business)
        assert found_in(said, hidden) == set()
        told = {name: text async for name, text in commands(cluster, message)}
        assert found_in(told | {"refusals": b"".join(refused)}, quoted) == set()
        assert found_in(shown_of_processes(cluster), hidden) == set()
        description = cluster.folder / "cluster.json"
        kept = found_in({"cluster.json": description.read_bytes()}, hidden)
        assert {name for name, _ in kept} == {"admin's password"}  # by which its owner logs in
        assert description.stat().st_mode & 0o777 == 0o600
        await soon(lambda: all(has_no_core(p.pid) for p in cluster.processes.values()))
