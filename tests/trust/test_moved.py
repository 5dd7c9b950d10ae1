"""An installation with one login and without TLS is moved to logins and verified TLS, under
traffic: what docs/postgresql.md tells an operator to do, in its order.

The one login does everything and owns the schema; PostgreSQL is on another host.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio
from trustme import CA

from tests.cluster.conftest import CALM
from tests.cluster.test_rolling import unnoticed
from tests.cluster.test_upgrade import carrying
from tests.cluster.upgrade_former import restarted
from tests.harness import prepared
from tests.harness.business import Business
from tests.harness.certificates import issued
from tests.harness.facts import Facts
from tests.harness.impostor import OFF_HOST
from tests.harness.shell import command, printed
from tests.harness.terminating import Terminating
from warouter.config import Settings, load
from warouter.local.cluster import Cluster
from warouter.local.options import Placement, UpOptions
from warouter.local.postgres import Postgres
from warouter.local.process import Process
from warouter.store import migrate
from warouter.tls import pem

LOGIN, PASSWORD = "wa_app", "the-password-of-all"
ORDER = ("master-1", "coreapp-1", "webapp-1", "coreapp-2", "master-2", "webapp-2", "coreapp-3")
OF_ONE_LOGIN = {"login-owner", "login-shared"}
OF_NO_TLS = {"database-tls-off"}
FORMER = "login-member"
# Of who watches: the server lets in by its socket whom it trusts.
RULES = """
local all postgres trust
local all all scram-sha-256
"""
RATE = 60.0


class Installation:
    """Its processes come in by ``front``, the test and its cluster by the server's own socket."""

    def __init__(self, folder: Path, server: Postgres, front: Terminating) -> None:
        self.folder = folder
        self.front = front
        self.authority = CA()
        self.administrator = {**server.settings(), "WA_DB_PORT": "5432"}
        self.at_front = {
            "WA_DB_HOSTNAME": OFF_HOST,
            "WA_DB_PORT": str(front.port),
            "WA_DB_USERNAME": LOGIN,
            "WA_DB_PASSWORD": PASSWORD,
            "WAROUTER_DB_NAME": "warouter",
            "WAROUTER_DB_SSL": "off",
        }
        bare = Placement(environment=self.at_front | CALM)
        self.cluster = Cluster(
            UpOptions(
                data_dir=folder / "cluster",
                port=0,
                tls=False,
                shards=4,
                coreapps=3,
                webapps=2,
                environment=self.administrator | CALM,
                place=lambda _name, _role: bare,
            )
        )

    @property
    def one_login(self) -> Settings:
        return load(self.at_front)

    def begins_tls(self) -> None:
        """PostgreSQL has a certificate from now on; sessions that stand go on without."""
        self.authority.cert_pem.write_to_path(str(self.folder / "ca.pem"))
        pair = issued(self.authority, name=OFF_HOST)
        self.front.context = pem.server_context(pair.pem + pair.key)

    def moved(self, role: str) -> dict[str, str]:
        """What a process is given in the place of the one login and of WAROUTER_DB_SSL=off."""
        return {
            "WA_DB_USERNAME": f"warouter_{role}",
            "WA_DB_PASSWORD": "",
            "WA_DB_PASSWORD_FILE": str(self.folder / "passwords" / f"{role}.password"),
            "WA_DB_SSL_CA": str(self.folder / "ca.pem"),
            "WAROUTER_DB_SSL": "",
        }

    def as_login(self, kind: str) -> Settings:
        return load(self.at_front | self.moved(kind))


