"""`warouter check` through the command line: a real PostgreSQL, real files, real exit codes."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import asyncpg
import msgspec
import pytest
from trustme import CA

from tests.harness import prepared
from tests.harness.address import own_address
from tests.harness.bucket import BucketServer
from tests.harness.certificates import Pair, alone, issued, text_of
from tests.harness.impostor import OFF_HOST
from tests.harness.shell import command, forked, printed
from tests.harness.terminating import Terminating
from warouter.check.gather import gather
from warouter.check.host import listening
from warouter.check.rules import RULES, judged
from warouter.cloud_settings import is_loopback
from warouter.config import Settings
from warouter.local import ports
from warouter.local.description import write_description
from warouter.local.postgres import Postgres
from warouter.store.database import application_name, connect
from warouter.store.views.peer import peer_of
from warouter.tls import pem

Found = dict[str, tuple[str, str]]  # level and sentence of each name


async def checked(settings: Settings | None, *arguments: str, **environ: str) -> tuple[Found, int]:
    """What is not right, and the exit code."""
    result = await command(settings, "check", "--json", *arguments, **environ)
    lines = [msgspec.json.decode(line) for line in result.stdout.splitlines()]
    assert all(line.keys() == {"name", "level", "found", "todo"} for line in lines), result.output
    return {line["name"]: (line["level"], line["found"]) for line in lines}, result.exit_code


@asynccontextmanager
async def node(
    settings: Settings, role: str, *, host: str = "127.0.0.1", login: str = "postgres"
) -> AsyncIterator[None]:
    """A process of the cluster: its row, and a session by that login."""
    incarnation, name = uuid4(), f"h:{role}-1"
    admin = await connect(settings, "admin")
    await admin.execute(
        "select register_node($1, $2, $3, $4, 6250, null, null, '9.9', 'xxh64', 1, 4711,"
        " 'simulator', '')",
        *(incarnation, name, role, host),
    )
    own = msgspec.structs.replace(settings, db_username=login)
    session = await connect(own, application_name(incarnation, name))
    try:
        yield
    finally:
        await session.close()
        await admin.close()


def write(path: Path, text: str, mode: int = 0o600) -> str:
    path.write_text(text)
    path.chmod(mode)
    return str(path)


# what PostgreSQL says


async def test_one_login_that_is_a_superuser(settings: Settings) -> None:
    async with node(settings, "webapp"), node(settings, "master"):
        found, code = await checked(settings)
    level, sentence = found["login-superuser"]
    assert (level, code) == ("warning", 2)
    assert "postgres of master and webapp" in sentence
    assert found["login-shared"] == ("note", "Master and webapp share the login postgres.")
    assert found["builds-mixed"][1].startswith("h:master-1, h:webapp-1 run 9.9")
    # The server of the tests is quick, and promises nothing.
    assert found["database-unsafe"][0] == "critical"
    assert "fsync" in found["database-unsafe"][1]


async def test_a_link_between_hosts_without_a_certificate(settings: Settings) -> None:
    async with node(settings, "coreapp", host="10.0.0.1"):
        found, _ = await checked(settings)
    assert found["link-clear"][0] == "critical"
    assert "h:coreapp-1" in found["link-clear"][1]


async def test_a_login_that_owns_the_schema(settings: Settings, pool: asyncpg.Pool) -> None:
    async with login(pool, "owns") as name:
        await pool.execute(f"alter schema warouter owner to {name}")
        async with node(settings, "master", login=name):
            found, _ = await checked(settings)
        await pool.execute("alter schema warouter owner to postgres")
    assert found["login-owner"][0] == "note"
    assert name in found["login-owner"][1]
    assert "login-superuser" not in found


async def test_a_login_that_is_shown_little_says_so(settings: Settings, pool: asyncpg.Pool) -> None:
    tables = "schema_migration, format, shard_map"
    shown = "incarnation, name, role, version, host"
    async with login(pool, "sees_little") as name:
        await pool.execute(f"grant select on {tables} to {name}")
        await pool.execute(f"grant select ({shown}) on node to {name}")
        little = msgspec.structs.replace(settings, db_username=name)
        result = await command(little, "check")
        assert "pg_authid, user_account, setting" in result.stdout
        assert f"The login {name} is not shown where" in result.stdout
        await pool.execute(f"revoke select on format from {name}")
        found, code = await checked(little)
    assert found["database-unreachable"][0] == "unknown"
    assert "permission denied" in found["database-unreachable"][1]
    assert code == 3


async def test_a_session_whose_login_is_gone_is_of_no_login(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    """As one that has not logged in yet, and a worker of the server's where it is shown as none."""
    async with login(pool, "gone") as name:
        session = await connect(msgspec.structs.replace(settings, db_username=name), "test")
    try:
        result = await command(settings, "check")
    finally:
        await session.close()
    assert result.stdout, result.exception