@pytest_asyncio.fixture
async def installation() -> AsyncIterator[Installation]:
    async with AsyncExitStack() as stack:
        folder = prepared.reachable_folder()
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        server = Postgres(folder / "postgres", fsync="off")
        stack.callback(server.stop)
        await asyncio.to_thread(server.start)
        admin = await asyncpg.connect(server.dsn("postgres"))
        await admin.execute(f"create role {LOGIN} login password '{PASSWORD}'")
        await admin.execute(f"create database warouter owner {LOGIN}")
        (server.folder / "pg_hba.conf").write_text(RULES)
        await admin.execute("select pg_reload_conf()")
        await admin.close()
        socket = server.socket_folder / ".s.PGSQL.5432"
        front = await stack.enter_async_context(Terminating(socket, None))
        found = Installation(folder, server, front)
        stack.push_async_callback(found.cluster.stop)
        await migrate.migrate(found.one_login)
        await found.cluster.start()
        yield found


async def restarted_with(
    facts: Facts, business: Business, process: Process, changed: Mapping[str, str]
) -> None:
    """Restart one process with these variables; returns once it carries traffic."""
    process.environment.update(changed)
    await restarted(facts, process, "")
    await carrying(facts, business, process)


async def found_wrong(settings: Settings, **environment: str) -> set[str]:
    """The names of what ``warouter check`` finds, but for what PostgreSQL's release has."""
    told = {"WA_DB_PASSWORD_FILE": settings.db_password_file, "WA_DB_SSL_CA": settings.db_ssl_ca}
    result = await command(settings, "check", **told, **environment)
    assert result.exit_code in (0, 1, 2), result.output
    return {line.split()[1] for line in result.stdout.splitlines() if ":" not in line.split()[0]}


async def test_moved_to_logins_and_tls_without_a_lost_message(installation: Installation) -> None:
    cluster = installation.cluster
    business = Business(cluster, rate=RATE)
    async with business, Facts(cluster) as facts:
        business.start()
        await business.more(100)

        # It says what it lacks.
        wrong = await found_wrong(installation.one_login, WAROUTER_DB_SSL="off")
        assert wrong >= OF_ONE_LOGIN | OF_NO_TLS
        status = await printed(installation.one_login, "status", WAROUTER_DB_SSL="off")
        assert f"one login for all ({LOGIN}" in status
        assert "WAROUTER_DB_SSL=off" in status

        # Both are made beside what is there, and each process is moved by a restart.
        installation.begins_tls()
        passwords = str(installation.folder / "passwords")
        administrator = load(installation.administrator)
        made = await printed(administrator, "migrate", "--roles", "--password-dir", passwords)
        assert f"`warouter migrate --revoke-role {LOGIN}`" in made, made
        await business.more(50)
        for name in ORDER:
            process = cluster.processes[name]
            await restarted_with(facts, business, process, installation.moved(process.role))
        assert await unmoved(facts) == []

        console = installation.as_login("console")
        assert FORMER in await found_wrong(console)
        await printed(administrator, "migrate", "--revoke-role", LOGIN)
        await business.more(100)
        await business.through_each_webapp()
        assert "as they should be" in await printed(administrator, "migrate", "--check-roles")
        lacks = OF_ONE_LOGIN | OF_NO_TLS | {FORMER, "login-rights"}
        assert (await found_wrong(console)).isdisjoint(lacks)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await former_login(installation)
        reasons = {row["reason"] for row in await facts.owner_log()}
        assert reasons <= {"unowned", "handover", "renew"}  # nobody was taken for dead
        await unnoticed(business)
    assert not [path for path in cluster.folder.rglob("*.log") if "42501" in path.read_text()]


async def unmoved(facts: Facts) -> list[str]:
    """Sessions of processes that use the one login still."""
    query = """
    select application_name from pg_stat_activity
     where application_name like 'wa:%' and usename = $1 and datname = current_database()"""
    return [row[0] for row in await facts.connection.fetch(query, LOGIN)]


async def former_login(installation: Installation) -> None:
    """What the one login may do now."""
    at = installation.at_front
    connection = await asyncpg.connect(
        host="127.0.0.1",
        port=int(at["WA_DB_PORT"]),
        user=LOGIN,
        password=PASSWORD,
        database="warouter",
        ssl=False,
    )
    try:
        await connection.fetch("select * from warouter.message")
    finally:
        await connection.close()