@asynccontextmanager
async def login(pool: asyncpg.Pool, name: str) -> AsyncIterator[str]:
    await pool.execute(f"create role {name} login")
    await pool.execute(f"grant usage on schema warouter to {name}")
    try:
        yield name
    finally:
        await pool.execute(f"drop owned by {name}")
        await pool.execute(f"drop role {name}")


async def test_the_default_password_and_a_webhook_in_clear_text(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    found, _ = await checked(settings)
    assert found.keys().isdisjoint({"password-default", "webhook-clear"})
    await pool.execute("insert into user_account values ('admin', 'x', 'ROLE_ADMIN', true)")
    webhook = '{"webhooks": {"url": "http://hook.example:8080/in?key=s3cret"}}'
    await pool.execute("insert into setting values ('application', $1::text::jsonb)", webhook)
    found, code = await checked(settings)
    assert found["password-default"][0] == "critical"
    assert found["webhook-clear"] == (
        "warning",
        "The webhook at hook.example is called with plain http.",
    )
    assert code == 2


async def test_passwords_that_are_stored_as_md5(settings: Settings, pool: asyncpg.Pool) -> None:
    async with login(pool, "old_hash") as name:
        await pool.execute(f"alter role {name} password 'md5{'0' * 32}'")
        own = msgspec.structs.replace(settings, db_username=name)
        connection = await connect(own, "app")
        found, _ = await checked(settings)
        await connection.close()
    assert found["password-md5"] == ("warning", "The passwords of old_hash are stored as MD5.")


@pytest.mark.parametrize("stored", ['{"chain": 1}', '{"chain": "x", "key": "y"}', "[]", "7"])
async def test_stored_garbage_is_a_finding_and_no_defect(
    settings: Settings, pool: asyncpg.Pool, stored: str
) -> None:
    for name in ("external_certificate", "webhook_ca", "application"):
        await pool.execute("insert into setting values ($1, $2::text::jsonb)", name, stored)
    found, _ = await checked(settings)
    assert found["certificate-unfit"][0] == "critical"


async def test_the_certificate_that_the_api_stored(settings: Settings, pool: asyncpg.Pool) -> None:
    pair = issued(CA(), ends=3)
    text = msgspec.json.encode({"chain": pair.pem, "key": pair.key}).decode()
    await pool.execute("insert into setting values ('external_certificate', $1::text::jsonb)", text)
    found, _ = await checked(settings)
    assert found["certificate-ends"] == (
        "warning",
        "The API's stored certificate ends in 3 days.",
    )


async def test_a_schema_that_is_missing_or_old(settings: Settings, pool: asyncpg.Pool) -> None:
    await pool.execute("delete from schema_migration")
    found, code = await checked(settings)
    assert found["schema-unfit"][0] == "critical"
    assert "run `warouter migrate`" in found["schema-unfit"][1]
    assert code == 2
    await pool.execute("drop schema warouter cascade")
    found, code = await checked(settings)
    assert "has no schema yet" in found["schema-unfit"][1]
    assert code == 2


# what this host says


async def test_a_bucket_of_media_is_looked_at_and_not_changed(settings: Settings) -> None:
    server = BucketServer()
    await server.start()
    given = {**server.environment(), "WAROUTER_MEDIA_QUOTA": "0"}
    found, _ = await checked(settings, **given)
    assert found.keys().isdisjoint({"file-unread", "media-quota", "disk-full"})
    server.name = "another"
    found, _ = await checked(settings, **given)
    assert "there is no such bucket" in found["file-unread"][1]
    assert "WAROUTER_MEDIA_URL" in found["file-unread"][1]
    assert set(server.asked) == {"GET"}
    await server.stop()


async def test_files_that_others_can_read_or_write(settings: Settings, folder: Path) -> None:
    pair = alone()
    media = folder / "media"
    media.mkdir(mode=0o755)
    given = {
        "WAROUTER_TLS_CERT": write(folder / "tls.crt", pair.pem, 0o644),
        "WAROUTER_TLS_KEY": write(folder / "tls.key", pair.key),
        "WAROUTER_MEDIA_DIR": str(media),
    }
    found, _ = await checked(settings, **given)
    assert found["folder-readable"] == (
        "warning",
        f"{media} (WAROUTER_MEDIA_DIR) can be listed by every account of this host.",
    )
    assert found.keys().isdisjoint({"secret-readable", "file-writable", "certificate-unfit"})
    (folder / "tls.key").chmod(0o646)
    media.chmod(0o770)
    found, code = await checked(settings, **given)
    assert found["secret-readable"][0] == found["file-writable"][0] == "critical"
    assert f"{folder}/tls.key (WAROUTER_TLS_KEY)" in found["secret-readable"][1]
    assert "folder-readable" not in found
    assert code == 2
    await asyncio.to_thread(folder.chmod, 0o700)  # then nobody gets to it
    found, _ = await checked(settings, **given)
    assert found.keys().isdisjoint({"secret-readable", "file-writable"})


async def test_files_of_secrets(settings: Settings, folder: Path) -> None:
    keys = write(folder / "api-key", f"{'k' * 32}\n{'k' * 12}\n")
    found, _ = await checked(settings, WA_API_KEY_FILE=keys)
    assert found["api-key-short"] == ("note", "WA_API_KEY_FILE has a key of 12 characters.")
    assert "file-unread" not in found
    write(Path(keys), "\n")
    found, _ = await checked(settings, WA_API_KEY_FILE=keys)
    assert found["file-unread"] == (
        "warning",
        f"{keys} (WA_API_KEY_FILE) cannot be used: it is empty: write the secret into it.",
    )
    write(Path(keys), "k" * 32, 0o644)
    found, _ = await checked(settings, WA_API_KEY_FILE=keys)
    assert found["secret-readable"][0] == "critical"
    assert "file-unread" not in found


async def test_a_key_in_the_file_of_its_certificate(settings: Settings, folder: Path) -> None:
    pair = alone()
    both = write(folder / "client.pem", pair.pem + pair.key, 0o644)
    found, _ = await checked(settings, WA_DB_SSL_CERT=both)
    assert f"{both} (WA_DB_SSL_CERT)" in found["secret-readable"][1]


async def test_environment_files_with_a_secret(settings: Settings, folder: Path) -> None:
    write(folder / "coreapp-1.env", "COREAPP_EXTERNAL_PORTS=6252\nWA_API_KEY=\n", 0o644)
    write(folder / "warouter.env", "WA_DB_HOSTNAME=db\nWA_DB_PASSWORD=s3cret\n", 0o644)
    gathered = await gather(settings, None, folder)
    (found,) = [one for one in judged(gathered.facts) if one.name == "secret-readable"]
    assert found.found.startswith(f"{folder}/warouter.env (environment file)")


async def test_a_data_directory(settings: Settings, folder: Path) -> None:
    environment = {
        "WA_DB_HOSTNAME": settings.db_hostname,
        "WAROUTER_DB_NAME": settings.database,
        "WAROUTER_WEBHOOK_ALLOW_HTTP": "1",
    }
    write_description(folder, msgspec.json.encode({"environment": environment}).decode())
    (folder / "log").mkdir(mode=0o700)
    found, _ = await checked(None, "--data-dir", str(folder))
    assert found["http-allowed"][0] == "note"
    assert found.keys().isdisjoint({"secret-readable", "folder-readable"})
    (folder / "cluster.json").chmod(0o644)
    (folder / "log").chmod(0o755)
    found, _ = await checked(None, "--data-dir", str(folder))
    assert f"{folder}/cluster.json" in found["secret-readable"][1]
    assert f"{folder}/log" in found["folder-readable"][1]


@pytest.mark.parametrize(
    ("pair", "name", "words"),
    [
        (issued(CA(), begins=-30, ends=-1), "certificate-ended", "ended 24 hours ago"),
        (issued(CA(), ends=5), "certificate-ends", "ends in 5 days"),
        (issued(CA(), begins=3), "certificate-early", "another 3 days"),
        (Pair(alone().pem, alone().key), "certificate-unfit", "belongs to none"),
        (Pair("", alone().key), "certificate-unfit", "no certificate"),
    ],
)
async def test_certificates(
    settings: Settings, tmp_path: Path, pair: Pair, name: str, words: str
) -> None:
    given = {
        "WAROUTER_TLS_CERT": write(tmp_path / "tls.crt", pair.pem),
        "WAROUTER_TLS_KEY": write(tmp_path / "tls.key", pair.key),
    }
    found, _ = await checked(settings, **given)
    (about,) = [one for one in found if one.startswith("certificate-")]
    assert about == name
    assert f"{tmp_path}/tls.crt (WAROUTER_TLS_CERT)" in found[name][1]
    assert words in found[name][1]
    found, _ = await checked(settings, **given, WAROUTER_NO_TLS="1")  # then nobody shows it
    assert name not in found


async def test_a_file_that_is_not_there(settings: Settings) -> None:
    given = {"WAROUTER_TLS_CERT": "/nowhere/tls.crt", "WAROUTER_TLS_KEY": "/nowhere/tls.key"}
    found, _ = await checked(settings, **given)
    assert found["file-unread"][0] == "warning"
    assert "/nowhere/tls." in found["file-unread"][1]


async def test_listeners_without_tls_and_wide_networks(settings: Settings) -> None:
    found, _ = await checked(
        settings,
        WAROUTER_NO_TLS="1",
        WEBAPP_HOSTNAME="10.0.0.1",
        WAROUTER_ALLOW_PRIVATE="10.0.0.1,0.0.0.0/0",
        WAROUTER_UPSTREAM_ADDRESS="sim.internal:6260",
        WAROUTER_CONSOLE_API="http://api.internal:9090",
        WAROUTER_CONNECTIONS="9000000",
        WA_API_KEY="k" * 12,
    )
    assert {name: found[name][0] for name in found if name in LISTENERS} == LISTENERS


LISTENERS = {
    "api-clear": "warning",
    "networks-wide": "warning",
    "networks-open": "note",
    "console-clear": "warning",
    "simulator-open": "warning",
    "descriptors-few": "warning",
    "api-key-short": "note",
}


async def test_a_simulator_that_listens_everywhere(settings: Settings) -> None:
    with socket.create_server(("0.0.0.0", 0)) as server:
        port = server.getsockname()[1]
        assert listening(port) == {"0.0.0.0"}
        found, _ = await checked(settings, WAROUTER_UPSTREAM_ADDRESS=f"127.0.0.1:{port}")
    assert "0.0.0.0" in found["simulator-open"][1]
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with socket.create_server((host, 0), family=family) as server:
            port = server.getsockname()[1]
            assert listening(port) == {host}
            found, _ = await checked(settings, WAROUTER_UPSTREAM_ADDRESS=f"127.0.0.1:{port}")
        assert "simulator-open" not in found


# the command


async def test_verbose_has_a_line_for_each_rule(settings: Settings) -> None:
    found, _ = await checked(settings, "--verbose")
    assert found.keys() == {rule.name for rule in RULES}
    levels = {level for level, _ in found.values()}
    assert "ok" in levels
    result = await command(settings, "check")
    *lines, summary = result.stdout.splitlines()
    assert not any(line.startswith("ok ") for line in lines)
    assert summary.startswith(f"{len(RULES)} rules: 1 critical, ")


def test_without_a_database_what_is_left_is_said_and_the_rest_is_unknown(tmp_path: Path) -> None:
    away = {"WA_DB_HOSTNAME": str(tmp_path), "WA_API_KEY": "k" * 12}
    done = forked("check", **away)
    assert done.returncode == 3
    assert "unknown   database-unreachable   PostgreSQL at" in done.stdout
    assert "api-key-short" in done.stdout
    assert done.stderr == ""
    (tmp_path / "tls.crt").write_text("nothing")
    paths = {"WAROUTER_TLS_CERT": str(tmp_path / "tls.crt")}
    assert forked("check", **away, **paths).returncode == 2  # the worse of both


@pytest.mark.parametrize("environ", [{}, {"WA_DB_HOSTNAME": "x", "WA_DB_ENGINE": "MYSQL"}])
def test_settings_that_cannot_be_used_are_unknown_too(environ: dict[str, str]) -> None:
    done = forked("check", **environ)
    assert done.returncode == 3
    assert done.stderr.startswith("Error: WA_DB_")


# a server that other hosts reach


class Server(NamedTuple):
    """A PostgreSQL that other hosts reach, and how this one reaches it by its socket."""

    host: str
    port: int
    environ: dict[str, str]


@pytest.fixture
def server(folder: Path) -> Iterator[Server]:
    port = ports.free_port()
    server = Postgres(folder / "pg", listen_addresses="*", port=str(port))
    prepared.copy_to(server.folder)
    with (server.folder / "pg_hba.conf").open("a") as file:
        file.write("host all all all trust\n")
    server.start()
    yield Server(own_address() or "127.0.0.1", port, server.settings() | {"WA_DB_PORT": str(port)})
    server.stop()
    ports.release([port])


async def test_a_session_that_comes_over_the_network_in_clear_text(server: Server) -> None:
    found, code = await checked(None, **server.environ)
    assert found.keys().isdisjoint({"database-clear", "database-unsafe"})
    assert code == 1
    bare = await asyncpg.connect(
        host=server.host,
        port=server.port,
        user="postgres",
        database="warouter",
        ssl=False,
        server_settings={"application_name": "psql\n"},
    )
    assert peer_of(bare) is None
    distant = not is_loopback(server.host)
    found, _ = await checked(None, **server.environ)
    assert ("database-clear" in found) is distant
    shown = await printed(None, "status", **server.environ)
    assert ("1 of 2 sessions without TLS" in shown) is distant
    await bare.close()


async def test_the_certificate_of_the_server(settings: Settings, tmp_path: Path) -> None:
    authority = CA()
    pair = issued(authority, ends=5, name=OFF_HOST)
    socket_of_server = Path(settings.db_hostname) / f".s.PGSQL.{settings.db_port}"
    async with Terminating(socket_of_server, pem.server_context(pair.pem + pair.key)) as front:
        where = {"WA_DB_HOSTNAME": OFF_HOST, "WA_DB_PORT": str(front.port)}
        verified = where | {"WA_DB_SSL_CA": write(tmp_path / "ca.crt", text_of(authority))}
        found, _ = await checked(settings, **verified)
        assert found["certificate-ends"] == ("warning", "PostgreSQL's certificate ends in 5 days.")
        assert "database-unverified" not in found
        blind = ssl.create_default_context()
        blind.check_hostname, blind.verify_mode = False, ssl.CERT_NONE
        connection = await asyncpg.connect(
            host=OFF_HOST,
            port=front.port,
            user="postgres",
            database=settings.database,
            ssl=blind,
        )
        peer = peer_of(connection)
        assert peer is not None
        assert not peer.verified
        await connection.close()


# `warouter status`


async def test_status_names_the_one_login(settings: Settings) -> None:
    async with node(settings, "webapp"), node(settings, "coreapp"):
        shown = await printed(settings, "status")
        found = msgspec.json.decode(await printed(settings, "status", "--json"))
    line = " ".join(shown[shown.index("\ntrust") :].split())
    assert line.startswith(
        "trust one login for all (postgres, a superuser) · database TLS socket · all sessions"
        " in TLS or local · links on this host · run warouter check"
    )
    trust = found["trust"]
    assert trust["login"] == "postgres"
    assert trust["database_tls"] == "socket"
    assert trust["logins"] == [
        {"name": "postgres", "superuser": True, "owner": False, "kinds": ["coreapp", "webapp"]}
    ]
    (webapp,) = [one for one in trust["programs"] if one["name"] == "h:webapp-1"]
    assert (webapp["sessions"], webapp["clear"], webapp["unseen"]) == (1, 0, 0)
